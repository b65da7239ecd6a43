"""From a pod to whoever selects it, without trying every selector there is."""

from __future__ import annotations

import pytest

from graylane.cluster.workloads.attraction import Attraction, label_selector, service_selector
from graylane.model.meta import Key, Obj


def owner(name: str, selector: Obj | None, namespace: str = "shop") -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": selector}}


def pod(namespace: str = "shop", **labels: str) -> Obj:
    return {"metadata": {"name": "p", "namespace": namespace, "labels": labels}}


def names(attraction: Attraction, obj: Obj) -> list[str]:
    return sorted(key.name for key in attraction.of(obj))


def test_services_are_found_by_their_whole_selector_in_their_own_namespace() -> None:
    attraction = Attraction(service_selector)
    attraction.note(owner("web", {"app": "web"}))
    attraction.note(owner("web-v2", {"app": "web", "v": "2"}))
    attraction.note(owner("elsewhere", {"app": "web"}, "other"))
    attraction.note(owner("by-hand", None))
    assert names(attraction, pod(app="web")) == ["web"]
    assert names(attraction, pod(app="web", v="2")) == ["web", "web-v2"]
    assert names(attraction, pod(app="db")) == []


@pytest.mark.parametrize(("labels", "found"), [({"v": "1"}, True), ({"v": "3"}, False), ({}, False)])
def test_selectors_that_name_no_exact_label_are_tried_too(labels: dict[str, str], found: bool) -> None:
    attraction = Attraction(label_selector)
    attraction.note(owner("web", {"matchExpressions": [{"key": "v", "operator": "In", "values": ["1", "2"]}]}))
    assert (names(attraction, pod(**labels)) == ["web"]) is found


def test_a_changed_selector_replaces_the_old_one_and_a_forgotten_owner_attracts_nothing() -> None:
    attraction = Attraction(service_selector)
    attraction.note(owner("web", {"app": "web"}))
    attraction.note(owner("web", {"app": "shop"}))
    assert names(attraction, pod(app="web")) == []
    assert names(attraction, pod(app="shop")) == ["web"]
    attraction.forget(Key("shop", "web"))
    assert names(attraction, pod(app="shop")) == []
