"""Admission leaves a release's additions in objects that somebody else writes, and lets our own writes through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graylane.kit.cache import View
from graylane.model.kinds import CRD, MUTATING_WEBHOOK, TRAFFIC_ROUTING
from graylane.model.managers import CONTROLLERS
from graylane.model.meta import Key, Obj, dig
from graylane.model.patches import json_patch, merge_patch
from graylane.model.revisions import POD_TEMPLATE_HASH
from graylane.model.rollout import PINNED_BY
from graylane.model.trafficrouting import FINALIZER, PROGRESSING_FINALIZER
from graylane.testing.world import World
from graylane.webhooks import asked, keeping
from graylane.webhooks.keeping import ROUTES, keep_hold, keep_pin, keeper
from graylane.webhooks.review import ALLOWED
from graylane.webhooks.server import MUTATING, configurations

SERVICE = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"app": "web"}, "ports": []}}
PINNED = merge_patch(
    SERVICE, {"metadata": {"annotations": {PINNED_BY: "web"}}, "spec": {"selector": {POD_TEMPLATE_HASH: "abc"}}}
)
VIEW = View({})


def update(old: Obj, new: Obj, manager: str = "kubectl", **more: Any) -> Obj:
    return {"operation": "UPDATE", "oldObject": old, "object": new, "options": {"fieldManager": manager}} | more


def test_a_service_that_is_applied_again_stays_pinned_and_its_edit_stays() -> None:
    edited = merge_patch(SERVICE, {"spec": {"selector": {"tier": "front"}}})
    answer = keep_pin(update(PINNED, edited), VIEW)
    stored = json_patch(edited, list(answer.patch))
    assert stored["spec"]["selector"] == {"app": "web", "tier": "front", POD_TEMPLATE_HASH: "abc"}
    assert stored["metadata"]["annotations"] == {PINNED_BY: "web"}
    assert answer.warnings == (
        "Rollout web keeps Service web pinned to the stable version until its release ends; "
        "everything else is stored as you wrote it",
    )


@pytest.mark.parametrize(
    "request_",
    [
        update(PINNED, PINNED),
        update(PINNED, SERVICE, manager=CONTROLLERS),
        update(SERVICE, SERVICE),
        update(PINNED, merge_patch(SERVICE, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})),
        update(PINNED, merge_patch(SERVICE, {"spec": {"selector": None}})),
        update(PINNED, SERVICE, subResource="status"),
        {"operation": "DELETE", "oldObject": PINNED, "object": None},
        {"operation": "CREATE", "oldObject": None, "object": SERVICE},
    ],
    ids=["nothing lost", "ours", "not pinned", "going", "without selector", "status", "deleted", "created"],
)
def test_what_takes_no_pin_away_passes(request_: Obj) -> None:
    assert keep_pin(request_, VIEW) == ALLOWED


HOLD = PROGRESSING_FINALIZER + "web"


def routing(*finalizers: str, **metadata: Any) -> Obj:
    return {"metadata": {"name": "lane", "namespace": "shop", "finalizers": list(finalizers)} | metadata, "spec": {}}


def test_a_routing_that_is_replaced_stays_held_and_protected() -> None:
    answer = keep_hold(update(routing(FINALIZER, HOLD, "theirs"), routing("theirs")), VIEW)
    assert json_patch(routing("theirs"), list(answer.patch)) == routing("theirs", FINALIZER, HOLD)
    assert answer.warnings == ("Rollout web keeps its hold of TrafficRouting lane until its release ends",)
    bare = {"metadata": {"name": "lane"}, "spec": {}}
    alone = keep_hold(update(routing(FINALIZER), bare), VIEW)
    assert json_patch(bare, list(alone.patch))["metadata"]["finalizers"] == [FINALIZER]
    assert alone.warnings == (), "nothing to tell: its routes are not in yet, or are going"


@pytest.mark.parametrize(
    "request_",
    [
        update(routing(FINALIZER, HOLD), routing(FINALIZER)),
        update(routing(FINALIZER, HOLD), routing(HOLD)),
        update(routing(FINALIZER, HOLD), routing(), manager=CONTROLLERS),
        update(routing(FINALIZER, HOLD), routing(deletionTimestamp="2026-01-01T00:00:00Z")),
        update(routing("theirs"), routing()),
    ],
    ids=["let go by hand", "one of two", "ours", "going", "never held"],
)
def test_who_means_to_let_go_of_a_routing_may(request_: Obj) -> None:
    assert keep_hold(request_, VIEW) == ALLOWED


# -- routes


async def with_canary(old: Obj, new: Obj, view: View) -> tuple[Obj | None, tuple[str, ...]]:
    return merge_patch(new, {"metadata": {"labels": None}, "spec": {"subset": "canary"}}), ("kept",)


async def test_what_is_to_be_stored_instead_comes_back_as_a_patch_of_what_was_sent() -> None:
    sent = {"metadata": {"name": "vs", "labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"host": "web"}}
    answer = await keeper(with_canary, lambda old, new: "late")(update(sent, sent), VIEW)
    stored = json_patch(sent, list(answer.patch))
    assert stored == {
        "metadata": {"name": "vs", "annotations": {"c": "d"}},
        "spec": {"host": "web", "subset": "canary"},
    }
    assert (answer.allowed, answer.warnings) == (True, ("kept",))


async def test_our_own_writes_are_nobodys_edits() -> None:
    sent = {"metadata": {"name": "vs"}, "spec": {}}
    handle = keeper(with_canary, lambda old, new: "late")
    assert await handle(update(sent, sent, manager=CONTROLLERS), VIEW) == ALLOWED
    assert await handle({"operation": "CREATE", "object": sent, "oldObject": None}, VIEW) == ALLOWED


async def test_whoever_meets_slow_scripts_is_let_through_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_PATIENCE_SECONDS", 0.01)
    forever = asyncio.Event()

    async def never(old: Obj, new: Obj, view: View) -> tuple[Obj | None, tuple[str, ...]]:
        await forever.wait()
        return None, ()

    answer = await keeper(never, lambda old, new: "in a moment")(update({"a": 1}, {"a": 2}), VIEW)
    assert (answer.allowed, answer.patch, answer.warnings) == (True, (), ("in a moment",))


# -- whom the API server asks about


def test_no_write_of_a_users_ever_fails_or_waits_for_long_because_of_us() -> None:
    mutating = configurations("https://example.com", b"")[0]
    for webhook in mutating["webhooks"]:
        assert webhook["failurePolicy"] == "Ignore"
        assert webhook["sideEffects"] == "None", "dry runs are asked about too"
    assert [webhook["timeoutSeconds"] for webhook in mutating["webhooks"]] == [5, 2, 2, 2, 5]


@pytest.fixture
def world() -> World:
    """A cluster that knows a kind of the user's own, and our webhooks."""
    world = World()
    for obj in configurations("https://example.com", b"")[:1]:
        world.put(MUTATING_WEBHOOK, obj)
    names = {"kind": "Foo", "plural": "foos"}
    world.put(CRD, {"metadata": {"name": "foos.example.io"}, "spec": {"group": "example.io", "names": names}})
    return world


def look(world: World) -> list[tuple[str, list[str]]]:
    """What is asked about, once the controller has looked; the second look finds nothing to do."""
    controller = asked.controller()
    for _ in range(2):
        before = world.writes
        world.apply(controller.reconcile(world.view(), Key("", MUTATING), world.now()))  # type: ignore[arg-type]
    assert world.writes == before
    found = world.get(MUTATING_WEBHOOK, "", MUTATING) or {}
    hook = next(hook for hook in found["webhooks"] if hook["name"] == ROUTES)
    return [(rule["apiGroups"][0], rule["resources"]) for rule in hook["rules"]]


KNOWN = [
    ("networking.istio.io", ["virtualservices", "destinationrules"]),
    ("gateway.networking.k8s.io", ["httproutes"]),
]


def test_a_kind_is_asked_about_for_as_long_as_a_traffic_routing_names_it(world: World) -> None:
    assert look(world) == KNOWN
    refs = [{"apiVersion": "example.io/v1", "kind": kind, "name": "f"} for kind in ("Foo", "Unknown")]
    spec = {"objectRef": [{"service": "web", "customNetworkRefs": refs}]}
    world.put(TRAFFIC_ROUTING, {"metadata": {"name": "lane", "namespace": "shop"}, "spec": spec})
    assert look(world) == [*KNOWN, ("example.io", ["foos"])]
    world.delete(TRAFFIC_ROUTING, "shop", "lane")
    assert look(world) == KNOWN


def test_other_webhooks_of_ours_stay_as_they_are(world: World) -> None:
    before = world.get(MUTATING_WEBHOOK, "", MUTATING) or {}
    look(world)
    assert dig(world.get(MUTATING_WEBHOOK, "", MUTATING), "webhooks") == before["webhooks"]
