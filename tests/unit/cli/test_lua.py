"""`graylane lua test`: cases hold, or a diff says why not, with script and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from graylane.cli.exits import Exit
from graylane.cli.root import run

SCRIPTS = Path(__file__).parents[3] / "graylane" / "trafficrouting" / "scripts"
CASE = "strategy: {weight: 20}\nobject: {spec: {a: 1}}\n"


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.lua")), ids=lambda path: path.parent.name)
def test_every_shipped_script_passes_its_cases(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = script.parent / "cases"
    assert run(["lua", "test", str(script), str(cases)]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["ok"] * len(list(cases.glob("*.yaml")))


def test_a_case_that_does_not_hold_is_shown_as_a_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = write(tmp_path, "s.lua", "obj.data.spec.b = obj.canaryWeight\nreturn obj.data")
    good = write(tmp_path, "good.yaml", CASE + "expect: {spec: {a: 1, b: 20}}")
    bad = write(tmp_path, "bad.yaml", CASE + "expect: {spec: {a: 1, b: 30}}")
    assert run(["lua", "test", script, good, bad]) == Exit.FAILED
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"ok      {good}",
        f"FAILED  {bad}",
        f"--- {bad} expected",
        f"+++ {bad} given",
        "@@ -1,4 +1,4 @@",
        " expect:",
        "   spec:",
        "     a: 1",
        "-    b: 30",
        "+    b: 20",
    ]
    assert told.err == f"graylane: {script}: 1 of 2 cases failed\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("return obj.data.spec.rules[1]", "1: attempt to index field 'rules' (a nil value)"),
        ("\nwhile true do end", "2: the script did not finish within"),
        ("return (", "1: unexpected symbol near '<eof>'"),
    ],
)
def test_an_error_names_script_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, message: str
) -> None:
    script = write(tmp_path, "s.lua", source)
    assert run(["lua", "test", script, write(tmp_path, "c.yaml", CASE + "expect: {}")]) == Exit.FAILED
    assert f"{script}:{message}" in capsys.readouterr().out


def test_an_expected_error_must_come(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = write(tmp_path, "c.yaml", CASE + "error: no rule")
    assert run(["lua", "test", write(tmp_path, "s.lua", "error('no rule', 0)"), case]) == Exit.DONE
    assert run(["lua", "test", write(tmp_path, "t.lua", "error('no rules', 0)"), case]) == Exit.FAILED
    assert "-error: no rule\n+error: no rules" in capsys.readouterr().out
    assert run(["lua", "test", write(tmp_path, "u.lua", "return obj.data"), case]) == Exit.FAILED
    assert "-error: no rule\n+expect:" in capsys.readouterr().out


BAD = [
    ("[]", "a case is an object"),
    ("object: [", "not YAML"),
    (CASE + "expected: {}", "expected is not a field of a case"),
    ("expect: {}", "object is missing"),
    (CASE, "either what to expect or the error"),
    (CASE + "expect: {}\nerror: x", "either what to expect or the error"),
    (CASE + "expect: {spec: {day: 2020-01-01}}", "date is not JSON serializable; quote"),
    ("object: {}\nstrategy: [1]\nexpect: {}", "strategy must be an object"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_case_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    script, case = write(tmp_path, "s.lua", "return obj.data"), write(tmp_path, "c.yaml", text)
    assert run(["lua", "test", script, case]) == Exit.USAGE
    told = capsys.readouterr().err
    assert told.startswith(f"graylane: {case}: ")
    assert message in told


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = write(tmp_path, "s.lua", "return obj.data")
    assert run(["lua", "test", str(tmp_path / "no.lua"), str(tmp_path)]) == Exit.USAGE
    assert "no.lua: No such file" in capsys.readouterr().err
    assert run(["lua", "test", script, str(tmp_path)]) == Exit.USAGE
    assert "no .yaml file" in capsys.readouterr().err
    (tmp_path / "b.lua").write_bytes(b"\xff")
    assert run(["lua", "test", str(tmp_path / "b.lua"), str(tmp_path)]) == Exit.USAGE
    assert "not UTF-8" in capsys.readouterr().err
