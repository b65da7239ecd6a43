"""What every controller shares; these are the names controllers use.

Shell. In: a client. Out: `Manager`, which runs `Controller`s over shared caches.
"""

from graylane.kit.cache import Cache, Change, View
from graylane.kit.clock import Clock, SystemClock
from graylane.kit.effects import Bind, Create, Delete, Effect, Event, Outcome, Patch, Replace
from graylane.kit.loop import Controller, Manager, running

__all__ = [
    "Bind",
    "Cache",
    "Change",
    "Clock",
    "Controller",
    "Create",
    "Delete",
    "Effect",
    "Event",
    "Manager",
    "Outcome",
    "Patch",
    "Replace",
    "SystemClock",
    "View",
    "running",
]
