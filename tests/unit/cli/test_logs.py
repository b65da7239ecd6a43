"""Log lines: everything in the file, single lines on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from graylane.cli import logs


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Logging is global: put back what pytest had."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before, level


def say() -> None:
    logging.getLogger("graylane.x").info("an Envoy connected", extra={"peer": "ipv4:1"})
    try:
        raise ValueError("bad\nvalue")
    except ValueError:
        logging.getLogger("graylane.x").exception("compiling failed")


def test_the_file_has_everything_and_the_terminal_single_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(logs.DEBUG, raising=False)
    logs.set_up(tmp_path / "d" / "graylane.log", terminal=True)
    say()
    text = (tmp_path / "d" / "graylane.log").read_text()
    assert "INFO graylane.x: an Envoy connected peer=ipv4:1\n" in text
    assert "Traceback" in text
    assert capsys.readouterr().err == "graylane: compiling failed: ValueError: bad value\n"


def test_debug_shows_traces_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(logs.DEBUG, "1")
    logs.set_up(tmp_path / "graylane.log", terminal=True)
    say()
    assert "Traceback" in capsys.readouterr().err


def test_a_background_process_says_nothing_beside_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(tmp_path / "graylane.log", terminal=False)
    say()
    assert capsys.readouterr().err == ""
