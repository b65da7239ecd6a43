"""The command line as a whole: help, errors in one line, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graylane.cli import root
from graylane.cli.exits import CheckFailed, Exit, GaveUp, Refused, code_of
from graylane.cli.root import VERBS, run
from graylane.errors import ApiError, Conflict, GraylaneError, Invalid, NotFound, Unavailable, UserError

CODES = [
    (CheckFailed("x"), Exit.FAILED),
    (UserError("x"), Exit.USAGE),
    (Invalid("x"), Exit.USAGE),
    (NotFound("x"), Exit.NOT_FOUND),
    (Refused("x"), Exit.REFUSED),
    (Conflict("x"), Exit.REFUSED),
    (ApiError("x"), Exit.REFUSED),
    (Unavailable("x"), Exit.UNREACHABLE),
    (GaveUp("x"), Exit.GAVE_UP),
    (GraylaneError("x"), Exit.DEFECT),
]


@pytest.mark.parametrize(("error", "code"), CODES)
def test_every_error_has_its_exit_code(error: GraylaneError, code: Exit) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    assert f"graylane {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_help_names_what_an_option_takes_in_words_of_its_user(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([verb, "--help"])
    options = capsys.readouterr().out.partition("Options:")[2]
    assert not [word for word in ("<path>", "<str>", "<int", "<float>", "<list[") if word in options]


def test_the_root_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {verb} " in text for verb in VERBS)
    assert "Exit codes" in text


MISTYPED = {
    "aprove rollouts-a": "there is no verb aprove; did you mean approve?",
    "frobnicate": "there is no verb frobnicate; see `graylane --help`",
    "status --untl paused": "status has no option --untl; did you mean --until?",
    "up --gateway-prt 30090": "up has no option --gateway-prt; did you mean --gateway-port?",
    "status -z": "status has no option -z; see `graylane status --help`",
    "--hepl": "there is no option --hepl; did you mean --help?",
    "approve": "approve: missing argument 'ROLLOUT'; see `graylane approve --help`",
    "history -o wide": (
        "history: invalid value for '--output' / '-o': 'wide' is not one of 'text', 'json', 'yaml'; "
        "see `graylane history --help`"
    ),
}


@pytest.mark.parametrize("typed", MISTYPED)
def test_what_is_mistyped_is_answered_in_one_line_with_what_was_meant(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(typed.split()) == Exit.USAGE
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"graylane: {MISTYPED[typed]}\n")


def test_who_types_no_verb_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == Exit.DONE
    assert "  approve " in capsys.readouterr().out


def test_an_error_is_one_line_without_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["status", "--kubeconfig", str(tmp_path / "nosuch")])
    captured = capsys.readouterr()
    assert code == Exit.USAGE
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "graylane up" in captured.err


def test_a_defect_is_one_line_too_and_shows_its_trace_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> int:
        raise ZeroDivisionError("what\never")

    monkeypatch.setattr(root, "_root", broken)
    monkeypatch.setenv("GRAYLANE_DEBUG", "")
    assert run(["status"]) == Exit.DEFECT
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "ZeroDivisionError: what ever" in told
    assert "--debug" in told
    assert run(["status", "--debug"]) == Exit.DEFECT
    assert "Traceback" in capsys.readouterr().err


def test_the_data_directory_is_told_when_nothing_runs_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["kubeconfig", "--data", str(tmp_path)]) == Exit.USAGE
    assert "graylane up" in capsys.readouterr().err
    assert run(["down", "--data", str(tmp_path), "--purge"]) == Exit.DONE
    assert not tmp_path.exists()


def test_a_purge_deletes_what_a_cluster_wrote_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("api", "pki", "thesis"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("x")
    for file in (
        "lock",
        "graylane.log",
        "graylane.log.1",
        "images.yaml",
        ".kubeconfig.7",
    ):  # of one killed in its write
        (tmp_path / file).write_text("x")
    assert run(["down", "--data", str(tmp_path), "--purge"]) == Exit.DONE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.yaml", "thesis"]
    assert "not ours: images.yaml, thesis" in capsys.readouterr().out


def test_a_purge_of_a_directory_that_was_never_a_clusters_deletes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pods").mkdir()
    assert run(["down", "--data", str(tmp_path), "--purge"]) == Exit.USAGE
    assert (tmp_path / "pods").is_dir()
    assert f"{tmp_path} holds no cluster's data" in capsys.readouterr().err


def test_help_imports_neither_the_client_nor_the_cluster() -> None:
    check = (
        "import sys; from graylane.cli.root import run; run(['--help'])\n"
        "heavy = {'aiohttp', 'grpc', 'lupa', 'graylane.app', 'graylane.client'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False, capture_output=True).returncode == 0


def test_a_reader_that_goes_away_is_no_failure() -> None:
    """As `graylane analyze … | head -1` has it, also under `set -o pipefail`."""
    examples = Path(__file__).parents[3] / "examples" / "end-to-end-canary"
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "graylane.cli", "analyze", "-f", str(examples), "-o", "json"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (Exit.DONE, b"")
