"""People and GitOps tools edit routed objects in the middle of a release: their edits stay, ours come back, then go."""

import copy
import json
from typing import Any

from graylane.model.kinds import DESTINATION_RULE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, annotations_of
from graylane.model.trafficrouting import ADDED, FINALIZER, ORIGINAL
from tests.stories.trafficrouting.stage import NS, Stage, destination_rule, traffic_routing, virtual_service


async def held() -> Stage:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    return await stage.settle()


async def finished(stage: Stage) -> Stage:
    stage.release("rollouts-a")
    await stage.settle()
    assert stage.phase() == "Healthy"
    assert await stage.settles_without_writing()
    return stage


def with_timeout(spec: Any, rule: int) -> Any:
    spec = copy.deepcopy(spec)
    spec["http"][rule]["timeout"] = "5s"
    return spec


async def writes_to(stage: Stage, kind: Kind) -> int:
    """How many writes to objects of `kind` settling takes, the mesh's reports aside."""
    seen: list[Any] = []
    stage.world.after_write = lambda effect: seen.append(effect) if effect.kind == kind else None
    await stage.settle()
    stage.world.after_write = None
    return len([effect for effect in seen if getattr(effect, "subresource", "") == ""])


async def test_an_edit_of_the_base_rule_reaches_the_canary_too_and_stays() -> None:
    stage = await held()
    stage.edit(VIRTUAL_SERVICE, "vs-mocka", with_timeout(stage.spec(VIRTUAL_SERVICE, "vs-mocka"), 1))
    assert await writes_to(stage, VIRTUAL_SERVICE) == 1
    rules = stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"]
    assert [rule.get("timeout") for rule in rules] == ["5s", "5s"]
    assert stage.active_for() == ["rollouts-a"]
    await finished(stage)
    assert stage.spec(VIRTUAL_SERVICE, "vs-mocka") == with_timeout(virtual_service()["spec"], 0)


async def test_an_edit_of_our_own_rule_does_not_outlive_the_release() -> None:
    stage = await held()
    stage.edit(VIRTUAL_SERVICE, "vs-mocka", with_timeout(stage.spec(VIRTUAL_SERVICE, "vs-mocka"), 0))
    await stage.settle()
    assert "timeout" not in stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"][0]
    await finished(stage)
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())


async def test_manifests_applied_again_and_again_cost_one_write_each() -> None:
    stage = await held()
    for _ in range(5):
        stage.edit(VIRTUAL_SERVICE, "vs-mocka", virtual_service()["spec"])
        stage.edit(DESTINATION_RULE, "dr-mocka", destination_rule()["spec"])
        assert await writes_to(stage, VIRTUAL_SERVICE) == 1
        assert (stage.has_route(), stage.has_subset(), stage.active_for()) == (True, True, ["rollouts-a"])
    assert await stage.settles_without_writing()
    await finished(stage)
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())
    assert stage.clean(DESTINATION_RULE, destination_rule())


async def test_an_edited_manifest_applied_in_the_middle_is_the_new_original() -> None:
    stage = await held()
    manifest = virtual_service()["spec"] | {"hosts": ["mocka", "shop"]}
    stage.edit(VIRTUAL_SERVICE, "vs-mocka", manifest)
    assert await writes_to(stage, VIRTUAL_SERVICE) == 1
    original = json.loads(annotations_of(stage.get(VIRTUAL_SERVICE, "vs-mocka"))[ORIGINAL])
    assert (original["spec"], stage.has_route()) == (manifest, True)
    await finished(stage)
    assert stage.spec(VIRTUAL_SERVICE, "vs-mocka") == manifest


async def test_replacing_the_object_annotations_and_all_is_an_edit_like_any_other() -> None:
    stage = await held()
    stage.put(VIRTUAL_SERVICE, virtual_service())
    assert await writes_to(stage, VIRTUAL_SERVICE) == 1
    assert stage.has_route()
    await finished(stage)
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())


async def test_removing_our_annotations_does_not_turn_our_rule_into_the_users() -> None:
    for lost in ({ORIGINAL: None, ADDED: None}, {ORIGINAL: None}, {ADDED: None}, {ADDED: "{"}, {ORIGINAL: "nonsense"}):
        for strategy in (None, {"weight": 20, "matches": None}):
            stage = await held()
            if strategy:
                stage.edit(TRAFFIC_ROUTING, "mocka-tr", {"strategy": strategy})
                await stage.settle()
            stage.world.patch(VIRTUAL_SERVICE, NS, "vs-mocka", {"metadata": {"annotations": lost}})
            await stage.settle()
            assert stage.has_route(), lost
            await finished(stage)
            assert not stage.has_route(), lost
            assert not {ORIGINAL, ADDED} & annotations_of(stage.get(VIRTUAL_SERVICE, "vs-mocka")).keys()


async def test_labels_and_annotations_that_others_stamp_cost_no_write_and_stay() -> None:
    stage = await held()
    for stamp in ("1", "2"):
        notes = {"metadata": {"annotations": {"ops/seen": stamp}, "labels": {"team": "shop"}}}
        stage.world.patch(VIRTUAL_SERVICE, NS, "vs-mocka", notes)
        assert await writes_to(stage, VIRTUAL_SERVICE) == 0
    await finished(stage)
    live = stage.get(VIRTUAL_SERVICE, "vs-mocka")
    assert (annotations_of(live), live["metadata"]["labels"]) == ({"ops/seen": "2"}, {"team": "shop"})


async def test_a_subset_added_by_others_stays_and_ours_goes() -> None:
    stage = await held()
    subsets = [*stage.spec(DESTINATION_RULE, "dr-mocka")["subsets"], {"name": "v9", "labels": {"version": "9"}}]
    stage.edit(DESTINATION_RULE, "dr-mocka", {"subsets": subsets})
    await stage.settle()
    await finished(stage)
    assert [subset["name"] for subset in stage.spec(DESTINATION_RULE, "dr-mocka")["subsets"]] == ["version-base", "v9"]


async def test_a_release_begun_by_openkruise_is_taken_over_and_finished() -> None:
    stage = Stage()
    for kind, obj, live in (
        (VIRTUAL_SERVICE, virtual_service(), {"http": [kruise_rule(), *virtual_service()["spec"]["http"]]}),
        (DESTINATION_RULE, destination_rule(), {"subsets": [*destination_rule()["spec"]["subsets"], kruise_subset()]}),
    ):
        note = {ORIGINAL: json.dumps({"spec": obj["spec"]})}
        stage.put(kind, obj | {"metadata": obj["metadata"] | {"annotations": note}, "spec": obj["spec"] | live})
    routing = traffic_routing()
    routing["metadata"]["finalizers"] = [FINALIZER, "progressing.rollouts.kruise.io/rollouts-a"]
    stage.put(TRAFFIC_ROUTING, routing | {"status": {"phase": "Progressing", "observedGeneration": 1}})
    await stage.settle()
    assert (stage.phase(), stage.active_for()) == ("Progressing", ["rollouts-a"])
    assert [subset["name"] for subset in stage.spec(DESTINATION_RULE, "dr-mocka")["subsets"]] == [
        "version-base",
        "canary",
    ]
    await finished(stage)
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())
    assert stage.clean(DESTINATION_RULE, destination_rule())


async def test_a_release_that_openkruise_left_unfinished_is_cleaned_up() -> None:
    stage = Stage()
    obj = virtual_service()
    note = {ORIGINAL: json.dumps({"spec": obj["spec"]})}
    rules = [kruise_rule(), *obj["spec"]["http"]]
    stage.put(
        VIRTUAL_SERVICE,
        obj | {"metadata": obj["metadata"] | {"annotations": note}, "spec": obj["spec"] | {"http": rules}},
    )
    stage.put(DESTINATION_RULE, destination_rule())
    stage.put(TRAFFIC_ROUTING, traffic_routing())
    await stage.settle()
    assert (stage.phase(), stage.clean(VIRTUAL_SERVICE, virtual_service())) == ("Healthy", True)


def kruise_rule() -> Obj:
    return {
        "match": [{"headers": {"my-request-id": {"exact": "canary"}}}],
        "route": [{"destination": {"host": "mocka", "subset": "canary"}}],
    }


def kruise_subset() -> Obj:
    return {"name": "canary", "labels": {"istio.service.tag": "gray"}}
