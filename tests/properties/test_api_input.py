"""Whatever a manifest is damaged into, the server answers as a server does: never with a bug of its own, and what it
stores can be listed, printed and deleted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.cluster.apiserver.registry import Registry
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.server import ApiServer, ApiServerConfig, User
from graylane.install import shipped_crds
from graylane.testing.api.objects import Obj, config_map, deployment, pod, service, widget, widget_crd
from graylane.testing.api.rig import APPLY, JSON, MERGE, STRATEGIC, InProcess, Rig

REPOSITORY = Path(__file__).parents[2]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ROUNDS = 60

JUNK: list[Any] = [
    *(None, 0, -1, 1.5, True, "", "x" * 300, "é\n", "10%", 2**40),
    *([], {}, [1], [[]], [{}], {"a": None}, {"a": {}}, {"": ""}, {"name": 1}, [{"name": "a"}, {"name": "a"}]),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in parts:
        yield from places(child, (*path, name))


def replaced(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], junk)
    return copy


def damaged(dice: random.Random, obj: Obj) -> Any:
    for _ in range(dice.choice((1, 1, 2, 3))):
        path = dice.choice(list(places(obj)))
        junk = dice.choice(JUNK)
        if junk is None and path and isinstance(path[-1], int):
            continue  # a null among the items of a list
        obj = replaced(obj, path, junk)
    return obj


def manifests() -> list[Obj]:
    files = sorted((REPOSITORY / "examples" / "end-to-end-canary").glob("*.yaml"))
    found = [doc for file in files for doc in yaml.safe_load_all(file.read_text())]
    metadata = {"labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": ["example.com/hold"]}
    found += [config_map("a", **metadata), deployment("a"), pod("a", nodeName="n"), service("a", type="NodePort")]
    found += [widget("a", "fuzz.example.com/v1"), widget_crd("other.example.com")]
    return [{**doc, "metadata": {**doc["metadata"], "name": doc["metadata"]["name"]}} for doc in found]


@pytest.fixture
async def served(tmp_path: Path) -> Any:
    server = ApiServer(ApiServerConfig(tmp_path / "api", tokens={"t": User("fuzz", ("system:masters",))}))
    await server.open()
    api = Rig(InProcess(server.front), "t", "in-process")
    for definition in shipped_crds():
        await api.create(CRDS, definition)
    await api.create(CRDS, widget_crd("fuzz.example.com"))
    yield api, server.api.registry
    await server.stop()


def resource_of(registry: Registry, obj: Obj) -> Resource:
    found = registry.by_kind(obj["apiVersion"], obj["kind"])
    assert found is not None
    return found


def root_of(resource: Resource) -> str:
    head = "apis" if resource.group else "api"
    namespace = "/namespaces/default" if resource.namespaced else ""
    return f"/{head}/{resource.api_version}{namespace}/{resource.plural}"


@pytest.mark.parametrize("seed", range(3))
async def test_damaged_manifests_are_answered_and_never_met_with_a_bug(served: Any, seed: int) -> None:
    api, registry = served
    dice, known = random.Random(seed), manifests()
    for _ in range(ROUNDS):
        obj = dice.choice(known)
        root = root_of(resource_of(registry, obj))
        one, body = f"{root}/{obj['metadata']['name']}", damaged(dice, obj)
        for method, path, content_type in (
            ("POST", root, JSON),
            ("PUT", one, JSON),
            ("PATCH", one, MERGE),
            ("PATCH", one, STRATEGIC),
            ("PATCH", f"{one}/status", MERGE),
            ("PATCH", f"{one}/scale", MERGE),
            ("PATCH", f"{one}?fieldManager=fuzz&force=true", APPLY),
            ("PATCH", f"{one}?fieldManager=other", APPLY),
        ):
            answer = await api.call(method, path, body, content_type=content_type)
            bug = answer.status == 500 and answer.reason == "InternalError"  # a bare 500 is Kubernetes' own answer
            assert not bug, (method, path, body, answer.body)
        for accept in (JSON, TABLE):
            assert (await api.call("GET", root, accept=accept)).status == 200, (root, body)
        await api.call("DELETE", one, {"gracePeriodSeconds": 0})
        await api.call("PATCH", one, {"metadata": {"finalizers": None}}, content_type=MERGE)
        assert (await api.call("GET", one)).status == 404, (one, body)
