"""A release that a real OpenKruise manager began, killed after any of its writes, is taken over and ended by us.

Each recording (`recorded.py`) is of one shape: routes in a TrafficRouting or in the Rollout, by Istio, Ingress or
HTTPRoute, v1alpha1 or v1beta1, two or three steps; what users did to it is in its name.
"""

from __future__ import annotations

import os

import pytest

from graylane.model.kinds import DEPLOYMENT
from graylane.model.meta import dig
from graylane.testing.release_stage import image

from .recorded import FOLDER, Recording, Takeover

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
EVERY = 1 if os.environ.get("GRAYLANE_SEARCH") == "1" else 18  # of a recording's writes


@pytest.mark.parametrize("act", ["approve", "abort"])
@pytest.mark.parametrize("name", NAMES)
def test_killed_anywhere_it_goes_on_from_where_it_stood_and_ends_without_leftovers(name: str, act: str) -> None:
    recording = Recording.of(name)
    points = recording.points()
    first = 3 if act == "approve" else 9  # the two look at different writes
    for count in [*points[first % EVERY :: EVERY], points[-1]]:
        stage = Takeover.of(recording, count)
        releasing, step, canaries = stage.releases(), stage.step, stage.serving()
        stage.settle(seconds=30)
        if releasing and stage.releases() and "supersede" not in name:
            begun = 1 if step == stage.steps_asked and stage.reason == "InRolling" and not canaries else step
            assert stage.step >= begun, f"write {count}: it began anew"
            assert canaries <= stage.serving(), f"write {count}: its canary was replaced"
        ended = stage.ended()
        stage.finish(act)
        where = f"{name}, write {count}, {act}"
        assert stage.ended(), where
        assert (stage.harms, stage.left()) == ([], []), where
        assert not stage.before, f"{where}: {stage.before}"
        if act == "abort" and releasing and not ended:
            assert image(stage.get(DEPLOYMENT, "web")) == "v1", where
        if not stage.state().startswith("Disabled") and stage.state() != "gone":
            deployment = stage.get(DEPLOYMENT, "web")
            assert not dig(deployment, "spec", "paused"), where
            assert {image(pod) for pod in stage.pods()} == {image(deployment)}, where
        writes = stage.world.writes
        stage.settle(seconds=60)
        assert stage.world.writes == writes, f"{where}: it does not rest"
