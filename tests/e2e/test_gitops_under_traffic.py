"""While both releases of the scenario wait, tools of every kind write its routes again and again, under traffic.

No dyed request may miss the canaries in the meantime, nothing that was written may be lost, and a tool that has nothing
new to say changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.cli.demo.answers import Answer
from graylane.cli.demo.asking import Asker, Traffic
from graylane.testing.waiting import eventually

from .rig import EXAMPLES, Up, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FILES = tuple(sorted(EXAMPLES.glob("0[1-6]-*.yaml")))
ROUTES = [document for name in FILES[2:4] for document in yaml.safe_load_all(name.read_text())]
ROUTING = next(
    document for document in yaml.safe_load_all(FILES[5].read_text()) if document["metadata"]["name"] == "mockb-tr"
)
HELD = "Warning: Rollout rollouts-b keeps its hold of TrafficRouting mockb-tr until its release ends"
SERVER_SIDE = "kubectl apply --server-side --field-manager=gitops -f {}"
WAYS = (  # for the first time, and from then on
    ("kubectl apply -f {}", "kubectl apply -f {}"),
    (f"{SERVER_SIDE} --force-conflicts", SERVER_SIDE),
    ("kubectl replace -f {}", "kubectl replace -f {}"),
)
EDIT = "KUBE_EDITOR=\"sed -i 's/timeout: 3s/timeout: 9s/'\" kubectl edit vs vs-mocka"
KEPT = (
    "Warning: TrafficRouting mocka-tr keeps its routes in VirtualService vs-mocka until its release ends; "
    "everything else is stored as you wrote it"
)
Record = Callable[[str, object], None]
ROUNDS = 2


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with started(tmp_path / "data", *(part for file in FILES for part in ("-f", str(file)))) as rig:
        yield rig


async def test_whoever_writes_the_routes_meanwhile_no_request_misses_its_version(
    up: Up, tmp_path: Path, record_property: Record
) -> None:
    await eventually(lambda: "mockb" in up.curl(), 60, "the chain answers")
    up.shell(CUSTOM)
    up.shell(FOO % "one")
    up.shell("kubectl set env deploy/mocka-base deploy/mockb-base version=canary")
    up.shell("graylane status rollouts-a rollouts-b --until paused --timeout 60")
    await a_kind_of_the_users_own_is_asked_about_too(up)
    manifest = tmp_path / "routes.yaml"
    async with Asker(up.gateway) as asker, Traffic(asker) as traffic:
        traffic.start()
        for number, (first, again) in enumerate(WAYS, start=1):
            manifest.write_text(yaml.safe_dump_all(edited(number)))
            assert KEPT in await typed(up, first.format(manifest)), first
            assert await timeouts(up) == [f"{number}s"] * 4, first
            await eventually(lambda: taken_in(up), 30, "the proxies have the edit")
            await eventually(lambda line=again.format(manifest): changes_nothing(up, line), 60, "a fixed point")
            before = await written(up)
            for _ in range(ROUNDS):
                await typed(up, again.format(manifest))
            assert await written(up) == before, f"{again}: nothing new was said"
        manifest.write_text(yaml.safe_dump(ROUTING))
        assert HELD in await typed(up, f"kubectl replace -f {manifest}")
        manifest.write_text(yaml.safe_dump_all(edited(len(WAYS))))
        assert "serverside-applied" in await typed(up, f"{WAYS[1][0]} --dry-run=server".format(manifest))
        await typed(up, f"kubectl diff -f {manifest}")
        assert await written(up) == before
        await typed(up, EDIT)
        assert await timeouts(up) == ["9s", "9s", "3s", "3s"]
        await traffic.more(100)
        await traffic.stop()
    assert wrong(traffic.answers) == []
    record_property("proof: requests while tools wrote the routes, 0 failed and 0 misrouted", len(traffic.answers))
    up.shell("graylane approve rollouts-a rollouts-b --wait")
    wanted = edited(len(WAYS))
    wanted[0]["spec"]["http"][0]["timeout"] = "9s"
    assert [item["spec"] for item in live(up)] == [obj["spec"] for obj in wanted], "nothing of ours is left"
    assert up.get("foo", "f")["spec"]["backends"] == [{"name": "two"}]


CUSTOM = """
kubectl apply -f - <<'END'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.example.io}
spec:
  group: example.io
  scope: Namespaced
  names: {kind: Foo, plural: foos, singular: foo}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: kruise-rollout}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kruise-rollout-configuration, namespace: kruise-rollout}
data:
  lua.traffic.routing.Foo.example.io: table.insert(obj.data.spec.backends, {name = 'canary'}) return obj.data
END
kubectl wait crd/foos.example.io --for=condition=Established --timeout=30s
kubectl patch trafficrouting mocka-tr --type=json -p '[
  {"op": "add", "path": "/spec/objectRef/0/gracePeriodSeconds", "value": 0},
  {"op": "add", "path": "/spec/objectRef/0/customNetworkRefs/-",
   "value": {"apiVersion": "example.io/v1", "kind": "Foo", "name": "f"}}]'
"""
FOO = """
kubectl apply -f - <<'END'
apiVersion: example.io/v1
kind: Foo
metadata: {name: f}
spec: {backends: [{name: %s}]}
END
"""


async def a_kind_of_the_users_own_is_asked_about_too(up: Up) -> None:
    """Which the API server learns of when the TrafficRouting names it; its script is the user's too."""
    told = up.shell(FOO % "two").stderr
    assert "TrafficRouting mocka-tr keeps its routes in Foo f" in told
    assert up.get("foo", "f")["spec"]["backends"] == [{"name": "two"}, {"name": "canary"}]


def edited(number: int) -> list[Any]:
    """What the repository holds at the moment: other timeouts, other numbers of connections."""
    documents = [yaml.safe_load(yaml.safe_dump(document)) for document in ROUTES]
    for document in documents:
        if document["kind"] == "VirtualService":
            document["spec"]["http"][0]["timeout"] = f"{number}s"
        else:
            document["spec"]["trafficPolicy"]["connectionPool"] = {"tcp": {"maxConnections": 1000 + number}}
    return documents


async def typed(up: Up, line: str) -> str:
    """What a tool says, warnings and all; beside the traffic, not in its place."""
    done = await asyncio.to_thread(up.shell, line)
    return done.stdout + done.stderr


def live(up: Up) -> list[Any]:
    """In the order of `ROUTES`."""
    found: list[Any] = up.get("vs/vs-mocka", "vs/vs-mockb", "dr/dr-mocka", "dr/dr-mockb", "--show-managed-fields")[
        "items"
    ]
    return found


async def timeouts(up: Up) -> list[str]:
    """Of the rules for the canaries and of those that they are made from."""
    found = await asyncio.to_thread(live, up)
    return [rule.get("timeout") for item in found for rule in item["spec"].get("http", ())]


async def taken_in(up: Up) -> bool:
    found = await asyncio.to_thread(live, up)
    return all(item["metadata"]["generation"] == item["status"]["observedGeneration"] for item in found)


async def changes_nothing(up: Up, line: str) -> bool:
    """Our controller may still be noting what it made of the first one."""
    before = await written(up)
    await typed(up, line)
    return await written(up) == before


async def written(up: Up) -> list[Any]:
    """All that a write would leave its traces in, but for what the mesh reports meanwhile, which is a status.

    After that Kubernetes stores the time at which the same tool came again, once.
    """
    found = [item["metadata"] for item in await asyncio.to_thread(live, up)]
    return [(each["generation"], each["annotations"], owners(each["managedFields"])) for each in found]


def owners(entries: list[Any]) -> dict[str, Any]:
    return {
        f"{entry['manager']} {entry['operation']}": entry["fieldsV1"]
        for entry in entries
        if entry.get("subresource") != "status"
    }


def wrong(answers: list[Answer]) -> list[str]:
    """Requests that failed, or were answered by another version than the one they asked for at any hop."""
    found = []
    for answer in answers:
        met = {hop.version for hop in answer.hops} if answer.ok else {f"{answer.status} {answer.error}"}
        if (len(answer.hops) if answer.ok else 0) != 2 or met != {"canary" if answer.dyed else "base"}:
            found.append(f"dyed={answer.dyed} met {sorted(met)}")
    return found
