"""A Rollout's history as lines of at most 80 columns, and as a document.

Pure. In: `Entry`s. Out: lines, or plain values for JSON and YAML.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graylane.chain.history import ITS_TIME, Entry, Passed
from graylane.cli.layout import WIDTH, duration, table, wrap
from graylane.model.managers import UNKNOWN
from graylane.model.meta import format_time

_HEADS = ["revision", "version", "released", "took", "outcome"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One Rollout's; `workload` is "" where nothing tells the Deployment of one that was deleted."""

    name: str
    workload: str
    entries: list[Entry]
    deleted: bool = False


def lines(shown: Shown, width: int = WIDTH) -> list[str]:
    """One row for each version and release, oldest first, each step below; `*` marks the versions that run."""
    entries = shown.entries
    of = f" of deployment/{shown.workload}" if shown.workload else ""
    title = f"rollout {shown.name}{of}{' (Rollout deleted)' * shown.deleted}"
    if not entries:
        return [title, "no version yet"]
    heads, *rows = table([_HEADS, *map(_cells, entries)], 100_000)
    column = heads.index(_HEADS[-1])
    told = [title, heads]
    for entry, row in zip(entries, rows, strict=True):
        told += wrap(row, " " * min(column, width // 2), width)
        told += [line for passed in entry.passed for line in wrap(_step(passed), " " * 14, width)]
    return told


def _cells(entry: Entry) -> list[str]:
    number = str(entry.number) if entry.number else "-"
    took = duration(entry.ended - entry.began) if entry.began and entry.ended else "-"
    return [
        number + (" *" if entry.running else ""),
        entry.version or entry.revision,
        _moment(entry.began),
        took,
        entry.outcome or "no release recorded",
    ]


def _step(passed: Passed) -> str:
    waited = f" after {duration(passed.waited)}" if passed.waited is not None else ""
    who = "somebody unknown" if passed.by == UNKNOWN else passed.by
    how = "over by itself" if passed.by == ITS_TIME else f"approved by {who}"
    return f"    step {passed.step}  {_moment(passed.at)}{waited}, {how}"


def _moment(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else "-"


def document(shown: Shown) -> dict[str, Any]:
    return {
        "rollout": shown.name,
        "workload": f"deployment/{shown.workload}" if shown.workload else None,
        "deleted": shown.deleted,
        "versions": [
            {
                "revision": entry.number or None,
                "version": entry.version or None,
                "podTemplateHash": entry.hash or None,
                "templateRevision": entry.revision,
                "running": entry.running,
                "released": _time(entry.began),
                "steps": [_passed(passed) for passed in entry.passed],
                "outcome": entry.outcome or None,
                "ended": _time(entry.ended),
            }
            for entry in shown.entries
        ],
    }


def _passed(passed: Passed) -> dict[str, Any]:
    waited = None if passed.waited is None else int(passed.waited.total_seconds())
    return {"step": passed.step, "at": _time(passed.at), "by": passed.by, "waitedSeconds": waited}


def _time(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None
