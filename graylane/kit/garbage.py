"""Python's garbage collector, told that this process first builds much that stays, and then serves many requests.

Shell (the interpreter). In: nothing. Out: fewer and shorter pauses; nothing else changes.
"""

from __future__ import annotations

import gc

# A request makes a few hundred small objects, nearly all without cycles. Python's own 700 has the collector look
# at them while they are in use, for a tenth of a server's time; this many are looked through in a millisecond.
_YOUNG = 20_000


def is_being_built() -> None:
    """Until `is_built`: what is made stays for good, and looking through it for garbage takes a tenth of a start."""
    gc.disable()


def is_built() -> None:
    """What is there now is never looked through again: a full collection would hold up everybody for 0.1 s."""
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    gc.enable()
