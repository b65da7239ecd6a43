"""What `kubectl get -o wide` shows: objects in, the table as text out.

A missing or changed table is written beside its input when GRAYLANE_UPDATE_GOLDEN is set; review it like code.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.cluster.apiserver.schema import printers
from graylane.cluster.apiserver.schema.printers import jsonpath
from graylane.cluster.apiserver.schema.printers.durations import human_duration
from graylane.errors import UserError

GOLDEN = sorted((Path(__file__).parents[2] / "golden/apiserver/printers").glob("*.yaml"))
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def as_text(table: dict[str, Any]) -> str:
    rows = [[column["name"].upper() for column in table["columnDefinitions"]]]
    rows += [["<none>" if cell is None else str(cell) for cell in row["cells"]] for row in table["rows"]]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_table(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    text = as_text(printers.table(case["group"], case["kind"], case["objects"], NOW, case.get("columns")))
    expected = path.with_suffix(".txt")
    if os.environ.get("GRAYLANE_UPDATE_GOLDEN"):
        expected.write_text(text)
    assert text == expected.read_text()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (123, "2m3s"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (3 * 3600 + 300, "3h5m"),
        (8 * 3600 + 300, "8h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (53 * 3600, "2d5h"),
        (8 * 86400 + 3600, "8d"),
        (729 * 86400, "729d"),
        (730 * 86400, "2y"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400 + 86400, "9y"),
    ],
)
def test_an_age_is_written_as_kubectl_writes_it(seconds: int, text: str) -> None:
    assert human_duration(timedelta(seconds=seconds)) == text


OBJ = {
    "metadata": {"annotations": {"a.b/c": "x"}},
    "spec": {"list": [{"n": "a", "v": 1}, {"n": "b", "v": 2}, {"n": "c", "v": None}], "map": {"k": {"z": 9}}},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.list[0].v", [1]),
        (".spec.list[-1].n", ["c"]),
        (".spec.list[*].n", ["a", "b", "c"]),
        ('.spec.list[?(@.n=="b")].v', [2]),
        (".spec.list[?(@.v>1)].n", ["b"]),
        (".spec.list[?(@.n!='a')].n", ["b", "c"]),
        (r".metadata.annotations.a\.b/c", ["x"]),
        (".metadata.annotations['a.b/c']", ["x"]),
        ("{.spec.map.k.z}", [9]),
        (".spec.missing.deeper", []),
        (".spec.list[9]", []),
    ],
)
def test_json_path(path: str, found: list[Any]) -> None:
    assert jsonpath.parse(path)(OBJ) == found


@pytest.mark.parametrize("path", ["spec", ".a[", "..a", ".a[?(x)]", ".a[1:2]"])
def test_a_json_path_we_do_not_know_is_refused(path: str) -> None:
    with pytest.raises(UserError):
        jsonpath.parse(path)
