"""A canary Ingress comes with the routes and goes with them; the user's own Ingress is never written."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from graylane.kit.effects import Effect
from graylane.model.kinds import CONFIG_MAP, SERVICE, TRAFFIC_ROUTING
from graylane.model.meta import Obj, annotations_of, controller_of, finalizers_of, uid_of
from graylane.model.trafficrouting import ADDED, FINALIZER
from graylane.testing.world import Crash
from graylane.trafficrouting.providers.ingress import INGRESS
from tests.stories.trafficrouting.stage import LANE, NS, Stage

NGINX = "nginx.ingress.kubernetes.io/"


def path_to(service: str, path: str = "/") -> Obj:
    return {"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}


def user_ingress() -> Obj:
    return {
        "metadata": {
            "name": "shop",
            "namespace": NS,
            "labels": {"team": "shop"},
            "annotations": {f"{NGINX}rewrite-target": "/", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["shop.example.com"], "secretName": "tls"}],
            "defaultBackend": {"service": {"name": "mocka", "port": {"number": 80}}},
            "rules": [
                {"host": "shop.example.com", "http": {"paths": [path_to("mocka"), path_to("other", "/o")]}},
                {"host": "other.example.com", "http": {"paths": [path_to("other")]}},
                {"host": "empty.example.com"},
                {"host": "files.example.com", "http": {"paths": [{"backend": {"resource": {"name": "bucket"}}}]}},
            ],
        },
    }


def routing(strategy: Obj = LANE, services: tuple[str, ...] = ("mocka",), **ingress: str) -> Obj:
    refs = [{"service": service, "ingress": {"name": "shop"} | ingress} for service in services]
    return {"metadata": {"name": "mocka-tr", "namespace": NS}, "spec": {"strategy": strategy, "objectRef": refs}}


def service(name: str, **selector: str) -> Obj:
    return {"metadata": {"name": name, "namespace": NS}, "spec": {"selector": selector}}


def usual(tr: Obj | None = None) -> Stage:
    stage = Stage()
    stage.put(SERVICE, service("mocka", app="mocka", version="base"))
    stage.put(SERVICE, service("mocka-canary", app="mocka", version="canary"))
    stage.put(INGRESS, user_ingress())
    stage.put(TRAFFIC_ROUTING, tr or routing())
    return stage


async def held(tr: Obj | None = None) -> Stage:
    stage = await usual(tr).settle(seconds=3)
    stage.hold("rollouts-a")
    return await stage.settle(seconds=3)


def canary(stage: Stage) -> Obj | None:
    return stage.world.get(INGRESS, NS, "shop-canary")


def told(stage: Stage) -> dict[str, str]:
    """The canary's annotations, ours for bookkeeping aside."""
    return {key: text for key, text in annotations_of(canary(stage) or {}).items() if key != ADDED}


def is_users_own(stage: Stage) -> bool:
    return all(
        stage.get(INGRESS, "shop")[part][name] == value
        for part in ("metadata", "spec")
        for name, value in (user_ingress()[part].items())
    )


async def test_a_release_has_a_canary_ingress_for_the_paths_to_its_service() -> None:
    stage = await held()
    made = stage.get(INGRESS, "shop-canary")
    assert made["spec"] == {
        "ingressClassName": "nginx",
        "tls": [{"hosts": ["shop.example.com"], "secretName": "tls"}],
        "rules": [{"host": "shop.example.com", "http": {"paths": [path_to("mocka-canary")]}}],
    }
    assert made["metadata"]["labels"] == {"team": "shop"}
    assert (controller_of(made) or {})["uid"] == uid_of(stage.get(TRAFFIC_ROUTING, "mocka-tr"))
    assert told(stage) == {
        f"{NGINX}rewrite-target": "/",
        f"{NGINX}canary": "true",
        f"{NGINX}canary-by-header": "my-request-id",
        f"{NGINX}canary-by-header-value": "canary",
    }
    assert (stage.phase(), stage.active_for()) == ("Progressing", ["rollouts-a"])
    assert is_users_own(stage)
    assert await stage.settles_without_writing()


async def test_it_goes_with_the_release_and_the_grace_period_passes_before_that_is_over() -> None:
    stage = await held()
    stage.release("rollouts-a")
    await stage.settle()
    assert (canary(stage), stage.phase(), stage.active_for()) == (None, "Finalizing", ["rollouts-a"])
    await stage.settle(seconds=3)
    assert (stage.phase(), stage.active_for(), is_users_own(stage)) == ("Healthy", [], True)
    assert "routes" not in stage.get(TRAFFIC_ROUTING, "mocka-tr")["status"]
    assert await stage.settles_without_writing()


async def test_at_rest_nothing_is_made_and_nobody_is_woken() -> None:
    stage = await usual().settle(seconds=60)
    assert (stage.phase(), canary(stage)) == ("Healthy", None)
    outcome = await stage.controllers[0].reconcile(stage.world.view(), (NS, "mocka-tr"), stage.world.now())  # type: ignore[arg-type, misc]
    assert (outcome.effects, outcome.wake_at) == ((), None)


async def test_every_change_waits_anew_although_annotations_have_no_generation() -> None:
    stage = await held()
    stage.edit(TRAFFIC_ROUTING, "mocka-tr", {"strategy": {"matches": None, "weight": 20}})
    await stage.settle()
    assert told(stage) == {
        f"{NGINX}rewrite-target": "/",
        f"{NGINX}canary": "true",
        f"{NGINX}canary-weight": "20",
    }
    assert stage.condition("RoutesConfirmed")["reason"] == "GracePeriod"
    await stage.settle(seconds=3)
    assert stage.condition("RoutesConfirmed")["reason"] == "GracePeriodOver"


async def test_edits_of_the_users_ingress_are_followed() -> None:
    stage = await held()
    rules = [{"host": "new.example.com", "http": {"paths": [path_to("mocka")]}}]
    stage.edit(INGRESS, "shop", {"rules": rules, "tls": None})
    stage.world.patch(INGRESS, NS, "shop", {"metadata": {"annotations": {f"{NGINX}rewrite-target": None, "new": "1"}}})
    await stage.settle(seconds=3)
    made = stage.get(INGRESS, "shop-canary")
    assert ([rule["host"] for rule in made["spec"]["rules"]], "tls" in made["spec"]) == (["new.example.com"], False)
    assert ("new" in told(stage), f"{NGINX}rewrite-target" in told(stage)) == (True, False)


async def test_what_others_stamp_on_it_stays_and_what_they_break_is_mended() -> None:
    stage = await held()
    stamp = {"metadata": {"annotations": {"dns/seen": "1", f"{NGINX}canary": None}, "labels": {"seen": "1"}}}
    stage.world.patch(INGRESS, NS, "shop-canary", stamp)
    await stage.settle(seconds=3)
    assert (told(stage)["dns/seen"], told(stage)[f"{NGINX}canary"]) == ("1", "true")
    assert await stage.settles_without_writing()
    stage.world.delete(INGRESS, NS, "shop-canary")
    await stage.settle(seconds=3)
    assert (canary(stage) is not None, stage.active_for()) == (True, ["rollouts-a"])


async def test_one_made_by_openkruise_is_taken_over_and_taken_out() -> None:
    stage = await held()
    old = {"metadata": {"annotations": {ADDED: None, f"{NGINX}canary-weight": "0"}}}
    stage.world.patch(INGRESS, NS, "shop-canary", old)
    await stage.settle(seconds=3)
    assert f"{NGINX}canary-weight" not in told(stage)
    stage.release("rollouts-a")
    await stage.settle(seconds=3)
    assert (canary(stage), stage.phase()) == (None, "Healthy")


async def test_two_services_behind_one_ingress_share_its_canary() -> None:
    stage = usual(routing(services=("mocka", "other")))
    stage.put(SERVICE, service("other", app="other", version="base"))
    stage.put(SERVICE, service("other-canary", app="other", version="canary"))
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    rules = stage.spec(INGRESS, "shop-canary")["rules"]
    assert [rule["http"]["paths"] for rule in rules] == [
        [path_to("mocka-canary"), path_to("other-canary", "/o")],
        [path_to("other-canary")],
    ]
    stage.edit(TRAFFIC_ROUTING, "mocka-tr", routing()["spec"])
    await stage.settle(seconds=3)
    assert len(stage.spec(INGRESS, "shop-canary")["rules"]) == 1


async def test_an_ingress_dropped_from_the_spec_loses_its_canary() -> None:
    stage = await held()
    stage.put(INGRESS, user_ingress() | {"metadata": {"name": "new", "namespace": NS}})
    stage.edit(TRAFFIC_ROUTING, "mocka-tr", routing(name="new")["spec"])
    await stage.settle(seconds=3)
    assert (canary(stage), stage.world.get(INGRESS, NS, "new-canary") is None) == (None, False)


async def test_deleting_the_traffic_routing_takes_the_canary_out_first() -> None:
    stage = await held()
    stage.world.delete(TRAFFIC_ROUTING, NS, "mocka-tr")
    await stage.settle()
    assert (canary(stage), FINALIZER in finalizers_of(stage.get(TRAFFIC_ROUTING, "mocka-tr"))) == (None, True)
    await stage.settle(seconds=3)
    assert FINALIZER not in finalizers_of(stage.get(TRAFFIC_ROUTING, "mocka-tr"))


# -- Services


async def test_without_a_service_for_the_canary_nothing_would_be_diverted_and_that_is_said() -> None:
    stage = usual()
    stage.world.delete(SERVICE, NS, "mocka-canary")
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    assert (canary(stage), stage.active_for()) == (None, [])
    assert stage.condition("Accepted")["reason"] == "CanaryServiceNotFound"
    assert stage.message() == (
        "TrafficRouting default/mocka-tr: Ingress shop: the canary would be reached through Service mocka too, so "
        "nothing would be diverted; create Service mocka-canary that selects the canary's pods only"
    )
    stage.put(SERVICE, service("mocka-canary", app="mocka", version="canary"))
    await stage.settle(seconds=3)
    assert stage.active_for() == ["rollouts-a"]


@pytest.mark.parametrize(
    ("stable", "canary_selector", "reason"),
    [
        ({"app": "mocka"}, {"app": "mocka"}, "SamePods"),
        ({"app": "mocka"}, {"app": "mocka", "lane": "gray"}, "StableServiceSelectsCanary"),
        ({"app": "mocka", "lane": "base"}, {"app": "mocka", "lane": "gray"}, "Accepted"),
        ({"app": "mocka", "lane": "base"}, {"app": "mocka", "gray": "yes"}, "Accepted"),
        ({"app": "mocka"}, {}, "Accepted"),
    ],
)
async def test_services_whose_selectors_leak_or_divert_nothing_are_refused(
    stable: dict[str, str], canary_selector: dict[str, str], reason: str
) -> None:
    stage = usual()
    stage.put(SERVICE, service("mocka", **stable))
    stage.put(SERVICE, service("mocka-canary", **canary_selector))
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    assert stage.condition("Accepted")["reason"] == reason
    assert (canary(stage) is not None) == (reason == "Accepted")


async def test_mse_tells_pods_of_one_service_apart_by_the_subset() -> None:
    stage = usual(routing(classType="mse"))
    stage.world.delete(SERVICE, NS, "mocka-canary")
    subset = {"mse.ingress.kubernetes.io/service-subset": "base"}
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    assert stage.condition("Accepted")["reason"] == "CanaryServiceNotFound"
    stage.world.patch(INGRESS, NS, "shop", {"metadata": {"annotations": subset}})
    await stage.settle(seconds=3)
    assert stage.active_for() == ["rollouts-a"]
    assert stage.spec(INGRESS, "shop-canary")["rules"][0]["http"]["paths"] == [path_to("mocka")]
    assert told(stage)["mse.ingress.kubernetes.io/service-subset"] == "gray"


# -- what is missing


async def test_every_kind_of_trouble_names_the_field_and_what_to_do() -> None:
    found: list[tuple[str, Any, str]] = [
        ("Ingress gone not found; create it or correct spec.objectRef[0].ingress.name", {"name": "gone"}, ""),
        (
            "no script for Ingress shop-canary; add the key lua.traffic.routing.ingress.traefik to ConfigMap "
            "kruise-rollout/kruise-rollout-configuration",
            {"classType": "traefik"},
            "",
        ),
        (
            "Ingress shop has no path to Service lonely; add one or correct spec.objectRef[0]",
            {"services": ("lonely",)},
            "lonely",
        ),
    ]
    for message, changes, extra in found:
        stage = usual(routing(**changes))
        for name in filter(None, (extra, f"{extra}-canary" if extra else "")):
            stage.put(SERVICE, service(name))
        await stage.settle()
        assert stage.message() == f"TrafficRouting default/mocka-tr: {message}"
        assert stage.condition("Accepted")["status"] == "False"


async def test_an_ingress_of_that_name_by_somebody_else_is_left_alone() -> None:
    stage = usual()
    stage.put(INGRESS, {"metadata": {"name": "shop-canary", "namespace": NS}, "spec": {"rules": []}})
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    assert (stage.condition("Accepted")["reason"], stage.active_for()) == ("IngressTaken", [])
    stage.release("rollouts-a")
    await stage.settle(seconds=3)
    assert (stage.phase(), stage.spec(INGRESS, "shop-canary")) == ("Healthy", {"rules": []})


async def test_one_ingress_has_one_class() -> None:
    stage = usual(routing(services=("mocka", "mocka")))
    refs = stage.spec(TRAFFIC_ROUTING, "mocka-tr")["objectRef"]
    stage.edit(
        TRAFFIC_ROUTING,
        "mocka-tr",
        {"objectRef": [refs[0], refs[1] | {"ingress": {"name": "shop", "classType": "mse"}}]},
    )
    await stage.settle()
    assert stage.condition("Accepted")["reason"] == "ClassTypeConflict"


async def test_the_users_ingress_deleted_in_the_middle_is_named_and_its_canary_stays_until_the_end() -> None:
    stage = await held()
    stage.world.delete(INGRESS, NS, "shop")
    await stage.settle(seconds=3)
    assert (stage.condition("Accepted")["reason"], canary(stage) is None) == ("IngressNotFound", False)
    stage.release("rollouts-a")
    await stage.settle(seconds=3)
    assert (stage.phase(), canary(stage)) == ("Healthy", None)


async def test_a_script_in_the_config_map_comes_first_and_its_error_shows_before_the_release() -> None:
    stage = await usual().settle()
    key = "lua.traffic.routing.ingress.nginx"
    place = {"name": "kruise-rollout-configuration", "namespace": "kruise-rollout"}
    stage.put(CONFIG_MAP, {"metadata": place, "data": {key: "\nreturn obj.nothing.here"}})
    await stage.settle()
    assert f"Ingress shop-canary: ConfigMap kruise-rollout/kruise-rollout-configuration {key}:2: " in stage.message()
    stage.put(CONFIG_MAP, {"metadata": place, "data": {key: "return {by = obj.canaryService, weight = obj.weight}"}})
    stage.hold("rollouts-a")
    await stage.settle(seconds=3)
    assert told(stage) == {"by": "mocka-canary", "weight": "-1"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_single_write_leads_to_the_same_end(after: bool) -> None:
    calm = await _flow(None, after)
    points = 0
    while (crashed := await _flow(points, after)) is not None:
        assert crashed == calm, points
        points += 1
    assert points >= 8


async def _flow(crash_at: int | None, after: bool) -> Any:
    """Hold, release; the controller dies at its n-th write and starts again. None: it made fewer writes."""
    stage = await usual().settle(seconds=3)
    count, crashed = itertools.count(), []

    def die(effect: Effect) -> None:
        if crash_at is not None and not crashed and next(count) == crash_at:
            crashed.append(effect)
            raise Crash

    async def settle() -> None:
        try:
            await stage.settle(seconds=3)
        except Crash:
            stage.restart()
            await stage.settle(seconds=6)

    setattr(stage.world, "after_write" if after else "before_write", die)
    stage.hold("r")
    await settle()
    assert (canary(stage) is not None, stage.active_for()) == (True, ["r"])
    stage.release("r")
    await settle()
    assert (canary(stage), stage.phase(), is_users_own(stage)) == (None, "Healthy", True)
    return canary(stage) or "gone" if crash_at is None or crashed else None
