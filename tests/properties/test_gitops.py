"""A GitOps tool that keeps applying its manifests and a release live together: no write of ours answers its own.

Without admission it is one for each.

More seeds than `make test` takes: GRAYLANE_FAULT_SEEDS=100.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable

import pytest

from graylane.cli.apply import LAST_APPLIED, annotated, patch_for
from graylane.kit.effects import Effect
from graylane.model.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, annotations_of, dig, name_of
from graylane.model.patches import merge_patch
from graylane.model.trafficrouting import ADDED, ORIGINAL
from graylane.testing.joint_stage import JointStage

SEEDS = 5 * int(os.environ.get("GRAYLANE_FAULT_SEEDS", "2"))
ROUTES = (VIRTUAL_SERVICE, DESTINATION_RULE)
Style = Callable[[Obj, Obj], Obj]


def client_side(live: Obj, manifest: Obj) -> Obj:
    """`kubectl apply`: three-way by its annotation; a custom kind's lists are replaced as a whole."""
    return merge_patch(live, patch_for(live, manifest))  # type: ignore[no-any-return]


def server_side(live: Obj, manifest: Obj) -> Obj:
    """`kubectl apply --server-side --force-conflicts`: its fields are set, lists of custom kinds are atomic."""
    return merge_patch(live, manifest)  # type: ignore[no-any-return]


class Tool:
    """Holds the manifests of the routes as its repository has them."""

    def __init__(self, stage: JointStage, style: Style, chance: random.Random) -> None:
        self.stage, self.style, self.chance = stage, style, chance
        self.manifests = {
            kind: copy.deepcopy(obj) for kind, obj in stage.route_manifests() if kind in ROUTES
        }  # fmt: skip
        for kind, manifest in self.manifests.items():
            stage.write(kind, annotated(manifest) if style is client_side else manifest)
        stage.settle(seconds=5)

    def sync(self) -> list[Kind]:
        """Applies everything; the kinds whose objects are not as it has them."""
        changed = []
        for kind, manifest in self.manifests.items():
            live = self.stage.get(kind, name_of(manifest))
            wanted = self.style(live, manifest)
            if (wanted["spec"], annotations_of(wanted)) != (live["spec"], annotations_of(live)):
                self.stage.write(kind, wanted)
                changed.append(kind)
        return changed

    def commit(self) -> None:
        """Somebody changes the manifests in the repository."""
        rule = self.manifests[VIRTUAL_SERVICE]["spec"]["http"][0]
        rule["timeout"] = f"{self.chance.randint(1, 99)}s"
        self.manifests[DESTINATION_RULE]["spec"]["trafficPolicy"] = {
            "connectionPool": {"tcp": {"maxConnections": self.chance.randint(1, 99)}}
        }

    def is_as_committed(self) -> bool:
        """Nothing is left that the tool does not know, and nothing of it is missing."""
        return all(
            self.stage.get(kind, name_of(manifest))["spec"] == manifest["spec"]
            and not {ORIGINAL, ADDED} & annotations_of(self.stage.get(kind, name_of(manifest))).keys()
            for kind, manifest in self.manifests.items()
        )


@pytest.mark.parametrize("admission", [True, False], ids=["admitted", "unadmitted"])
@pytest.mark.parametrize("style", [client_side, server_side], ids=lambda style: style.__name__)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_write_of_the_tool_is_answered_by_none_of_ours_and_only_its_own_is_left(
    seed: int, style: Style, admission: bool
) -> None:
    """Without admission by one at most."""
    chance = random.Random(f"{style.__name__} {seed}")
    stage = JointStage(admission=admission).begin()
    tool, version = Tool(stage, style, chance), 1
    for _ in range(8):
        match chance.choice(("push", "approve", "abort", "sync", "sync", "commit", "edit")):
            case "push":
                version += 1
                stage.push(f"v{version}").settle(seconds=30)
            case "approve" if stage.state() == "Progressing StepPaused":
                stage.approve().settle(seconds=30)
            case "abort" if stage.state().startswith("Progressing"):
                stage.abort().settle(seconds=30)
            case "sync":
                synced(stage, tool)
            case "commit":
                tool.commit()
                synced(stage, tool)
            case "edit":
                edit_by_hand(stage)
                assert ours(stage, lambda: stage.settle(seconds=30)) <= due(stage, [VIRTUAL_SERVICE])
        assert lit(stage) is (stage.state() == "Progressing StepPaused")
    if stage.state().startswith("Progressing"):
        stage.abort().settle(seconds=30)
    synced(stage, tool)
    assert tool.is_as_committed()
    assert tool.sync() == []
    if style is client_side:
        record = json.loads(annotations_of(stage.get(VIRTUAL_SERVICE, "vs-web"))[LAST_APPLIED])
        assert record["spec"] == tool.manifests[VIRTUAL_SERVICE]["spec"]


def synced(stage: JointStage, tool: Tool) -> None:
    """And the next look finds nothing to do; admitted, the tool's next write is none."""
    changed = tool.sync()
    assert ours(stage, lambda: stage.settle(seconds=30)) <= due(stage, changed)
    assert ours(stage, lambda: stage.settle(seconds=30)) == set()
    before = versions(stage)
    tool.sync()
    assert not stage.admission or versions(stage) == before
    stage.settle(seconds=30)


def due(stage: JointStage, changed: list[Kind]) -> set[tuple[str, int]]:
    """The writes of ours that somebody's may cost."""
    return set() if stage.admission else {(kind.kind, 1) for kind in changed}


def versions(stage: JointStage) -> list[str]:
    return [obj["metadata"]["resourceVersion"] for kind in ROUTES for obj in stage.world.list(kind)]


def edit_by_hand(stage: JointStage) -> None:
    """In the live object, ours and all: a retry on the user's last rule."""
    rules = copy.deepcopy(stage.get(VIRTUAL_SERVICE, "vs-web")["spec"]["http"])
    rules[-1]["retries"] = {"attempts": len(str(rules[-1])) % 7}
    stage.change(VIRTUAL_SERVICE, "vs-web", {"spec": {"http": rules}})


def ours(stage: JointStage, act: Callable[[], object]) -> set[tuple[str, int]]:
    """How often each routed object was written while `act` ran, proxies' reports aside."""
    found: dict[str, int] = {}
    judge = stage.world.after_write

    def count(effect: Effect) -> None:
        if effect.kind in ROUTES and getattr(effect, "subresource", "") == "" and getattr(effect, "key", None):
            found[effect.kind.kind] = found.get(effect.kind.kind, 0) + 1

    stage.world.after_write = count
    act()
    stage.world.after_write = judge
    return set(found.items())


def lit(stage: JointStage) -> bool:
    rules = dig(stage.get(VIRTUAL_SERVICE, "vs-web"), "spec", "http")
    subsets = dig(stage.get(DESTINATION_RULE, "dr-web"), "spec", "subsets")
    return "canary" in str(rules) and "canary" in str(subsets)
