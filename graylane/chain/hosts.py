"""Host names as Istio and Kubernetes read them.

Pure. In: a host as somebody wrote it, and the namespace it was written in. Out: full names, Service keys, matches.
Follows Istio: only names without a dot are completed with the writer's own namespace.
"""

from __future__ import annotations

from graylane.model.meta import Key

_DOMAIN = "svc.cluster.local"


def full_name(host: str, namespace: str) -> str:
    """`mockb` in `default` → `mockb.default.svc.cluster.local`; dotted names and `*` stay as they are."""
    return host.lower() if "." in host or host == "*" else f"{host.lower()}.{namespace}.{_DOMAIN}"


def service_key(host: str, namespace: str) -> Key | None:
    """The Service a caller in `namespace` means by `host` (`b`, `b.ns`, `b.ns.svc`, …); None for other hosts."""
    name, *rest = host.lower().split(".")
    if not rest:
        return Key(namespace, name)
    tail = ".".join(rest[1:])
    return Key(rest[0], name) if tail in ("", "svc", _DOMAIN) else None


def host_matches(pattern: str, host: str) -> bool:
    """Whether `pattern` (full name, `*` or `*.suffix`) covers `host`."""
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return pattern == host
