"""Addresses and ports that no other test on this machine uses, in whichever process it runs.

Shell. In: nothing. Out: what nobody else has, ours until our process ends. That a port was free a moment ago is not
enough: another worker finds the same one, and any connection of any program may have it by the time we listen there.
So ports come from below those that connections get, and what one test has been given no other is given.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
from collections.abc import Iterator

from graylane.cluster.network import claim

_PORTS, _NODE_PORTS = range(20000, 30000), range(30000, 32768)  # the latter are those that NodePort Services have
_held: list[socket.socket] = []
_dice = random.SystemRandom()


def own_network() -> str:
    """The first three octets of a loopback network."""
    for _ in range(1000):
        network = f"127.{_dice.randrange(130, 194)}.{_dice.randrange(1, 256)}"  # a cluster's pods are in 127.x.0
        if _claimed(f"{network}.1", claim.PORT):
            return network
    raise AssertionError("every network is in use")


def own_node() -> str:
    """An address for a node: pods live in 127.16 to 127.239."""
    for _ in range(1000):
        address = f"127.{_dice.randrange(240, 255)}.{_dice.randrange(1, 255)}.{_dice.randrange(1, 255)}"
        if _claimed(address, claim.PORT):
            return address
    raise AssertionError("every address is in use")


def free_port(host: str = "127.0.0.1") -> int:
    return _free(host, _PORTS)


def free_node_port(host: str = "127.0.0.1") -> int:
    """Of the range NodePort Services have."""
    return _free(host, _NODE_PORTS)


def _free(host: str, among: range) -> int:
    for number in itertools.islice(_drawn(among), 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, number))
            if _claimed(host, number):
                return number
    raise AssertionError(f"no port of {among} is free")


def _drawn(among: range) -> Iterator[int]:
    while True:
        yield _dice.choice(among)


def _claimed(address: str, port: int) -> bool:
    if (found := claim.take(address, port)) is None:
        return False
    _held.append(found)
    return True
