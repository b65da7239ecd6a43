"""Makes and removes the pods' network namespaces.

Shell (Linux, root). In: `PodNetwork`, pod addresses. Out: namespaces, links and the bridge between them. All are the
kernel's and found by name, so that whatever an earlier run left can be swept. Calls block, and some fork: they are only
for the process of `keeper.py`.

No NAT and no packet filter: inside a namespace the whole range of Service addresses is local, and Envoy, which can
listen in any namespace, listens there. Who connects to a Service's address has therefore reached its own proxy.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

from graylane.cluster.network.plan import FOLDER, PodNetwork
from graylane.errors import UserError

_LOCAL_TABLE, _HOST_SCOPE = 255, 254
_FLAG = "--pod-network=netns"


class Namespaces:
    """From `open` to `close`."""

    def __init__(self, network: PodNetwork) -> None:
        self.network = network

    @classmethod
    def open(cls, network: PodNetwork, *, going_on: bool = False) -> Namespaces:
        """Sweep what an earlier run left, unless it is `going_on`, then make the bridge.

        Raises `UserError` where that is not possible.
        """
        _require_means()
        self = cls(network)
        try:
            if going_on and self._has_bridge():
                return self
            self.close()
            with _links() as links:
                _require_unused(links, network.pods)
                links.link("add", ifname=network.bridge, kind="bridge", address=network.hardware_address)
                index = _index(links, network.bridge)
                links.addr("add", index=index, address=str(network.host_address), prefixlen=network.pods.prefixlen)
                links.link("set", index=index, state="up")
        except _refused() as error:
            raise UserError(f"{_FLAG}: this machine refuses: {error}") from error
        return self

    def attach(self, address: str) -> None:
        """A new namespace for the pod with this address; any that is there goes."""
        from pyroute2 import NetNS, netns

        network, name, link = self.network, self.network.namespace(address), self.network.link(address)
        self.detach(address)
        netns.create(name)
        with _links() as links:
            links.link("add", ifname=link, kind="veth", peer={"ifname": "eth0", "net_ns_fd": name})
            bridge = _index(links, network.bridge)
            links.link("set", index=_index(links, link), master=bridge, state="up")
        with NetNS(name) as inside:
            loopback, ethernet = _index(inside, "lo"), _index(inside, "eth0")
            inside.link("set", index=loopback, state="up")
            inside.addr("add", index=ethernet, address=address, prefixlen=network.pods.prefixlen)
            inside.link("set", index=ethernet, state="up")
            ours = {"oif": loopback, "type": "local", "table": _LOCAL_TABLE, "scope": _HOST_SCOPE}
            inside.route("add", dst=str(network.services), **ours)

    def detach(self, address: str) -> None:
        """Safe to call for one that is gone."""
        name, link = self.network.namespace(address), self.network.link(address)
        with _links() as links:
            # The link first: a namespace lives on, address and all, for as long as a proxy's socket is in it.
            for index in links.link_lookup(ifname=link):
                links.link("del", index=index)
        if name in _existing():
            _remove_namespace(name)

    def retain(self, addresses: set[str]) -> None:
        """Remove what other pods had."""
        kept = {self.network.namespace(each) for each in addresses}
        for name in _existing():
            if self.network.owns_namespace(name) and name not in kept:
                self.detach(name.removeprefix(self.network.namespace("")))

    def _has_bridge(self) -> bool:
        with _links() as links:
            return bool(links.link_lookup(ifname=self.network.bridge))

    def close(self) -> None:
        """Remove every namespace, link and bridge of this network."""
        with _links() as links:
            for link in links.get_links():
                if self.network.owns_link(link.get_attr("IFLA_IFNAME") or ""):
                    with contextlib.suppress(*_refused()):  # it went with another
                        links.link("del", index=link["index"])
        for name in _existing():
            if self.network.owns_namespace(name):
                _remove_namespace(name)


@contextlib.contextmanager
def _links() -> Iterator[Any]:
    from pyroute2 import IPRoute

    with IPRoute() as links:
        yield links


def _require_means() -> None:
    if sys.platform != "linux":
        raise UserError(f"{_FLAG} needs Linux's network namespaces; leave it out on {sys.platform}")
    if os.geteuid() != 0:
        raise UserError(f"{_FLAG} makes network namespaces, which only root may; use sudo, or leave it out")
    try:
        import pyroute2  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"{_FLAG} needs the module pyroute2; install it with: pip install 'graylane[local]'") from error


def _require_unused(links: Any, wanted: IPv4Network) -> None:
    """Pods on addresses that the machine sends elsewhere would be out of reach, or somebody else would."""
    names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in links.get_links()}
    for route in links.get_routes(family=2):
        target, length = route.get_attr("RTA_DST"), route["dst_len"]
        if target and IPv4Network(f"{target}/{length}", strict=False).overlaps(wanted):
            device = names.get(route.get_attr("RTA_OIF"), "another interface")
            raise UserError(f"{_FLAG}: pods would get addresses of {wanted}, which {device} has; choose another --data")


def _index(links: Any, name: str) -> int:
    return int(links.link_lookup(ifname=name)[0])


def _existing() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir()) if FOLDER.is_dir() else []


def _remove_namespace(name: str) -> None:
    from pyroute2 import netns

    try:
        netns.remove(name)
    except OSError:  # a plain file: a crash came between its creation and the mount
        with contextlib.suppress(FileNotFoundError):
            (FOLDER / name).unlink()


def _refused() -> tuple[type[Exception], ...]:
    from pyroute2 import NetlinkError

    return (NetlinkError, OSError)
