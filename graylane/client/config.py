"""Where an API server is and how to be let in.

Shell, for it reads files. In: a kubeconfig path and context, or the pod's service account. Out: `ApiConfig`.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from graylane.errors import UserError

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """One way into one API server. `server` is a URL; PEM data as bytes; `token_file` is read anew for each session."""

    server: str
    token: str | None = None
    token_file: Path | None = None
    ca_data: bytes | None = None
    client_cert: bytes | None = None
    client_key: bytes | None = None
    insecure: bool = False
    server_name: str | None = None
    namespace: str = "default"


def default_kubeconfig() -> Path:
    """`$KUBECONFIG` (its first entry) or `~/.kube/config`, as kubectl looks for it."""
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return Path(named[0]) if named else Path.home() / ".kube" / "config"


def load_kubeconfig(path: Path | None = None, context: str | None = None) -> ApiConfig:
    """Read `path` (default: `default_kubeconfig()`). Raises `UserError` naming the file and the missing part."""
    path = path or default_kubeconfig()
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise UserError(
            f"kubeconfig {path} does not exist; start a cluster with `graylane up` or set KUBECONFIG"
        ) from error
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"kubeconfig {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise UserError(f"kubeconfig {path} is not a kubeconfig: a mapping is expected")
    return _resolve(_Kubeconfig(path, document), context)


@dataclass(frozen=True, slots=True)
class _Kubeconfig:
    path: Path
    document: dict[str, Any]

    def entry(self, section: str, singular: str, name: str) -> dict[str, Any]:
        for item in self.document.get(section) or []:
            if item.get("name") == name:
                found: dict[str, Any] = item.get(singular) or {}
                return found
        raise UserError(f"kubeconfig {self.path}: {singular} {name!r} is not defined under {section}")

    def pem(self, entry: dict[str, Any], field: str) -> bytes | None:
        """`<field>-data` (base64) or the file that `<field>` names, relative to the kubeconfig."""
        if data := entry.get(f"{field}-data"):
            return base64.b64decode(data)
        if name := entry.get(field):
            return (self.path.parent / str(name)).read_bytes()
        return None


def _resolve(kubeconfig: _Kubeconfig, context_name: str | None) -> ApiConfig:
    name = context_name or kubeconfig.document.get("current-context")
    if not name:
        raise UserError(f"kubeconfig {kubeconfig.path}: no current-context; name one with --context")
    context = kubeconfig.entry("contexts", "context", name)
    cluster = kubeconfig.entry("clusters", "cluster", str(context.get("cluster")))
    user = kubeconfig.entry("users", "user", str(context.get("user"))) if context.get("user") else {}
    for unsupported in ("exec", "auth-provider", "username"):
        if unsupported in user:
            raise UserError(
                f"kubeconfig {kubeconfig.path}: user {context['user']!r} logs in by {unsupported!r}, "
                "which Graylane does not support; use a token or a client certificate"
            )
    return ApiConfig(
        server=str(cluster.get("server", "")).rstrip("/"),
        token=user.get("token"),
        token_file=Path(user["tokenFile"]) if user.get("tokenFile") else None,
        ca_data=kubeconfig.pem(cluster, "certificate-authority"),
        client_cert=kubeconfig.pem(user, "client-certificate"),
        client_key=kubeconfig.pem(user, "client-key"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=cluster.get("tls-server-name"),
        namespace=context.get("namespace") or "default",
    )


def in_cluster() -> ApiConfig | None:
    """The pod's own service account, or None outside a pod."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (_SERVICE_ACCOUNT / "token").exists():
        return None
    return ApiConfig(
        server=f"https://{host}:{port}",
        token_file=_SERVICE_ACCOUNT / "token",
        ca_data=(_SERVICE_ACCOUNT / "ca.crt").read_bytes(),
        namespace=(_SERVICE_ACCOUNT / "namespace").read_text().strip(),
    )
