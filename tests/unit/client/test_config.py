"""A kubeconfig says where to go and how to be let in; what is missing is named."""

import base64
from pathlib import Path

import pytest
import yaml

from graylane.client.config import load_kubeconfig
from graylane.errors import UserError


def write(path: Path, **user: object) -> Path:
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
        "clusters": [
            {
                "name": "c",
                "cluster": {
                    "server": "https://127.0.0.1:6443/",
                    "certificate-authority-data": base64.b64encode(b"CA").decode(),
                },
            }
        ],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_token_kubeconfig_is_read(tmp_path: Path) -> None:
    config = load_kubeconfig(write(tmp_path / "config", token="secret"))
    assert (config.server, config.token, config.ca_data, config.namespace) == (
        "https://127.0.0.1:6443",
        "secret",
        b"CA",
        "shop",
    )


def test_certificate_files_are_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "me.crt").write_bytes(b"CERT")
    config = load_kubeconfig(write(tmp_path / "config", **{"client-certificate": "me.crt"}))
    assert config.client_cert == b"CERT"


def test_a_missing_file_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="graylane up"):
        load_kubeconfig(tmp_path / "absent")


def test_a_missing_context_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="context 'there' is not defined"):
        load_kubeconfig(write(tmp_path / "config", token="t"), context="there")


def test_a_login_plugin_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'exec'"):
        load_kubeconfig(write(tmp_path / "config", exec={"command": "aws"}))


def test_several_files_are_read_as_one_and_absent_ones_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "me.crt").write_bytes(b"CERT")
    users = {"users": [{"name": "u", "user": {"client-certificate": "me.crt"}}]}
    (tmp_path / "there" / "users").write_text(yaml.safe_dump(users))
    files = [tmp_path / "absent", tmp_path / "there" / "users", write(tmp_path / "config", token="later")]
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, files)))
    config = load_kubeconfig()
    assert config.server == "https://127.0.0.1:6443"
    assert (config.client_cert, config.token) == (b"CERT", None)


def test_when_no_named_file_exists_all_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/a:{tmp_path}/b")
    with pytest.raises(UserError, match=r"/a, .*/b does not exist; start a cluster"):
        load_kubeconfig()


def test_a_certificate_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"client-certificate cannot be read: .*absent\.crt"):
        load_kubeconfig(write(tmp_path / "config", **{"client-certificate": "absent.crt"}))


def test_a_server_that_is_no_url_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "config", token="t")
    path.write_text(path.read_text().replace("https://127.0.0.1:6443/", "somewhere"))
    with pytest.raises(UserError, match="config: server 'somewhere' is no URL"):
        load_kubeconfig(path)
