"""How one API server is set up.

Pure. In: paths, addresses and credentials chosen by the caller. Out: frozen values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from graylane.cluster.apiserver.exchange import User
from graylane.cluster.apiserver.store.history import CAPACITY

SERVICE_CIDR = IPv4Network("10.96.0.0/16")
MAX_BODY = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ApiServerConfig:
    """`tokens` maps bearer tokens to users; `port` 0 takes a free one. Paths are PEM files.

    `git_version` is what `/version` says; by default that of the schemas that are served.

    `history` is how many changes a watch may be behind when it resumes.

    `ca` is what clients need to trust this server; it is handed to pods as ConfigMap and Secret data.

    `kubelet_token` and `kubelet_ca` are what the server shows to, and checks of, a node when it fetches logs.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    tokens: Mapping[str, User] = field(default_factory=dict)
    kubelet_token: str = ""
    kubelet_ca: Path | None = None
    service_cidr: IPv4Network = SERVICE_CIDR
    node_ports: range = range(30000, 32768)
    max_body: int = MAX_BODY
    history: int = CAPACITY
    git_version: str = ""

    def bundle(self) -> str:
        """The authority's certificate as PEM, "" when there is none: one authority signs for all parts."""
        path = self.ca or self.kubelet_ca
        return path.read_text() if path else ""
