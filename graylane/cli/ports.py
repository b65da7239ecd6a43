"""Is a port free, and if not, who has it.

Shell, around a pure reader of /proc/net/tcp. In: address and port. Out: None, or a line that names the port, the
process where we may see it, and the option that chooses another.
"""

from __future__ import annotations

import ipaddress
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from graylane.cli.processes import command_of
from graylane.cluster.processes.ports import refusal
from graylane.errors import UserError

NODE_PORTS = range(30000, 32768)  # what Kubernetes allows a Service
_LISTEN = "0A"
_TRIES = 100


def require_free(address: str, port: int, option: str) -> None:
    """Raises `UserError` when nothing can listen there."""
    error = refusal(address, port)
    if error is not None:
        reason = f"is in use{_by_whom(address, port)}" if error.errno == 98 else f"cannot be used: {error.strerror}"
        raise UserError(f"port {address}:{port} {reason}; choose another with {option} N") from error


def free_port(address: str, among: range | None = None) -> int:
    """A port that was free a moment ago; `among` limits the choice, as a NodePort's range does."""
    candidates = random.sample(among, min(len(among), _TRIES)) if among else [0]
    for candidate in candidates:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((address, candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError(f"no free port found on {address}; name one")


def listening_inodes(table: str, address: str, port: int) -> list[str]:
    """Pure: the socket inodes in the text of /proc/net/tcp that listen on `address` (or on all) and `port`."""
    return [
        fields[9]
        for fields in (line.split() for line in table.splitlines()[1:])
        if len(fields) > 9 and fields[3] == _LISTEN and _covers(fields[1], address, port)
    ]


def _covers(local: str, address: str, port: int) -> bool:
    """`0100007F:192B` is 127.0.0.1:6443: the address is a little-endian word, the port is not."""
    host, _, number = local.partition(":")
    if int(number, 16) != port or len(host) != 8:
        return False
    bound = str(ipaddress.IPv4Address(bytes.fromhex(host)[::-1]))
    return bound in (address, "0.0.0.0")


def _by_whom(address: str, port: int) -> str:
    try:
        inodes = listening_inodes(Path("/proc/net/tcp").read_text(), address, port)
    except OSError:
        return ""
    holders = [pid for inode in inodes for pid in _holders(inode)]
    return f" by process {holders[0]} ({command_of(holders[0])})" if holders else ""


def _holders(inode: str) -> Iterator[int]:
    """Processes that have the socket open, among those we may look into."""
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(entry) == wanted for entry in (process / "fd").iterdir()):
                yield int(process.name)
        except OSError:
            continue
