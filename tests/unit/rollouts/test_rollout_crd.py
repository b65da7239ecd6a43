"""The Rollout CRD accepts what OpenKruise's accepts, within its limits, and prints its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import graylane.model
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.testing.release_stage import ReleaseStage

CRD = yaml.safe_load((Path(graylane.model.__file__).parent / "crds" / "rollouts" / "rollout.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = Structural.from_crd(VERSION["schema"]["openAPIV3Schema"])
EXAMPLES = Path(__file__).parents[3] / "examples" / "end-to-end-canary" / "05-rollouts.yaml"
HEADER = {"name": "x-lane", "value": "blue"}


def with_step(**step: Any) -> dict[str, Any]:
    canary = {"steps": [step]}
    return {"spec": {"objectRef": {}, "strategy": {"canary": canary}}}


def test_columns_are_those_of_openkruise() -> None:
    names = [column["name"] for column in VERSION["additionalPrinterColumns"]]
    assert names == ["STATUS", "CANARY_STEP", "CANARY_STATE", "MESSAGE", "AGE"]
    assert VERSION["subresources"] == {"status": {}}


def test_the_examples_fit_and_lose_nothing() -> None:
    for obj in yaml.safe_load_all(EXAMPLES.read_text()):
        assert (SCHEMA.check(obj), SCHEMA.unknown(obj)) == ([], [])


@pytest.mark.parametrize(
    "step",
    [
        {"replicas": 1.5},
        {"weight": "20%"},
        {"matches": [{"headers": [HEADER | {"type": "Prefix"}]}]},
        {"matches": [{"headers": [{"name": "x"}]}]},
        {"matches": [{"headers": [HEADER | {"name": f"x{number}"} for number in range(17)]}]},
        {"matches": [{"headers": [HEADER | {"name": "not a token"}]}]},
        {"requestHeaderModifier": {"set": [{"name": "x" * 257, "value": "1"}]}},
        {"pause": {"duration": "10s"}},
    ],
    ids=lambda step: str(step)[:40],
)
def test_wrong_steps_do_not_fit(step: dict[str, Any]) -> None:
    assert SCHEMA.check(with_step(**step)) != []


def test_a_header_matches_exactly_unless_it_says_otherwise() -> None:
    obj = SCHEMA.default(with_step(replicas="20%", matches=[{"headers": [HEADER]}]))
    assert obj["spec"]["strategy"]["canary"]["steps"][0]["matches"][0]["headers"][0]["type"] == "Exact"


def test_every_status_we_write_fits_and_loses_nothing() -> None:
    stage = ReleaseStage().begin().push("v2")
    stage.settle(until=lambda world: SCHEMA.check(stage.rollout()) != [] or _unknown(stage) != [])
    assert (SCHEMA.check(stage.rollout()), _unknown(stage)) == ([], [])
    assert stage.status("canaryStatus", "currentStepState") == "StepPaused"


def _unknown(stage: ReleaseStage) -> list[str]:
    return [path for path in SCHEMA.unknown(stage.rollout()) if path.startswith("status")]
