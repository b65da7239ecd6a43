"""At admission: somebody's edit of a routed object and our routes are one write, and nobody needs to come after it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from graylane.model.kinds import CONFIG_MAP, DESTINATION_RULE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Obj, annotations_of
from graylane.model.patches import merge_patch
from graylane.model.trafficrouting import ADDED, ORIGINAL
from graylane.testing.inline import INLINE
from graylane.trafficrouting import scripts
from graylane.trafficrouting.keeping import keep, late
from tests.stories.trafficrouting.stage import Stage, destination_rule, traffic_routing, virtual_service

KEPT = (
    "TrafficRouting mocka-tr keeps its routes in VirtualService vs-mocka until its release ends; "
    "everything else is stored as you wrote it"
)


async def held() -> Stage:
    stage = await Stage().usual().settle()
    stage.hold("rollouts-a")
    return await stage.settle()


async def written(stage: Stage, kind: Kind, obj: Obj) -> tuple[str, ...]:
    """Through admission, and then nothing is left to do for the controller; the warnings."""
    typed = {"apiVersion": kind.api_version, "kind": kind.kind} | obj
    wanted, told = await keep(INLINE, stage.get(kind, obj["metadata"]["name"]), typed, stage.world.view())
    stage.put(kind, wanted or typed)
    seen: list[Any] = []
    stage.world.after_write = lambda effect: seen.append(effect) if effect.kind == kind else None
    await stage.settle()
    stage.world.after_write = None
    assert [effect for effect in seen if getattr(effect, "subresource", "") == ""] == []
    return told


async def finished(stage: Stage) -> Stage:
    stage.release("rollouts-a")
    await stage.settle()
    assert stage.phase() == "Healthy"
    return stage


def edited(**rule: Any) -> Obj:
    spec = copy.deepcopy(virtual_service()["spec"])
    spec["http"][0] |= rule
    return virtual_service() | {"spec": spec}


async def test_an_edited_manifest_is_stored_with_our_rule_before_it() -> None:
    stage = await held()
    assert await written(stage, VIRTUAL_SERVICE, edited(timeout="5s")) == (KEPT,)
    rules = stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"]
    assert [rule.get("timeout") for rule in rules] == ["5s", "5s"]
    assert rules[0]["route"][0]["destination"]["subset"] == "canary"
    await finished(stage)
    assert stage.spec(VIRTUAL_SERVICE, "vs-mocka") == edited(timeout="5s")["spec"]


async def test_the_same_manifests_again_change_nothing_at_all() -> None:
    stage = await held()
    before = stage.get(VIRTUAL_SERVICE, "vs-mocka"), stage.get(DESTINATION_RULE, "dr-mocka")
    await written(stage, VIRTUAL_SERVICE, virtual_service())
    await written(stage, DESTINATION_RULE, destination_rule())
    assert (stage.get(VIRTUAL_SERVICE, "vs-mocka"), stage.get(DESTINATION_RULE, "dr-mocka")) == before


async def test_an_edit_in_our_rule_goes_and_one_beside_it_stays() -> None:
    stage = await held()
    live = copy.deepcopy(stage.get(VIRTUAL_SERVICE, "vs-mocka"))
    live["spec"]["http"][0]["timeout"] = "1s"
    live["spec"]["http"].append({"route": [{"destination": {"host": "fallback"}}]})
    assert await written(stage, VIRTUAL_SERVICE, live) == (KEPT,)
    rules = stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"]
    assert ("timeout" in rules[0], rules[-1]) == (False, {"route": [{"destination": {"host": "fallback"}}]})


async def test_what_a_client_makes_of_our_annotations_does_not_count() -> None:
    stage = await held()
    notes = annotations_of(stage.get(VIRTUAL_SERVICE, "vs-mocka"))
    for copied in ({}, {ORIGINAL: "nonsense", ADDED: "{}"}, {ADDED: notes[ADDED]}):
        obj = merge_patch(stage.get(VIRTUAL_SERVICE, "vs-mocka"), {"metadata": {"annotations": None}})
        assert await written(stage, VIRTUAL_SERVICE, merge_patch(obj, {"metadata": {"annotations": copied}})) == ()
        assert annotations_of(stage.get(VIRTUAL_SERVICE, "vs-mocka")) == notes
    await finished(stage)
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())


async def test_labels_and_notes_of_others_are_theirs_and_nobody_is_told() -> None:
    stage = await held()
    stamp = {"metadata": {"labels": {"team": "shop"}, "annotations": {"ops/seen": "1"}}}
    assert await written(stage, VIRTUAL_SERVICE, merge_patch(stage.get(VIRTUAL_SERVICE, "vs-mocka"), stamp)) == ()
    live = stage.get(VIRTUAL_SERVICE, "vs-mocka")["metadata"]
    assert (live["labels"], live["annotations"]["ops/seen"]) == ({"team": "shop"}, "1")


async def test_two_routings_in_one_object_are_both_kept_and_named() -> None:
    stage = await held()
    other = traffic_routing("aux-tr", {"matches": [{"headers": [{"type": "Exact", "name": "x", "value": "y"}]}]})
    stage.put(TRAFFIC_ROUTING, other)
    await stage.settle()
    stage.hold("rollouts-b", "aux-tr")
    await stage.settle()
    assert len(stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"]) == 3
    (told,) = await written(stage, VIRTUAL_SERVICE, virtual_service())
    assert told.startswith("TrafficRouting aux-tr, mocka-tr keeps")
    assert len(stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"]) == 3


async def test_nothing_is_put_in_that_the_stored_object_has_not_got() -> None:
    """Before a release, after it, and while the controller has yet to notice that it is over."""
    stage = await Stage().usual().settle()
    assert await kept(stage, virtual_service()) is None
    stage.hold("rollouts-a")
    await stage.settle()
    stage.release("rollouts-a")
    assert await kept(stage, virtual_service()) is not None, "the proxies still lead to the canary"
    await stage.settle()
    assert await kept(stage, virtual_service()) is None


async def kept(stage: Stage, obj: Obj) -> Obj | None:
    typed = {"apiVersion": VIRTUAL_SERVICE.api_version, "kind": VIRTUAL_SERVICE.kind} | obj
    return (await keep(INLINE, stage.get(VIRTUAL_SERVICE, "vs-mocka"), typed, stage.world.view()))[0]


async def test_an_object_that_is_being_deleted_is_left_alone() -> None:
    stage = await held()
    going = merge_patch(virtual_service(), {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert await kept(stage, going) is None


async def scripted(source: str) -> Stage:
    """Its script is replaced in the middle of the release, by one that will not do."""
    stage = await held()
    namespace, name = scripts.config_map_key()
    data = {scripts.data_key("VirtualService", "networking.istio.io"): source}
    stage.put(CONFIG_MAP, {"metadata": {"name": name, "namespace": namespace}, "data": data})
    return stage


@pytest.mark.parametrize("source", ["error('no')", "while true do end"])
async def test_whoever_writes_while_the_script_fails_is_told_and_not_kept_from_it(source: str) -> None:
    stage = await scripted(source)
    typed = {"apiVersion": VIRTUAL_SERVICE.api_version, "kind": VIRTUAL_SERVICE.kind} | edited(timeout="5s")
    wanted, (told,) = await keep(INLINE, stage.get(VIRTUAL_SERVICE, "vs-mocka"), typed, stage.world.view())
    assert wanted is None
    assert told.startswith("TrafficRouting mocka-tr cannot keep its routes in VirtualService vs-mocka: ConfigMap ")


@pytest.mark.parametrize("source", ["error('no')", "while true do end"])
async def test_who_has_nothing_new_to_say_takes_no_routes_out_while_the_script_fails(source: str) -> None:
    stage = await scripted(source)
    rules = stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"]
    for _ in range(2):
        assert await written(stage, VIRTUAL_SERVICE, virtual_service()) == (KEPT,)
        assert stage.spec(VIRTUAL_SERVICE, "vs-mocka")["http"] == rules
    await finished(stage)
    assert stage.clean(VIRTUAL_SERVICE, virtual_service())


async def test_what_is_said_when_there_is_no_time_names_who_will_do_it() -> None:
    stage = await held()
    live = stage.get(VIRTUAL_SERVICE, "vs-mocka")
    assert late(live, live) == "TrafficRouting mocka-tr puts its routes into VirtualService vs-mocka again in a moment"
