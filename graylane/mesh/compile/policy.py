"""The traffic policy that holds for one cluster: top level, port level, subset level, block by block.

Pure. In: a merged `Rule`, a port, a subset. Out: `Policy`. Blocks replace one another whole, they never mix.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isqrt
from typing import Any

from graylane.mesh import durations
from graylane.mesh.compile.rules import Rule
from graylane.mesh.inputs import Block, Subset
from graylane.mesh.table import HashKey

_BLOCKS = ("connectionPool", "outlierDetection", "loadBalancer", "tls")


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """`outlier` None means no outlier detection; an empty block means all of its defaults.

    `tls` is {} where nothing is encrypted; `proxy_protocol` is the version that connections begin with, "" for none.
    """

    pool: Block
    outlier: Block | None
    balancer: Block
    tls: Block = field(default_factory=dict)
    proxy_protocol: str = ""

    @property
    def passthrough(self) -> bool:
        """Whether requests go to the address that the client asked for, whatever its subset."""
        return self.balancer.get("simple") == "PASSTHROUGH"


NO_POLICY = Policy({}, None, {})


def policy_for(rule: Rule | None, port: int, subset: Subset | None) -> Policy:
    if rule is None:
        return NO_POLICY
    blocks = dict(_at_port(rule.policy, port) or {name: rule.policy.get(name) for name in _BLOCKS})
    if subset is not None:
        at_port = _at_port(subset.policy, port)
        if at_port is not None:
            blocks = at_port
        else:
            blocks.update({name: subset.policy[name] for name in _BLOCKS if subset.policy.get(name) is not None})
    balancer = blocks.get("loadBalancer") or {}
    if hashing_fault(balancer):
        balancer = {}  # told in the object's findings
    return Policy(
        pool=blocks.get("connectionPool") or {},
        outlier=blocks.get("outlierDetection"),
        balancer=balancer,
        tls=_encrypting(blocks.get("tls")),
        proxy_protocol=_proxy_protocol(port, rule.policy, subset.policy if subset else {}),
    )


def _encrypting(block: Block | None) -> Block:
    return block if block and block.get("mode") in ("SIMPLE", "MUTUAL") else {}


def _proxy_protocol(port: int, *policies: Block) -> str:
    """No setting of a port's, and lost where its own policy has settings for the port."""
    apart = (policy for policy in reversed(policies) if _at_port(policy, port) is None)
    written = (policy["proxyProtocol"] for policy in apart if policy.get("proxyProtocol") is not None)
    return next((str(block.get("version") or "V1") for block in written), "")


def _at_port(policy: Block, port: int) -> dict[str, Any] | None:
    for entry in policy.get("portLevelSettings") or ():
        if (entry.get("port") or {}).get("number") == port:
            return {name: entry.get(name) for name in _BLOCKS}
    return None


def hash_keys(rule: Rule | None, port: int | None, subset: str) -> tuple[HashKey, ...]:
    """What a route looks at to keep its requests with one pod, which is not what the cluster's policy comes to: the
    nearest block that hashes, and settings of a port only where the destination names this port.
    """
    if rule is None:
        return ()
    near = rule.subset(subset) if subset else None
    levels = [near.policy, rule.policy] if near else [rule.policy]
    for policy in levels:
        for block in (_at_port(policy, port) if port else None, policy):
            balancer = (block or {}).get("loadBalancer") or {}
            if balancer.get("consistentHash") and not hashing_fault(balancer):
                return _hash_keys(balancer["consistentHash"])
    return ()


def _hash_keys(block: Block | None) -> tuple[HashKey, ...]:
    if not block:
        return ()
    if block.get("httpHeaderName"):
        return (HashKey("header", str(block["httpHeaderName"])),)
    if block.get("httpCookie"):
        cookie = block["httpCookie"]
        ttl = durations.seconds(str(cookie["ttl"])) if cookie.get("ttl") is not None else None
        return (HashKey("cookie", str(cookie.get("name", "")), str(cookie.get("path", "")), ttl),)
    if block.get("useSourceIp"):
        return (HashKey("source"),)
    if block.get("httpQueryParameterName"):
        return (HashKey("query", str(block["httpQueryParameterName"])),)
    return ()


_LARGEST_TABLE = 5_000_011
_LARGEST_RING = 8 << 20


def hashing_fault(balancer: Block) -> str:
    """Why Envoy could not build this hashing, and would then fall silent about every cluster; "" if it can."""
    hashing = balancer.get("consistentHash") or {}
    size = (hashing.get("maglev") or {}).get("tableSize")
    if size is not None and not (1 < int(size) <= _LARGEST_TABLE and _is_prime(int(size))):
        return f"consistentHash.maglev.tableSize {size} must be a prime number of at most {_LARGEST_TABLE}"
    ring = (hashing.get("ringHash") or {}).get("minimumRingSize") or hashing.get("minimumRingSize") or 0
    if int(ring) > _LARGEST_RING:
        return f"consistentHash.ringHash.minimumRingSize {ring} must be at most {_LARGEST_RING}"
    return ""


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, isqrt(number) + 1))


def every(part: str, rule: Block) -> Iterable[Block]:
    """Every block of this name of a DestinationRule's spec, at all its levels."""
    policies = [rule.get("trafficPolicy"), *(subset.get("trafficPolicy") for subset in rule.get("subsets") or ())]
    for policy in filter(None, policies):
        for block in (policy, *(policy.get("portLevelSettings") or ())):
            if block.get(part):
                yield block[part]
