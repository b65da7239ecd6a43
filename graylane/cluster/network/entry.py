"""How a pod's processes get into its network: the words in front of their command, and their resolv.conf.

Shell. In: the namespace's path, where resolv.conf goes, host name. Out: words for `Launch.through`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from graylane.cluster.network import enter

_LONGEST_NAME = 63  # of a host, in Linux as in DNS; Kubernetes cuts a pod's name too


def entry(namespace: str, resolver: Path, name: str) -> tuple[str, ...]:
    host = name[:_LONGEST_NAME].rstrip("-.")
    return (sys.executable, "-I", "-S", enter.__file__, namespace, str(resolver), host)


def write_resolver(path: Path, server: str, namespace: str, domain: str = "cluster.local") -> None:
    """A pod's resolv.conf, as the kubelet of a cluster writes it."""
    search = f"{namespace}.svc.{domain} svc.{domain} {domain}"
    path.write_text(f"search {search}\nnameserver {server}\noptions ndots:5\n")
