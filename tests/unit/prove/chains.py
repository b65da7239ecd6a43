"""Chains of services with a lane through them, made from a seed: good ones, and what can be wrong with them."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from graylane.model.rollout import CANARY_DEPLOYMENT, TRAFFIC_ROUTING_NAME

from .scene import Scene

DYES: tuple[list[dict[str, str]], ...] = (
    [{"name": "my-request-id", "value": "canary", "type": "Exact"}],
    [{"name": "x-lane", "value": "gray-[a-z]+", "type": "RegularExpression"}],
    [{"name": "x-lane", "value": "blue", "type": "Exact"}, {"name": "x-team", "value": "pay", "type": "Exact"}],
)
CONDITIONS: tuple[dict[str, Any], ...] = (
    {"uri": {"prefix": "/api"}},
    {"uri": {"exact": "/health"}},
    {"uri": {"regex": "/v[0-9]+/.*"}},
    {"method": {"exact": "POST"}},
    {"headers": {"x-user": {"prefix": "dev-"}}},
    {"queryParams": {"debug": {"exact": "1"}}},
)


@dataclass
class Chain:
    """`order` are the services from the edge inwards; `released` those with a canary."""

    scene: Scene
    order: list[str]
    released: list[str]
    dye: list[dict[str, str]]
    draw: random.Random

    def rules(self, name: str) -> list[Any]:
        found: list[Any] = self.scene.get("VirtualService", name)["spec"]["http"]
        return found

    def lane_rules(self, name: str) -> list[Any]:
        return [rule for rule in self.rules(name) if rule["route"][0]["destination"].get("subset") == "canary"]

    def base_rules(self, name: str) -> list[Any]:
        return [rule for rule in self.rules(name) if rule["route"][0]["destination"].get("subset") == "base"]

    def subset(self, service: str, name: str) -> Any:
        subsets = self.scene.get("DestinationRule", service)["spec"]["subsets"]
        return next(each for each in subsets if each["name"] == name)

    def one(self) -> str:
        return self.draw.choice(self.released)


def chain(seed: int) -> Chain:
    draw = random.Random(seed)
    order = [f"s{number}" for number in range(draw.randint(2, 5))]
    released = sorted(draw.sample(order, draw.randint(1, len(order))))
    dye = draw.choice(DYES)
    found = Chain(Scene(), order, released, dye, draw)
    host = draw.choice(["*", "shop.example.com", "*.example.com"])
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [host]}
    _put(found, "Gateway", "edge", {"selector": {"istio": "ingressgateway"}, "servers": [server]})
    _put(found, "TrafficRouting", "lane", {"strategy": {"matches": [{"headers": dye}]}})
    for index, name in enumerate(order):
        _service(found, name, order[index + 1 :], host if index == 0 else "")
    return found


def _put(found: Chain, kind: str, name: str, spec: dict[str, Any], **meta: Any) -> None:
    found.scene.put({"kind": kind, "metadata": {"name": name, **meta}, "spec": spec})


def _service(found: Chain, name: str, behind: list[str], edge: str) -> None:
    """Calls the next in line, and now and then one further behind. With two ports its routes say which."""
    draw = found.draw
    two = draw.random() < 0.4
    ports = [{"name": "http", "port": 8000}, *([{"name": "http-admin", "port": 9000}] if two else [])]
    _put(found, "Service", name, {"ports": ports, "selector": {"app": name}})
    called = behind[:1] + ([behind[-1]] if len(behind) > 1 and draw.random() < 0.5 else [])
    env = [{"name": f"upstream_{each}", "value": f"http://{each}:8000/"} for each in called]
    _deployment(found, f"{name}-base", {"app": name, "version": "base"}, env)
    subsets = [{"name": "base", "labels": {"version": "base"}}]
    rollout = {"objectRef": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-base"}}}
    _put(found, "Rollout", name, rollout, annotations={TRAFFIC_ROUTING_NAME: "lane"})
    if name in found.released:
        labels = {"app": name, "version": "canary"}
        _deployment(found, f"{name}-canary", labels, env, {CANARY_DEPLOYMENT: f"{name}-base"})
        subsets.append({"name": "canary", "labels": {"version": "canary"}})
    _put(found, "DestinationRule", name, {"host": name, "subsets": subsets})
    port = {"port": {"number": 8000}} if two else {}
    rules = list(_rules(found, name, port))
    binding = {"hosts": [edge], "gateways": ["edge"]} if edge else {"hosts": [name]}
    _put(found, "VirtualService", name, {**binding, "http": rules})


def _deployment(
    found: Chain, name: str, labels: dict[str, str], env: list[Any], own: dict[str, str] | None = None
) -> None:
    container = {"name": "main", "image": "sample:1", "env": copy.deepcopy(env)}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    _put(found, "Deployment", name, {"replicas": 1, "template": template}, labels=own or {})


def _rules(found: Chain, name: str, port: dict[str, Any]) -> Iterator[Any]:
    """A few narrow rules, then one for all; where there is a canary each behind its twin for the lane."""
    some = found.draw.sample(CONDITIONS, found.draw.randint(0, 2))
    for condition in (*some, None):
        destination = {"host": name, **port}
        if name in found.released:
            match = [lane_match(found.dye, condition or {})]
            yield {"match": match, "route": [{"destination": {**destination, "subset": "canary"}}]}
        matched = {"match": [copy.deepcopy(condition)]} if condition else {}
        yield {**matched, "route": [{"destination": {**destination, "subset": "base"}}]}


def lane_match(dye: list[dict[str, str]], condition: dict[str, Any]) -> dict[str, Any]:
    wanted = {each["name"]: {"exact" if each["type"] == "Exact" else "regex": each["value"]} for each in dye}
    return {**copy.deepcopy(condition), "headers": {**condition.get("headers", {}), **wanted}}


Fault = Callable[[Chain], bool]


def shadowed_rule(found: Chain) -> bool:
    name = found.one()
    rule = {"match": [copy.deepcopy(found.draw.choice(CONDITIONS))], "route": found.base_rules(name)[-1]["route"]}
    found.rules(name).insert(0, copy.deepcopy(rule))
    return True


def catch_all_in_front(found: Chain) -> bool:
    """In the mesh; at a gateway such rules are moved to the end."""
    name = found.one()
    found.rules(name).insert(0, copy.deepcopy(found.base_rules(name)[-1]))
    return name != found.order[0]


def wrong_order(found: Chain) -> bool:
    name = found.one()
    found.rules(name).reverse()
    return name != found.order[0]


def missing_canary_subset(found: Chain) -> bool:
    name = found.one()
    found.scene.get("DestinationRule", name)["spec"]["subsets"].remove(found.subset(name, "canary"))
    return True


def missing_base_subset(found: Chain) -> bool:
    name = found.draw.choice(found.order)
    found.scene.get("DestinationRule", name)["spec"]["subsets"].remove(found.subset(name, "base"))
    return True


def missing_destination_rule(found: Chain) -> bool:
    del found.scene.objects["DestinationRule", found.draw.choice(found.order)]
    return True


def hidden_destination_rule(found: Chain) -> bool:
    found.scene.get("DestinationRule", found.draw.choice(found.order))["spec"]["exportTo"] = ["elsewhere"]
    return True


def subset_of_everybody(found: Chain) -> bool:
    found.subset(found.one(), found.draw.choice(["base", "canary"]))["labels"] = {}
    return True


def subsets_swapped(found: Chain) -> bool:
    name = found.one()
    base, canary = found.subset(name, "base"), found.subset(name, "canary")
    base["labels"], canary["labels"] = canary["labels"], base["labels"]
    return True


def subset_of_nobody(found: Chain) -> bool:
    found.subset(found.one(), found.draw.choice(["base", "canary"]))["labels"] = {"version": "cannary"}
    return True


def dropped_port(found: Chain) -> bool:
    """At the gateway, whose own port is no port of the Service."""
    found_one = False
    for rule in found.rules(found.order[0]):
        found_one |= rule["route"][0]["destination"].pop("port", None) is not None
    return found_one


def wrong_port(found: Chain) -> bool:
    rule = found.draw.choice(found.rules(found.draw.choice(found.order)))
    rule["route"][0]["destination"]["port"] = {"number": 8001}
    return True


def header_removed(found: Chain) -> bool:
    name = found.order[0]
    for rule in found.rules(name):
        rule["headers"] = {"request": {"remove": [found.dye[0]["name"]]}}
    return found.released != [name]


def header_overwritten(found: Chain) -> bool:
    name = found.order[0]
    for rule in found.rules(name):
        edit = {"request": {"set": {found.dye[0]["name"]: "other"}}}
        rule["route"][0]["headers"] = edit
    return found.released != [name]


def dyed_further_in(found: Chain) -> bool:
    if len(found.order) < 3 or found.order[-1] not in found.released or found.dye[0]["type"] != "Exact":
        return False
    for rule in found.rules(found.order[-2]):
        rule["headers"] = {"request": {"set": {each["name"]: each["value"] for each in found.dye}}}
    return True


def wrong_header_name(found: Chain) -> bool:
    for rule in found.lane_rules(found.one()):
        headers = rule["match"][0]["headers"]
        headers["x-other"] = headers.pop(found.dye[0]["name"])
    return True


def wrong_value(found: Chain) -> bool:
    for rule in found.lane_rules(found.one()):
        rule["match"][0]["headers"][found.dye[0]["name"]] = {"exact": found.dye[0]["value"].upper()}
    return True


def prefix_for_exact(found: Chain) -> bool:
    for rule in found.lane_rules(found.one()):
        rule["match"][0]["headers"][found.dye[0]["name"]] = {"prefix": found.dye[0]["value"][:4]}
    return True


def condition_forgotten(found: Chain) -> bool:
    for rule in found.lane_rules(found.one()):
        del rule["match"][0]["headers"][found.dye[-1]["name"]]
    return True


def condition_inverted(found: Chain) -> bool:
    for rule in found.lane_rules(found.one()):
        match = rule["match"][0]
        match["withoutHeaders"] = {found.dye[0]["name"]: match["headers"].pop(found.dye[0]["name"])}
    return True


def one_method_only(found: Chain) -> bool:
    found.lane_rules(found.one())[-1]["match"][0]["method"] = {"exact": "GET"}
    return True


def one_path_only(found: Chain) -> bool:
    found.lane_rules(found.one())[-1]["match"][0]["uri"] = {"prefix": "/index"}
    return True


def another_callers_only(found: Chain) -> bool:
    asked = found.draw.choice([{"sourceLabels": {"app": "nobody"}}, {"sourceNamespace": "elsewhere"}, {"port": 9999}])
    found.lane_rules(found.one())[-1]["match"][0].update(asked)
    return True


def lane_rule_lost(found: Chain) -> bool:
    name = found.one()
    found.rules(name).remove(found.draw.choice(found.lane_rules(name)))
    return True


def lane_split(found: Chain) -> bool:
    name = found.one()
    base = copy.deepcopy(found.base_rules(name)[-1]["route"][0]) | {"weight": 10}
    rule = found.draw.choice(found.lane_rules(name))
    rule["route"] = [rule["route"][0] | {"weight": 90}, base]
    return True


def base_split(found: Chain) -> bool:
    name = found.one()
    canary = copy.deepcopy(found.lane_rules(name)[-1]["route"][0]) | {"weight": 1}
    rule = found.draw.choice(found.base_rules(name))
    rule["route"] = [rule["route"][0] | {"weight": 99}, canary]
    return True


def another_service(found: Chain) -> bool:
    """The lane leads to a service that has no canary, or the wrong one."""
    name = found.one()
    other = found.draw.choice([each for each in found.order if each != name])
    subset = "canary" if other in found.released else "base"
    for rule in found.lane_rules(name):
        rule["route"] = [{"destination": {"host": other, "subset": subset, "port": {"number": 8000}}}]
    return True


def unknown_host(found: Chain) -> bool:
    found.draw.choice(found.rules(found.draw.choice(found.order)))["route"][0]["destination"]["host"] = "nowhere"
    return True


def older_service_for_the_host(found: Chain) -> bool:
    name = found.draw.choice(found.released)
    if name == found.order[0]:
        return False
    mine = found.scene.get("VirtualService", name)
    mine["metadata"]["creationTimestamp"] = "2024-02-01T00:00:00Z"
    older = {"hosts": [name], "http": [copy.deepcopy(found.base_rules(name)[-1])]}
    _put(found, "VirtualService", f"{name}-old", older, creationTimestamp="2024-01-01T00:00:00Z")
    return True


def no_rule_for_the_rest(found: Chain) -> bool:
    name = found.draw.choice(found.order[1:])
    found.rules(name).remove(found.base_rules(name)[-1])
    return bool(found.rules(name))


def no_routes_at_all(found: Chain) -> bool:
    name = found.one()
    del found.scene.objects["VirtualService", name]
    return name != found.order[0]


FAULTS: tuple[Fault, ...] = (
    shadowed_rule,
    catch_all_in_front,
    wrong_order,
    missing_canary_subset,
    missing_base_subset,
    missing_destination_rule,
    hidden_destination_rule,
    subset_of_everybody,
    subsets_swapped,
    subset_of_nobody,
    dropped_port,
    wrong_port,
    header_removed,
    header_overwritten,
    dyed_further_in,
    wrong_header_name,
    wrong_value,
    prefix_for_exact,
    condition_forgotten,
    condition_inverted,
    one_method_only,
    one_path_only,
    another_callers_only,
    lane_rule_lost,
    lane_split,
    base_split,
    another_service,
    unknown_host,
    older_service_for_the_host,
    no_rule_for_the_rest,
    no_routes_at_all,
)


def faulty(number: int) -> tuple[int, Chain]:
    """The `number`th of the faults in the first chain in which it can occur, and that chain's seed."""
    fault = FAULTS[number % len(FAULTS)]
    seed = 1000 * number
    while True:
        found = chain(seed)
        if fault(found):
            return seed, found
        seed += 1
