"""OpenKruise's own providers and Lua as the judge: what they made of an object, and what ours makes of it.

The goldens were recorded from the code of 0.5.0 and 0.6.2 (decision 25). Where ours is another, the case names the row
of the documents that says why; a case that has such a row and is the same again has to lose it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.testing.inline import INLINE, run_at_once
from graylane.trafficrouting.lua.script import LuaError, Script
from graylane.trafficrouting.providers import ingress
from graylane.trafficrouting.providers.custom import Contribution, script_input, script_output
from graylane.trafficrouting.scripts import shipped

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "openkruise"
LATEST, FIRST = "there in 0.6.2", "there in 0.5.0"
_SAME_ANNOTATIONS = {"higress": "nginx"}


def golden(name: str) -> Any:
    return yaml.load((GOLDEN / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


ROUTES: list[dict[str, Any]] = golden("routes.yaml")
SCRIPTS: dict[str, Any] = golden("scripts.yaml")


def first_cells(document: str) -> set[str]:
    """What the rows of a document's tables are about."""
    return set(re.findall(r"^\| (.*?) \|", (ROOT / "docs" / document).read_text(encoding="utf-8"), re.MULTILINE))


def judged(case: dict[str, Any], ours: Any) -> None:
    """Equal to either version, unless the case says why it is not."""
    theirs = [case[name] for name in ("there", FIRST, LATEST) if name in case]
    if "because" in case:
        assert ours not in theirs[-1:], "the same again: take `because` away"
    else:
        assert ours in theirs


def made(script: Script, case: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """What ours makes of `data`: spec, labels and annotations, as far as there are any."""
    wish = Contribution(
        "web", "shop", case["strategy"], "" if case["canaryService"] == "web" else case["canaryService"]
    )
    result = run_at_once(INLINE.run(script, script_input(data, wish)))
    return {name: part for name, part in script_output(script, data, result).items() if part or name == "spec"}


def annotated(script: Script, case: dict[str, Any]) -> dict[str, Any]:
    wish = Contribution("web", "shop", case["strategy"], case["canaryService"])
    return {"annotations": run_at_once(INLINE.run(script, ingress.script_input(case["annotations"], wish)))}


@pytest.mark.parametrize("case", ROUTES, ids=[case["case"] for case in ROUTES])
def test_what_is_routed_there_is_routed_so_here(case: dict[str, Any]) -> None:
    group, _, kind = case["script"].partition("/")
    script = shipped(_SAME_ANNOTATIONS.get(kind, kind), group)
    assert script is not None
    try:
        ours = annotated(script, case) if "annotations" in case else made(script, case, case["object"])
    except LuaError as error:
        ours = {"error": error.message}
    judged(case, ours)


@pytest.mark.parametrize("case", SCRIPTS["cases"], ids=[case["case"] for case in SCRIPTS["cases"]])
def test_what_a_script_makes_there_it_makes_here(case: dict[str, Any]) -> None:
    script = Script(case["case"], case["script"])
    try:
        ours = made(script, SCRIPTS, SCRIPTS["object"])
    except LuaError:
        ours = {"error": True}
    judged(case, ours)


def test_every_reason_is_a_row_of_the_documents() -> None:
    reasons = {case["because"] for case in ROUTES if "because" in case}
    assert reasons - first_cells("differences.md") == set()
    assert {case["because"] for case in SCRIPTS["cases"] if "because" in case} - first_cells("lua.md") == set()


def test_most_cases_are_the_same() -> None:
    """A golden in which every case had its excuse would judge nothing."""
    assert sum("because" not in case for case in ROUTES) >= 50
    assert sum("because" not in case for case in SCRIPTS["cases"]) >= 45
