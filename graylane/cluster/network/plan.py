"""The names and addresses of one cluster's pod network.

Pure. In: a tag of the cluster's own and two address ranges. Out: what each namespace, link and bridge is called.

    pod's namespace                                      host
    eth0 <pod address>  ──── link gl<tag><low bits> ──── bridge gl<tag> <first address>
    lo   <all of `services`>: whatever listens there, Envoy does
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

FOLDER = Path("/var/run/netns")  # where `ip netns` keeps them, so that `ip netns exec` works on ours
_FIRST_RANGE, _RANGES = 128, 96  # 10.128.0.0/16 to 10.223.0.0/16: away from 10.96.0.0/16, where Services are


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """`tag` is six hexadecimal digits: a network interface's name has at most fifteen characters."""

    tag: str
    pods: IPv4Network
    services: IPv4Network

    @classmethod
    def of(cls, owner: Path, services: IPv4Network) -> PodNetwork:
        """The network of the cluster whose data is in `owner`: two clusters rarely share one."""
        digest = sha256(str(owner.resolve()).encode())
        pods = IPv4Network(f"10.{_FIRST_RANGE + digest.digest()[0] % _RANGES}.0.0/16")
        return cls(digest.hexdigest()[:6], pods, services)

    @property
    def bridge(self) -> str:
        return f"gl{self.tag}"

    @property
    def hardware_address(self) -> str:
        """The bridge's. One without an address of its own takes that of a link, another when links come and go, and
        pods go on sending to the one they know: their name server is out of reach for ten seconds."""
        return ":".join(("02", "47", "4c", self.tag[:2], self.tag[2:4], self.tag[4:]))

    @property
    def host_address(self) -> IPv4Address:
        """The bridge's own: pods find the name server there, and Envoy and the kubelet speak to pods from it."""
        return self.pods[1]

    @property
    def prefix(self) -> str:
        """The path of a pod's namespace is this and the pod's address."""
        return f"{FOLDER}/{self._name}"

    @property
    def _name(self) -> str:
        return f"graylane-{self.tag}-"

    def namespace(self, address: str) -> str:
        return f"{self._name}{address}"

    def owns_namespace(self, name: str) -> bool:
        return name.startswith(self._name)

    def path(self, address: str) -> str:
        return f"{self.prefix}{address}"

    def link(self, address: str) -> str:
        """The host's end of the pod's link."""
        return f"{self.bridge}{int(IPv4Address(address)) & 0xFFFF:04x}"

    def owns_link(self, name: str) -> bool:
        return name.startswith(self.bridge)
