"""The World, by the name under which stories and properties know it. Pure."""

from graylane.kit.world import Crash, Fault, VirtualClock, World

__all__ = ["Crash", "Fault", "VirtualClock", "World"]
