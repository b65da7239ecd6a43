"""What `graylane plan` shows is what then happens: after each real step every object is as planned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.cli.planning.moments import cleaned
from graylane.model.meta import dig
from graylane.testing.chains import Chain, gateway
from graylane.testing.waiting import eventually

from .rig import Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
ISTIO, KRUISE = "v1beta1.networking.istio.io", "v1alpha1.rollouts.kruise.io"
KINDS = (
    "deployments",
    f"batchreleases.{KRUISE}",
    f"destinationrules.{ISTIO}",
    f"virtualservices.{ISTIO}",
    f"trafficroutings.{KRUISE}",
    f"rollouts.{KRUISE}",
)
CHAIN = Chain("planned", 2)


async def test_after_each_real_step_the_objects_are_as_planned(up: Up, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    write(folder, "v0")
    up.kubectl("apply", "-f", str(folder))
    await eventually(lambda: phases(up) == ["Healthy"] * 2 and served(up), 60, "at rest")
    before = objects(up)
    write(folder, "v1")
    plan = json.loads(up.shell(f"graylane plan -f {folder} -o json").stdout)
    assert objects(up) == before
    applied, approved = plan["moments"]
    assert all(proof["holds"] for moment in plan["moments"] for proof in moment["proofs"])

    up.kubectl("apply", "-f", str(folder))
    await eventually(lambda: states(up) == ["StepPaused"] * 2, 60, "both paused")
    await eventually(lambda: as_planned(applied, before, objects(up)), 30, "as planned after the first step")

    before = objects(up)
    up.shell("graylane approve planned1 planned2 --wait")
    await eventually(lambda: as_planned(approved, before, objects(up)), 30, "as planned in the end")


def as_planned(moment: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Exactly what the plan changes has changed, into what the plan says."""
    changed = {name: after.get(name) for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {f"{change['kind']} {change['name']}": change["object"] for change in moment["changes"]}
    return True


def write(folder: Path, version: str) -> None:
    found = [gateway(), *CHAIN.manifests()]
    for obj in found:
        if obj["kind"] == "Deployment":
            obj["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = version
    (folder / "chain.yaml").write_text(yaml.safe_dump_all(found))


def objects(up: Up) -> dict[str, Any]:
    found = [item for kind in KINDS for item in up.get(kind)["items"]]
    return {f"{item['kind']} {item['metadata']['name']}": cleaned(item) for item in found}


def phases(up: Up) -> list[str]:
    return [str(dig(item, "status", "phase")) for item in up.get("rollout")["items"]]


def states(up: Up) -> list[str]:
    return [str(dig(item, "status", "canaryStatus", "currentStepState")) for item in up.get("rollout")["items"]]


def served(up: Up) -> bool:
    return all(dig(item, "status", "availableReplicas") == 1 for item in up.get("deploy")["items"])
