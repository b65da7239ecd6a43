"""A real kube-apiserver and its etcd, the judge of our own server.

Shell (two processes). In: the directory that `KUBEBUILDER_ASSETS` names (envtest's convention: binaries `etcd` and
`kube-apiserver` in it), a directory of one's own. Out: `ControlPlane`, ready to be asked; nothing is left at its end.

No controller manager runs beside it, so what a controller does (ServiceAccounts' tokens, garbage collection, the end
of a namespace's content) does not happen. Our server in these scenarios runs without controllers as well.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from graylane.cluster import pki

ASSETS = "KUBEBUILDER_ASSETS"
TOKENS = {"conformance": 'admin,admin,"system:masters"', "nobody": "nobody,nobody"}
_START_SECONDS = 180.0
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where it listens and what to trust; `TOKENS` are let in."""

    url: str
    ca: bytes


@contextlib.contextmanager
def started(assets: Path, directory: Path) -> Iterator[ControlPlane]:
    """Raises `AssertionError` with the end of the log when a process does not come up."""
    directory.mkdir(parents=True, exist_ok=True)
    client, peer, port = (_free_port() for _ in range(3))
    authority = pki.Authority(directory / "pki", datetime.now(UTC))
    pair = authority.server("kube-apiserver", [_HOST, "localhost"])
    with contextlib.ExitStack() as stack:
        stack.enter_context(_running(_etcd(assets, directory, client, peer), directory / "etcd.log"))
        command = _apiserver(assets, directory, client, port, pair)
        server = stack.enter_context(_running(command, directory / "kube-apiserver.log"))
        plane = ControlPlane(f"https://{_HOST}:{port}", authority.bundle)
        _await_ready(plane, server, directory / "kube-apiserver.log")
        yield plane


def _etcd(assets: Path, directory: Path, client: int, peer: int) -> list[str]:
    here, there = f"http://{_HOST}:{client}", f"http://{_HOST}:{peer}"
    flags = {
        "data-dir": directory / "etcd",
        "listen-client-urls": here,
        "advertise-client-urls": here,
        "listen-peer-urls": there,
        "initial-advertise-peer-urls": there,
        "initial-cluster": f"default={there}",
        "unsafe-no-fsync": "true",
    }
    return [str(assets / "etcd"), *(f"--{name}={value}" for name, value in flags.items())]


def _apiserver(assets: Path, directory: Path, etcd: int, port: int, pair: pki.Pair) -> list[str]:
    tokens, public = directory / "tokens.csv", directory / "accounts.pub"
    tokens.write_text("".join(f"{token},{user}\n" for token, user in TOKENS.items()))
    public.write_bytes(_public_key(pair))
    flags = {
        "etcd-servers": f"http://{_HOST}:{etcd}",
        "bind-address": _HOST,
        "advertise-address": _HOST,
        "secure-port": port,
        "tls-cert-file": pair.certificate,
        "tls-private-key-file": pair.key,
        "cert-dir": directory,
        "token-auth-file": tokens,
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": public,
        "service-account-signing-key-file": pair.key,
        "service-cluster-ip-range": "10.96.0.0/16",
        "disable-admission-plugins": "ServiceAccount",
        "endpoint-reconciler-type": "none",
    }
    return [str(assets / "kube-apiserver"), *(f"--{name}={value}" for name, value in flags.items())]


def _public_key(pair: pki.Pair) -> bytes:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def _await_ready(plane: ControlPlane, server: subprocess.Popen[bytes], log: Path) -> None:
    context = ssl.create_default_context(cadata=plane.ca.decode())
    request = urllib.request.Request(f"{plane.url}/readyz", headers={"Authorization": "Bearer conformance"})
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(request, context=context, timeout=5)
            return
        time.sleep(0.1)
    raise AssertionError(f"kube-apiserver did not become ready:\n{log.read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
