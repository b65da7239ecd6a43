"""Which file holds the authorities that this machine trusts."""

from __future__ import annotations

from pathlib import Path

import pytest

from graylane.mesh import authorities


def test_what_openssl_is_told_comes_first_and_then_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, usual = tmp_path / "told.pem", tmp_path / "usual.pem"
    monkeypatch.setattr(authorities, "_USUAL", (str(tmp_path / "nowhere.pem"), str(usual)))
    monkeypatch.setenv("SSL_CERT_FILE", str(told))
    assert authorities.of_this_machine() == ""
    usual.touch()
    assert authorities.of_this_machine() == str(usual)
    told.touch()
    assert authorities.of_this_machine() == str(told)
