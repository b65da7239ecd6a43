"""Where an `up` listens: as it is told, else as the last time in its data directory, else where everybody expects it.

Pure, but for the file. In: what was typed, what was kept. Out: `Addresses`, and a line where those are not the usual
ones. A cluster that moved with each `up` would leave its user's kubeconfigs and bookmarks behind.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FILE = "addresses.json"


@dataclass(frozen=True, slots=True)
class Addresses:
    node_ip: str = "127.0.0.1"
    api_port: int = 6443
    gateway_port: int = 30080


_OPTIONS = {"node_ip": "--node-ip", "api_port": "--api-port", "gateway_port": "--gateway-port"}


def chosen(data: Path, node_ip: str | None, api_port: int | None, gateway_port: int | None) -> tuple[Addresses, str]:
    """None is what was not typed. The line says what is kept, and by which option to change it."""
    last = _kept(data)
    found = Addresses(
        last.node_ip if node_ip is None else node_ip,
        last.api_port if api_port is None else api_port,
        last.gateway_port if gateway_port is None else gateway_port,
    )
    typed = {"node_ip": node_ip, "api_port": api_port, "gateway_port": gateway_port}
    same = [name for name in typed if typed[name] is None and getattr(last, name) != getattr(Addresses(), name)]
    words = " ".join(f"{_OPTIONS[name]}={getattr(found, name)}" for name in same)
    return found, f"as the last time: {words}" if words else ""


def keep(data: Path, addresses: Addresses) -> None:
    (data / FILE).write_text(json.dumps(asdict(addresses)))


def _kept(data: Path) -> Addresses:
    """The usual ones where nothing was kept, or nothing that can be used."""
    usual = Addresses()
    try:
        found = json.loads((data / FILE).read_text())
        names = [each.name for each in fields(Addresses)]
        if all(type(found[name]) is type(getattr(usual, name)) for name in names):
            return Addresses(**{name: found[name] for name in names})
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return usual
