"""Certificates: made once, trusted by a real TLS client, renewed when they no longer do."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from graylane.client import load_kubeconfig
from graylane.cluster.pki import Authority, Pair, token, write_kubeconfig
from graylane.errors import UserError

NOW = datetime.now(UTC)
HOSTS = ["127.0.0.1", "localhost", "kubernetes.default.svc"]


def handshake(ca: bytes, server: Pair, name: str) -> None:
    """A TLS handshake in memory, with the checks of a strict client."""
    client = ssl.create_default_context(cadata=ca.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(server.certificate, server.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server, server_hostname=name), served.wrap_bio(to_server, to_client, True)]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("name", HOSTS)
def test_a_client_that_trusts_the_authority_accepts_the_server_under_each_name(tmp_path: Path, name: str) -> None:
    authority = Authority(tmp_path, NOW)
    handshake(authority.bundle, authority.server("apiserver", HOSTS), name)


def test_another_name_is_not_accepted(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority.bundle, authority.server("apiserver", HOSTS), "127.0.0.2")


def test_everything_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = Authority(tmp_path, NOW)
    made = (first.bundle, first.server("apiserver", HOSTS).pem, token(tmp_path / "admin.token"))
    second = Authority(tmp_path, NOW + timedelta(days=1))
    assert (second.bundle, second.server("apiserver", HOSTS[:1]).pem, token(tmp_path / "admin.token")) == made


@pytest.mark.parametrize(
    ("days", "hosts"), [(380, HOSTS), (0, [*HOSTS, "10.0.0.1"])], ids=["its end is near", "a name is missing"]
)
def test_a_server_certificate_is_made_anew_when(tmp_path: Path, days: int, hosts: list[str]) -> None:
    old = Authority(tmp_path, NOW).server("apiserver", HOSTS).pem
    assert Authority(tmp_path, NOW + timedelta(days=days)).server("apiserver", hosts).pem != old


def test_a_new_authority_makes_new_server_certificates(tmp_path: Path) -> None:
    first = Authority(tmp_path, NOW)
    old = first.server("apiserver", HOSTS).pem
    first.pair.key.unlink()
    second = Authority(tmp_path, NOW)
    assert second.server("apiserver", HOSTS).pem != old
    handshake(second.bundle, second.server("apiserver", HOSTS), "localhost")


def test_only_the_owner_may_read_keys_tokens_and_kubeconfigs(tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    Authority(directory, NOW).server("apiserver", HOSTS)
    token(directory / "admin.token")
    write_kubeconfig(directory / "kubeconfig", server="https://127.0.0.1:6443", ca=b"x", token="t")
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_kubeconfig_is_read_back_by_the_client(tmp_path: Path) -> None:
    write_kubeconfig(tmp_path / "kubeconfig", server="https://127.0.0.1:6443", ca=b"CA", token="secret")
    config = load_kubeconfig(tmp_path / "kubeconfig")
    assert (config.server, config.ca_data, config.token) == ("https://127.0.0.1:6443", b"CA", "secret")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    Authority(tmp_path, NOW)
    (tmp_path / "ca.key").write_text("damaged")
    with pytest.raises(UserError, match=r"ca\.key is not a PEM key"):
        Authority(tmp_path, NOW)
