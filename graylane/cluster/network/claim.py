"""Which loopback addresses are ours: claimed, so that no other cluster of this machine gives them to its pods.

Shell. In: addresses in the order we would have them. Out: the first that nobody holds, held until it is closed. A claim
is a UDP socket that nothing is ever sent to: of two processes one gets it, and it ends with its process, however that
ends. Nobody whose claim fails for another reason than another's claim is kept from starting: he goes on without.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from hashlib import sha256
from ipaddress import IPv4Network
from pathlib import Path

PORT = 15001  # of UDP; the same number is the proxies' of TCP
_FIRST, _COUNT = 16, 224  # 127.16.0.0/16 to 127.239.0.0/16; node addresses of tests and demos lie above


def preferred(owner: Path) -> Iterator[IPv4Network]:
    """Every network that pods may have, beginning with one that depends on the data directory: it is the usual one."""
    start = sha256(str(owner.resolve()).encode()).digest()[0]
    for step in range(_COUNT):
        yield IPv4Network(f"127.{_FIRST + (start + step) % _COUNT}.0.0/16")


def take(address: str, port: int = PORT) -> socket.socket | None:
    """Hold this address; None when another process, or we, hold it already."""
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind((address, port))
    except OSError as error:
        claim.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return claim


def first_of(networks: Iterable[IPv4Network]) -> tuple[IPv4Network, socket.socket | None]:
    """The first network that nobody else has, ours while the socket is open; the very first where none can be made."""
    first: IPv4Network | None = None
    for network in networks:
        first = first or network
        try:
            claim = take(str(network[1]))
        except OSError:
            break
        if claim is not None:
            return network, claim
    assert first is not None, "there are networks to choose from"
    return first, None


@contextmanager
def one_of(networks: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """As `first_of`, ours for the block."""
    network, claim = first_of(networks)
    with closing(claim) if claim is not None else nullcontext():
        yield network
