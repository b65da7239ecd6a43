"""A Rollout's history as lines of at most 80 columns, and as a document.

Pure. In: `Entry`s. Out: lines, or plain values for JSON and YAML.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.chain.history import Entry
from graylane.cli.status_text import table
from graylane.model.meta import format_time

_HEADS = ["revision", "version", "released", "steps", "outcome"]


def lines(name: str, workload: str, entries: list[Entry]) -> list[str]:
    """One row for each version and release, oldest first; `*` marks the versions that run."""
    title = f"rollout {name} of {workload}"
    if not entries:
        return [title, "no version yet"]
    return [title, *table([_HEADS, *map(_cells, entries)])]


def _cells(entry: Entry) -> list[str]:
    number = str(entry.number) if entry.number else "-"
    return [
        number + (" *" if entry.running else ""),
        entry.version or entry.revision,
        _moment(entry.began),
        ", ".join(f"{passed.step} by {passed.by}" for passed in entry.passed) or "-",
        entry.outcome or "no release recorded",
    ]


def _moment(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else "-"


def document(name: str, workload: str, entries: list[Entry]) -> dict[str, Any]:
    return {
        "rollout": name,
        "workload": workload,
        "versions": [
            {
                "revision": entry.number or None,
                "version": entry.version or None,
                "podTemplateHash": entry.hash or None,
                "templateRevision": entry.revision,
                "running": entry.running,
                "released": _time(entry.began),
                "steps": [{"step": passed.step, "at": _time(passed.at), "by": passed.by} for passed in entry.passed],
                "outcome": entry.outcome or None,
                "ended": _time(entry.ended),
            }
            for entry in entries
        ],
    }


def _time(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None
