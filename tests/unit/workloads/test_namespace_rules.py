"""A namespace that is deleted empties itself and says what it waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from graylane.cluster.workloads.controllers import controllers
from graylane.cluster.workloads.garbage import Dependent
from graylane.cluster.workloads.namespaces import is_terminating, terminate
from graylane.kit import Delete, Patch, Replace
from graylane.model.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    NAMESPACE,
    POD,
    REPLICA_SET,
    SERVICE,
)
from graylane.model.meta import Obj, name_of
from graylane.testing.world import World

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def namespace(**fields: object) -> Obj:
    metadata = {"name": "shop", "uid": "u", "resourceVersion": "7", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"finalizers": ["kubernetes"]}} | fields


def inside(name: str, **metadata: object) -> Obj:
    return {"metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}"} | metadata}


def test_everything_in_it_is_deleted_once_and_what_remains_is_said() -> None:
    stopping = inside("b", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["example.org/keep"])
    outcome = terminate(namespace(), [Dependent(CONFIG_MAP, inside("a")), Dependent(POD, stopping)], NOW)
    report, *deletes = outcome.effects
    assert [effect.key.name for effect in deletes if isinstance(effect, Delete)] == ["a"]
    assert isinstance(report, Patch)
    status = report.patch["status"]
    assert status["phase"] == "Terminating"
    assert [condition["message"] for condition in status["conditions"]] == [
        "Some resources are remaining: configmaps. has 1 resource instances, pods. has 1 resource instances",
        "Some content in the namespace has finalizers remaining: example.org/keep in 1 resource instances",
    ]
    assert outcome.wake_at == NOW + timedelta(seconds=1)


def test_the_same_report_is_not_written_twice() -> None:
    content = [Dependent(POD, inside("b", deletionTimestamp="2026-01-01T00:00:00Z"))]
    [report] = terminate(namespace(), content, NOW).effects
    assert isinstance(report, Patch)
    assert terminate(namespace(status=report.patch["status"]), content, NOW + timedelta(seconds=9)).effects == ()


def test_an_empty_one_is_let_go_through_finalize() -> None:
    [effect] = terminate(namespace(), [], NOW).effects
    assert isinstance(effect, Replace)
    assert effect.subresource == "finalize"
    assert effect.obj["spec"] == {"finalizers": []}
    assert effect.obj["metadata"]["resourceVersion"] == "7"


def test_only_a_deleted_namespace_is_terminating() -> None:
    assert is_terminating(namespace())
    assert not is_terminating(namespace(metadata={"name": "shop"}))
    assert not is_terminating(namespace(spec={"finalizers": []}))


def test_nobody_creates_anything_in_a_namespace_that_is_closing() -> None:
    world = World()
    selector = {"matchLabels": {"app": "web"}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    for kind, spec in (
        (DEPLOYMENT, {"replicas": 1, "selector": selector, "template": template}),
        (REPLICA_SET, {"replicas": 1, "selector": selector, "template": template}),
        (SERVICE, {"selector": {"app": "web"}, "ports": [{"port": 80}]}),
    ):
        world.put(kind, {"metadata": {"name": f"a-{kind.plural}", "namespace": "shop"}, "spec": spec})
    world.put(NAMESPACE, {"metadata": {"name": "shop", "finalizers": ["example.org/keep"]}})
    world.delete(NAMESPACE, "", "shop")
    world.run(controllers())
    assert world.list(POD) == world.list(ENDPOINT_SLICE) == world.list(ENDPOINTS) == []
    assert [name_of(rs) for rs in world.list(REPLICA_SET)] == ["a-replicasets"]
