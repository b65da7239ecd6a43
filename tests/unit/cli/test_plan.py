"""`graylane plan`: with a cluster and without, what it shows, what it proves, and that it changes nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.conftest import Server
from graylane.cli.apply import Applier
from graylane.cli.examples import scenario
from graylane.cli.exits import CheckFailed, Exit
from graylane.cli.manifests import read
from graylane.cli.plan import _judge
from graylane.cli.planning.moments import Change, Moment
from graylane.cli.planning.text import document
from graylane.cli.root import run
from graylane.model.kinds import DEPLOYMENT, ROLLOUT
from graylane.model.meta import Key, Obj, rv_of
from graylane.testing.chains import Chain, gateway


def written(folder: Path, *objects: Obj) -> Path:
    path = folder / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


def chain(version: str = "v0", **rollout: Any) -> list[Obj]:
    """A chain of two whose first service is to run `version`."""
    objects = [gateway(), *Chain("c", 2).manifests()]
    for obj in objects:
        if obj["kind"] == "Deployment" and obj["metadata"]["name"] == "c1":
            obj["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = version
        if obj["kind"] == "Rollout":
            obj["spec"]["strategy"]["canary"] |= rollout
    return objects


async def planned(*arguments: str) -> int:
    return await asyncio.to_thread(run, ["plan", *arguments])


def moments(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return list(json.loads(capsys.readouterr().out)["moments"])


def names(moment: dict[str, Any]) -> list[str]:
    return [f"{change['kind']} {change['action']}" for change in moment["changes"]]


async def test_without_a_cluster_the_scenario_is_released_to_its_end_on_paper(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await planned("--offline", "-f", str(scenario())) == Exit.DONE
    text = capsys.readouterr().out
    assert "planned as if a next version came" in text
    assert "1  applied: rollouts-a step 1/1 StepPaused, rollouts-b step 1/1 StepPaused" in text
    assert "+    name: canary" in text
    assert "like mocka-base but for" in text
    assert text.count("lane my-request-id:canary: holds for") == 2
    assert "2  approved rollouts-a, rollouts-b: rollouts-a Healthy, rollouts-b Healthy" in text


async def test_every_step_is_a_moment_and_says_what_it_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [{"replicas": 1, "pause": {}}, {"replicas": 2, "pause": {"duration": 60}}, {"replicas": 3, "pause": {}}]
    objects = chain(steps=steps)
    for obj in objects:
        if obj["kind"] == "Deployment":
            obj["spec"]["replicas"] = 4
    assert await planned("--offline", "-f", str(written(tmp_path, *objects)), "-o", "json") == Exit.DONE
    found = moments(capsys)
    assert [moment["approve"] for moment in found] == [["c1", "c2"], ["c1", "c2"], ["c1", "c2"], []]
    replicas = [
        change["object"]["spec"]["replicas"] for change in found[1]["changes"] if change["kind"] == "Deployment"
    ]
    assert replicas == [2, 2]
    assert all(proof["holds"] for moment in found for proof in moment["proofs"])
    assert sorted(set(names(found[-1]))) == [
        "BatchRelease deleted",
        "Deployment changed",
        "Deployment deleted",
        "DestinationRule changed",
        "TrafficRouting changed",
        "VirtualService changed",
    ]


async def test_of_a_cluster_only_what_the_manifests_change_is_released_and_nothing_is_stored(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, *chain())
    await Applier(server.client, "default").apply(read([path]), lambda _: None)
    before = [await server.client.list(kind, "default") for kind in (DEPLOYMENT, ROLLOUT)]
    written(tmp_path, *chain("v1"))
    kubeconfig = ("--kubeconfig", str(server.kubeconfig))
    assert await planned("-f", str(path), "-o", "json", *kubeconfig) == Exit.DONE
    found = moments(capsys)
    assert [moment["approve"] for moment in found] == [["c1"], []]
    changed = {change["name"] for moment in found for change in moment["changes"]}
    assert not any(name.startswith("c2") for name in changed)
    after = [await server.client.list(kind, "default") for kind in (DEPLOYMENT, ROLLOUT)]
    assert [list(map(rv_of, each.items)) for each in after] == [list(map(rv_of, each.items)) for each in before]


def test_fields_that_only_stand_elsewhere_are_no_change() -> None:
    old = {"spec": {"paused": False, "replicas": 1, "containers": [{"name": "c", "image": "v1"}]}}
    new = {"spec": {"containers": [{"image": "v2", "name": "c"}], "replicas": 1, "paused": False}}
    change = Change(DEPLOYMENT, Key("default", "c1"), old, new)
    told = document([Moment("applied", (change,), (), {})], [])["moments"][0]["changes"][0]["diff"]
    assert [line for line in told if line[0] in "-+"] == ["-    image: v1", "+    image: v2"]


async def test_a_promise_that_would_be_broken_is_proved_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The base subset selects by a label that canary pods have too."""
    objects = chain()
    for obj in objects:
        if obj["kind"] == "DestinationRule":
            obj["spec"]["subsets"][0]["labels"] = {"app": obj["spec"]["host"]}
    assert await planned("--offline", "-f", str(written(tmp_path, *objects))) == Exit.FAILED
    told = capsys.readouterr()
    assert "a plain request reaches a canary" in told.out
    assert "routes would break a promise at: applied" in told.err


async def test_a_release_that_would_get_stuck_says_on_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = [obj for obj in chain() if (obj["kind"], obj["metadata"]["name"]) != ("VirtualService", "c1")]
    assert await planned("--offline", "-f", str(written(tmp_path, *objects))) == Exit.FAILED
    assert "VirtualService c1 not found" in capsys.readouterr().err


def test_only_who_gets_stuck_is_said_to() -> None:
    says = {"a": "Service web not found", "b": "the last release was aborted"}
    with pytest.raises(CheckFailed, match=r"^the release would not come to its end: a: Service web not found$"):
        _judge([Moment("applied", (), (), says, left=("a",))])


async def test_a_manifest_that_is_refused_is_named(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = chain()
    objects[1]["spec"]["portz"] = 1
    path = written(tmp_path, *objects)
    for options in (("--offline",), ("--kubeconfig", str(server.kubeconfig))):
        assert await planned("-f", str(path), *options) == Exit.USAGE
        assert f"{path}, document 2: " in (told := capsys.readouterr().err)
        assert 'unknown field "spec.portz"' in told


async def test_without_rollouts_there_is_nothing_to_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await planned("--offline", "-f", str(written(tmp_path, gateway()))) == Exit.DONE
    assert "No Rollout in namespace default" in capsys.readouterr().out
