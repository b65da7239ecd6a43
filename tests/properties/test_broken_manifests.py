"""Whatever manifests hold, `analyze -f` finds fault with them and never with itself."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.cli.exits import Exit
from graylane.cli.root import run
from tests.unit.analyzers.cases import CASES, GOOD
from tests.unit.analyzers.test_kubernetes import GOOD as ROUTED

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples" / "end-to-end-canary"
JUNK = (None, 0, -1, "", "x", "*", [], {}, [None], [[]], {"a": 1}, {1: 2}, True, 1.5, "a/b/c", [{}], 10**30, "ü")
KEPT = {("apiVersion",), ("kind",), ("metadata",), ("metadata", "name")}
Path_ = tuple[Any, ...]


@cache
def documents() -> list[Any]:
    texts = [GOOD, ROUTED, *(row[-1] for row in CASES), *(path.read_text() for path in sorted(EXAMPLES.glob("*.yaml")))]
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


def paths(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    yield here
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in entries:
        yield from paths(below, (*here, key))


def broken(draw: random.Random, document: Any) -> Any:
    """With one field gone, or something else in its place."""
    found = copy.deepcopy(document)
    *way, last = draw.choice([path for path in paths(found) if path and path not in KEPT])
    inner = found
    for key in way:
        inner = inner[key]
    if draw.random() < 0.3:
        del inner[last]
    else:
        inner[last] = copy.deepcopy(draw.choice(JUNK))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_broken_manifests_are_no_defect_of_ours(seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(seed)
    chosen = [broken(draw, each) if draw.random() < 0.5 else each for each in draw.sample(documents(), 12)]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(chosen))
    code = run(["analyze", "-f", str(tmp_path)])
    assert code in (Exit.DONE, Exit.FAILED, Exit.USAGE), capsys.readouterr().err
