"""`docs/releases.md` shows a Rollout that is accepted, and names the conditions that there are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from graylane.model.rollout import Deadline
from graylane.model.versions.rollout import decode
from graylane.rollouts.release import Stage
from graylane.rollouts.status import EXPOSED, OFFERED, REASONS, WAITING

TEXT = (Path(__file__).parents[2] / "docs" / "releases.md").read_text()


def test_the_example_is_a_release_with_routes_of_its_own() -> None:
    example = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[0]
    rollout = decode(yaml.safe_load(example))
    assert rollout.embedded is not None
    assert (rollout.embedded.canary_service, rollout.routing) == ("shop-canary", "shop-routes")
    assert rollout.deadline == Deadline(300, aborts=True)
    assert [step.weight for step in rollout.steps] == [5, 50]


def test_the_conditions_and_reasons_are_those_that_are_written() -> None:
    table = dict(re.findall(r"^\| `([\w./]+)` \| (.*) \|$", TEXT, re.MULTILINE))
    assert set(table) == {"Progressing", "Succeeded", WAITING, OFFERED, EXPOSED}
    named = set(re.findall(r"`(\w+)`", table["Progressing"]))
    assert named == {*REASONS.values(), "Completed"}
    assert set(REASONS) < set(Stage)
