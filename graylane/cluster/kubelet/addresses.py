"""Which loopback address a pod gets.

Pure. In: the pod network and the addresses in use. Out: a free one. There is no ledger to lose: what is taken is read
from the pods' own `status.podIP`.
"""

from __future__ import annotations

from collections.abc import Container
from ipaddress import IPv4Address, IPv4Network

_GATEWAY = 1  # the first address belongs to the ingress gateway's pod


class AddressesExhausted(Exception):
    """Every address of the pod network is in use."""


def gateway_address(network: IPv4Network) -> IPv4Address:
    return network[_GATEWAY]


def next_address(network: IPv4Network, taken: Container[str], after: str = "") -> str:
    """The first free address behind `after`, going round.

    Going on instead of filling gaps keeps a freed address unused for as long as possible: a proxy that has not heard
    yet of a pod's end must not find another pod there.
    """
    size = network.num_addresses - 2 - _GATEWAY  # without network, gateway and broadcast address
    start = int(IPv4Address(after)) - int(network[0]) - _GATEWAY if after and IPv4Address(after) in network else 0
    for step in range(size):
        candidate = str(network[_GATEWAY + 1 + (start + step) % size])
        if candidate not in taken:
            return candidate
    raise AddressesExhausted(f"all {size} addresses of {network} are in use; choose a larger pod network")
