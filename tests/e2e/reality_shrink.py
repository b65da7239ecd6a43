"""A disagreement made as small as possible, and written down.

Shell: every attempt is put to Envoy. In: a `Case` with one request. Out: the smallest that still disagrees, as YAML.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import yaml

from .reality import Case
from .reality_rig import Disagreement, Reality


async def minimised(real: Reality, case: Case) -> tuple[Case, Disagreement | None]:
    """Takes away whatever can be taken away, until nothing can."""
    found = next(iter(await real.judge(case)), None)
    smaller = True
    while smaller and found is not None:
        smaller = False
        for attempt in _attempts(case):
            wrong = await _judged(real, attempt)
            if wrong is not None:
                case, found, smaller = attempt, wrong, True
                break
    return case, found


async def _judged(real: Reality, case: Case) -> Disagreement | None:
    try:
        return next(iter(await real.judge(case)), None)
    except (AssertionError, KeyError, IndexError, TypeError):
        return None  # too much was taken away: it is no configuration any more


def _attempts(case: Case) -> Iterator[Case]:
    for number in range(len(case.objects)):
        yield Case(case.objects[:number] + case.objects[number + 1 :], case.asked)
    for number, obj in enumerate(case.objects):
        for spec in _less(obj["spec"]):
            yield Case([*case.objects[:number], {**obj, "spec": spec}, *case.objects[number + 1 :]], case.asked)


def _less(value: Any) -> Iterator[Any]:
    """One entry less, the largest first."""
    if isinstance(value, dict):
        for name in value:
            yield {key: copy.deepcopy(each) for key, each in value.items() if key != name}
        for name, below in value.items():
            yield from ({**value, name: less} for less in _less(below))
    elif isinstance(value, list):
        for number in range(len(value)):
            yield value[:number] + value[number + 1 :]
        for number, below in enumerate(value):
            yield from ([*value[:number], less, *value[number + 1 :]] for less in _less(below))


def kept(case: Case, found: Disagreement | None) -> str:
    """A golden file; `seen` is what Envoy did."""
    asked = case.asked[0]
    content: dict[str, Any] = {
        "objects": case.objects,
        "asked": {**asked.__dict__, "headers": dict(asked.headers)},
        "seen": found.seen._asdict() if found else None,
    }
    return yaml.safe_dump(content, sort_keys=False)
