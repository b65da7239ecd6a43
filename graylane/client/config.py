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


def named_kubeconfigs() -> list[Path]:
    """The files of `$KUBECONFIG`, or `~/.kube/config`, as kubectl looks for them."""
    named = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path.home() / ".kube" / "config"]


def load_kubeconfig(path: Path | None = None, context: str | None = None) -> ApiConfig:
    """Read `path`, or all `named_kubeconfigs()` that exist. Raises `UserError` naming the file and the missing part."""
    named = [path] if path else named_kubeconfigs()
    present = [found for found in named if found.exists()]
    if not present:
        places = ", ".join(map(str, named))
        raise UserError(f"kubeconfig {places} does not exist; start a cluster with `graylane up` or set KUBECONFIG")
    return _resolve(_Kubeconfig(tuple(_read(found) for found in present)), context)


def _read(path: Path) -> _File:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"kubeconfig {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise UserError(f"kubeconfig {path} is not a kubeconfig: a mapping is expected")
    return _File(path, document)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One named entry, and the file it is from: names of files in it are relative to that."""

    path: Path
    body: dict[str, Any]

    def pem(self, field: str) -> bytes | None:
        """`<field>-data` (base64) or the file that `<field>` names."""
        try:
            if data := self.body.get(f"{field}-data"):
                return base64.b64decode(data)
            if name := self.body.get(field):
                return (self.path.parent / str(name)).read_bytes()
        except (OSError, ValueError) as error:
            raise UserError(f"kubeconfig {self.path}: {field} cannot be read: {error}") from error
        return None


@dataclass(frozen=True, slots=True)
class _Kubeconfig:
    """Several files are read as one; of entries with the same name the first counts, as for kubectl."""

    files: tuple[_File, ...]

    def __str__(self) -> str:
        return "kubeconfig " + ", ".join(str(file.path) for file in self.files)

    @property
    def current_context(self) -> str:
        named = (file.document.get("current-context") for file in self.files)
        return next((str(name) for name in named if name), "")

    def entry(self, section: str, singular: str, name: str) -> _Entry:
        for file in self.files:
            for item in file.document.get(section) or []:
                if item.get("name") == name:
                    return _Entry(file.path, item.get(singular) or {})
        raise UserError(f"{self}: {singular} {name!r} is not defined under {section}")


def _resolve(kubeconfig: _Kubeconfig, context_name: str | None) -> ApiConfig:
    name = context_name or kubeconfig.current_context
    if not name:
        raise UserError(f"{kubeconfig}: no current-context; name one with --context")
    context = kubeconfig.entry("contexts", "context", name).body
    cluster = kubeconfig.entry("clusters", "cluster", str(context.get("cluster")))
    user = _user(kubeconfig, str(context.get("user") or ""))
    server = str(cluster.body.get("server", "")).rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise UserError(f"kubeconfig {cluster.path}: server {server!r} is no URL; write e.g. https://127.0.0.1:6443")
    return ApiConfig(
        server=server,
        token=user.body.get("token"),
        token_file=user.path.parent / user.body["tokenFile"] if user.body.get("tokenFile") else None,
        ca_data=cluster.pem("certificate-authority"),
        client_cert=user.pem("client-certificate"),
        client_key=user.pem("client-key"),
        insecure=bool(cluster.body.get("insecure-skip-tls-verify")),
        server_name=cluster.body.get("tls-server-name"),
        namespace=context.get("namespace") or "default",
    )


def _user(kubeconfig: _Kubeconfig, name: str) -> _Entry:
    if not name:
        return _Entry(Path(), {})
    user = kubeconfig.entry("users", "user", name)
    for unsupported in ("exec", "auth-provider", "username"):
        if unsupported in user.body:
            raise UserError(
                f"kubeconfig {user.path}: user {name!r} logs in by {unsupported!r}, "
                "which Graylane does not support; use a token or a client certificate"
            )
    return user


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
