"""Host names as Istio compares them: short names, wildcards, which of two is more specific.

Pure. In: host texts of VirtualServices, DestinationRules, Gateways and Services. Out: full names, yes/no, sort keys.
"""

from __future__ import annotations

from collections.abc import Set
from functools import lru_cache
from ipaddress import ip_address

from graylane.model.meta import Key

DOMAIN = "cluster.local"


def fqdn(service: str, namespace: str, domain: str) -> str:
    return f"{service}.{namespace}.svc.{domain}"


def resolve(host: str, namespace: str, domain: str) -> str:
    """A short name means a service of `namespace`; names with a dot, wildcards and addresses mean themselves."""
    if "." in host or host.startswith("*") or is_address(host):
        return host.lower()
    return fqdn(host, namespace, domain).lower()


def full_name(host: str, namespace: str) -> str:
    """`resolve` in a cluster with the usual domain."""
    return resolve(host, namespace, DOMAIN)


def service_key(host: str, namespace: str) -> Key | None:
    """The Service a caller in `namespace` means by `host` (`b`, `b.ns`, `b.ns.svc`, …); None for other hosts."""
    name, *rest = host.lower().split(".")
    if not rest:
        return Key(namespace, name)
    tail = ".".join(rest[1:])
    return Key(rest[0], name) if tail in ("", "svc", f"svc.{DOMAIN}") else None


@lru_cache(maxsize=8192)
def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_wildcard(host: str) -> bool:
    return host.startswith("*")


def matches(left: str, right: str) -> bool:
    """Whether two hosts have a name in common: `*.a.b` and `x.a.b` do, `*.a.b` and `a.b` do not."""
    if is_wildcard(left) and is_wildcard(right):
        shorter, longer = sorted((left[1:], right[1:]), key=len)
        return longer.endswith(shorter)
    if is_wildcard(left):
        return _covers(left, right)
    if is_wildcard(right):
        return _covers(right, left)
    return left == right


def covers(pattern: str, host: str) -> bool:
    """Whether every name that `host` stands for is one of `pattern`'s."""
    return pattern == host or (is_wildcard(pattern) and _covers(pattern, host))


def covered(patterns: Set[str], host: str) -> bool:
    """Whether one of `patterns` covers `host`. Wildcards are looked up by their text: there may be thousands."""
    return host in patterns or any("*" + host[cut:] in patterns for cut in range(1, len(host) + 1))


def _covers(wildcard: str, host: str) -> bool:
    suffix = wildcard[1:]
    return len(host) > len(suffix) and host.endswith(suffix) if suffix else True


def specificity(host: str) -> tuple[bool, int, str]:
    """Sort key, most specific first: plain before wildcard, longer before shorter, then by the alphabet."""
    return (is_wildcard(host), -len(host), host)


def narrower(left: str, right: str) -> str:
    """The more specific of two hosts that match each other."""
    return min(left, right, key=specificity)


def service_names(service: str, namespace: str, domain: str, client_namespace: str) -> list[str]:
    """Every name by which a client in `client_namespace` may call the service, the full name first."""
    names = [f"{service}.{namespace}.svc.{domain}"]
    if namespace == client_namespace:
        names.append(service)
    return [*names, f"{service}.{namespace}.svc", f"{service}.{namespace}"]


def gateway_name(name: str, namespace: str) -> str:
    """`gw` and `./gw` are of the writer's namespace; `ns/gw` is itself; the old `gw.ns…` means `ns/gw`."""
    if name == "mesh":
        return name
    if "/" in name:
        space, _, short = name.partition("/")
        return f"{namespace if space == '.' else space}/{short}"
    if "." in name:
        short, _, rest = name.partition(".")
        return f"{rest.split('.', 1)[0]}/{short}"
    return f"{namespace}/{name}"
