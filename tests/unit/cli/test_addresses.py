"""A cluster stays where it was; what is typed wins."""

from pathlib import Path

import pytest

from graylane.cli.addresses import FILE, Addresses, chosen, keep

MOVED = Addresses("127.0.0.9", 7443, 30443)


def test_at_first_everything_is_where_it_is_expected(tmp_path: Path) -> None:
    assert chosen(tmp_path / "new", None, None, None) == (Addresses("127.0.0.1", 6443, 30080), "")


def test_the_last_run_is_remembered_and_told(tmp_path: Path) -> None:
    keep(tmp_path, MOVED)
    told = "as the last time: --node-ip=127.0.0.9 --api-port=7443 --gateway-port=30443"
    assert chosen(tmp_path, None, None, None) == (MOVED, told)


def test_what_is_typed_wins_and_is_not_told(tmp_path: Path) -> None:
    keep(tmp_path, MOVED)
    found, told = chosen(tmp_path, None, 0, 30080)
    assert (found, told) == (Addresses("127.0.0.9", 0, 30080), "as the last time: --node-ip=127.0.0.9")
    assert chosen(tmp_path, "127.0.0.1", 1, 2) == (Addresses("127.0.0.1", 1, 2), "")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"node_ip": 1, "api_port": "x", "gateway_port": null}'])
def test_a_file_that_cannot_be_used_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert chosen(tmp_path, None, None, None) == (Addresses(), "")
