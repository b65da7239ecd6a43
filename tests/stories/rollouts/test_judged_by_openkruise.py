"""OpenKruise's own managers as the judge: what is there at each resting point of a release, there and here.

The goldens were recorded from the running managers of 0.5.0 and 0.6.2 (decision 25). Every value has to be the same,
or be listed here with the row of docs/differences.md that says why; what is listed and differs nowhere has to go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.model.meta import Obj
from tests.stories.rollouts.retold import Retold

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "openkruise"
RELEASES = sorted(path.stem for path in GOLDEN.glob("*.yaml") if path.stem not in ("routes", "scripts", "admission"))
ABSENT = "—"
SAME_SENSE = "the same sense"


@dataclass(frozen=True, slots=True)
class Listed:
    """Where in which objects values may differ, and the row of differences.md that says so; `points`: only there."""

    objects: str
    path: str
    row: str
    points: str = ""

    def covers(self, point: str, where: str, path: str) -> bool:
        asked = ((self.points, point), (self.objects, where), (self.path, path))
        return all(re.search(pattern, text) for pattern, text in asked)


AT_REST = "done|rolled back|native|enabled"
CANARY_STATUS = "^/status/canaryStatus"
LISTED = (
    Listed(
        "^BatchRelease",
        "annotations/rollouts.kruise.io/rolling-style$",
        "Annotations `rolling-style`, `trafficrouting`",
    ),
    Listed("^BatchRelease", "^/metadata/finalizers$", "`BatchRelease`"),
    Listed("^BatchRelease", "/(rollingStyle|enableExtraWorkloadForCanary)$", "`rollingStyle` of a BatchRelease (0.6)"),
    Listed("^BatchRelease", "^/status/stableRevision$", "`stableRevision` of a BatchRelease"),
    Listed("", "/(rolloutID|observedRolloutID)$", "`observedRolloutID` without a label on the Deployment"),
    Listed("", "^/metadata/ownerReferences/0/apiVersion$", "The stored version"),
    Listed("^Ingress web-canary", "^/metadata/ownerReferences/0/", "How they are kept"),
    Listed("^TrafficRouting web-routes", "^$", "How they are kept"),
    Listed("^Deployment", "/batchrelease.rollouts.kruise.io/control-info$", "Annotation `control-info`"),
    Listed("^Deployment web$", "^/spec/paused$", SAME_SENSE, AT_REST),
    Listed("", "^/metadata/annotations/graylane.dev/", "Annotations `graylane.dev/…`"),
    Listed("^HTTPRoute", "/rollouts.kruise.io/original-spec-configuration$", "The original of an HTTPRoute"),
    Listed(
        "^Rollout", f"{CANARY_STATUS}/(canaryReplicas|canaryReadyReplicas)$", "`canaryStatus` after a release", AT_REST
    ),
    Listed("^Rollout", f"{CANARY_STATUS}/(podTemplateHash|stableRevision)$", "`canaryStatus` after a release", AT_REST),
    Listed("^Rollout", f"{CANARY_STATUS}/finalisingStep$", "`canaryStatus` after a release", AT_REST),
    Listed("^Rollout", f"{CANARY_STATUS}/canaryRevision$", "A Rollout that is disabled", "native|enabled"),
    Listed("^Rollout", f"{CANARY_STATUS}/currentStep(Index|State)$", "After a rollback", "rolled back"),
    Listed("^Rollout", f"{CANARY_STATUS}/message$", "`canaryStatus.message`"),
    Listed("^Rollout", f"{CANARY_STATUS}/nextStepIndex$", "`nextStepIndex`"),
    Listed("^Rollout", "^/status/conditions/Succeeded/(message|reason)$", "`Succeeded`", AT_REST),
    Listed("^Rollout", "^/status/conditions/Progressing/message$", "Progressing's message after a resume", "resumed"),
    Listed("^Rollout", "^/status/conditions/graylane.dev/", "Conditions `graylane.dev/…`"),
    Listed("^Rollout", "^/status/message$", "A Rollout that is disabled", "enabled"),
    Listed("^TrafficRouting", "^/status/conditions/", "A missing VirtualService, a failing script"),
    Listed("^TrafficRouting", "^/status/(activeFor|routes/)", "`status.activeFor` of a TrafficRouting"),
)


def seen(name: str) -> Iterator[tuple[str, str, dict[str, Obj]]]:
    """Version, point, and every object there; the golden tells what has changed since the point before."""
    for version, points in golden(name)["seen"].items():
        there: dict[str, Obj] = {}
        for point, told in points.items():
            there = {where: obj for where, obj in (there | told).items() if obj is not None}
            yield version, point, there


@cache
def golden(name: str) -> Obj:
    return yaml.load((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)  # type: ignore[no-any-return]


@cache
def retold(name: str) -> dict[str, dict[str, Obj]]:
    """What ours leaves at the same points."""
    document, points = golden(name), {}
    stage = Retold(objects=document["objects"]).begin()
    for entry in document["moves"]:
        for what, how in entry.items():
            if what == "look":
                points[how] = stage.look()
            else:
                stage.move(what, how)
    return points


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Paths and values; conditions by their type, lists of texts as one value."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}/{name}")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, item in enumerate(value):
            name = item.get("type", index) if "status" in item else index
            yield from leaves(item, f"{path}/{name}")
    else:
        yield path, json.dumps(sorted(value) if isinstance(value, list) else value, ensure_ascii=False)


def differences(theirs: dict[str, Obj], ours: dict[str, Obj]) -> Iterator[tuple[str, str, str, str]]:
    for where in sorted(theirs.keys() | ours.keys()):
        if where not in theirs or where not in ours:
            yield where, "", "there" if where in theirs else ABSENT, "there" if where in ours else ABSENT
            continue
        left, right = dict(leaves(theirs[where])), dict(leaves(ours[where]))
        for path in sorted(left.keys() | right.keys()):
            if left.get(path) != right.get(path):
                yield where, path, left.get(path, ABSENT), right.get(path, ABSENT)


def longer(theirs: str, ours: str) -> bool:
    """Their sentence, and more."""
    return len(theirs) > len('""') and ours.startswith(theirs[:-1])


def listed(point: str, where: str, path: str, theirs: str, ours: str) -> Listed | None:
    if path.endswith("/message") and longer(theirs, ours):
        return Listed(where, path, "`status.message`")
    return next((entry for entry in LISTED if entry.covers(point, where, path)), None)


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_is_seen_as_under_openkruise_but_for_what_is_listed(name: str) -> None:
    ours, told = retold(name), []
    for version, point, theirs in seen(name):
        found = [each for each in differences(theirs, ours[point]) if listed(point, *each) is None]
        told += [f"{version} {point}: {' '.join(each)}" for each in found]
    assert told == []


def test_what_is_listed_differs_somewhere() -> None:
    used = set()
    for name in RELEASES:
        for _, point, theirs in seen(name):
            used |= {listed(point, *found) for found in differences(theirs, retold(name)[point])}
    assert [entry for entry in LISTED if entry not in used] == []


def test_what_is_listed_is_a_row_of_the_document() -> None:
    text = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| (.*?) \|", text, re.MULTILINE)) | {SAME_SENSE}
    assert {entry.row for entry in LISTED} - rows == set()
