"""The spoof guard: headers that a gateway takes from every request before anything looks at it.

Pure. In: a Gateway's annotation, the headers that mark lanes. Out: names, or what is wrong with the annotation. What
the edge itself adds, by an EnvoyFilter or a rule, comes later and stays.

    graylane.dev/spoof-guard: lanes                          every header by which a TrafficRouting marks a lane
    graylane.dev/spoof-guard: my-request-id, x-tenant        these
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from graylane.mesh.findings import Finding, invalid
from graylane.mesh.inputs import Gateway
from graylane.mesh.read import SPOOF_GUARD

_LANES = ("lanes", "true", "on", "enabled")
_OFF = ("", "false", "off", "disabled")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_NEEDED = ("host", "connection", "content-length", "transfer-encoding")  # a request without these is another one


def stripped(gateway: Gateway, lanes: frozenset[str]) -> frozenset[str]:
    """The header names, lower case; none where the guard is off."""
    text = gateway.guard.strip().lower()
    if text in _OFF:
        return frozenset()
    return lanes if text in _LANES else frozenset(filter(_may_go, _names(text)))


def words(gateway: Gateway, lanes: frozenset[str]) -> str:
    """What of the guard holds, "" where it is off."""
    if gateway.guard.strip().lower() in _OFF:
        return ""
    names = ", ".join(sorted(stripped(gateway, lanes)))
    return f"the spoof guard takes away {names or 'nothing, since no TrafficRouting marks a lane by a header'}"


def findings(gateway: Gateway) -> Iterable[Finding]:
    text = gateway.guard.strip().lower()
    for name in () if text in (*_OFF, *_LANES) else _names(text):
        if not _may_go(name):
            yield invalid(f"annotation {SPOOF_GUARD}: {name!r} is no header that a gateway may take away")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _may_go(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name not in _NEEDED
