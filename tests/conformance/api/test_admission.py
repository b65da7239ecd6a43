"""Admission webhooks on this machine, as ours and a kube-apiserver ask them: whom, about what, and what follows."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from graylane.model.managers import CONTROLLERS
from graylane.testing.api.objects import Obj, config_map, deployment
from graylane.testing.api.peer import Peer
from graylane.testing.api.rig import APPLY, MERGE, Rig, expect
from graylane.testing.waiting import eventually
from graylane.webhooks.keeping import annotated, conditions

pytestmark = pytest.mark.bare("a cluster elsewhere cannot reach a webhook on this machine")

HOOKS = "/apis/admissionregistration.k8s.io/v1"
EVERYTHING = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
Register = Callable[..., Awaitable[None]]


def maps(ns: str) -> str:
    return f"/api/v1/namespaces/{ns}/configmaps"


def answering(asked: list[Obj], **response: Any) -> Callable[[Obj], Obj]:
    """Says yes, or what `response` says, and remembers what it was asked; what only finds out whether it is asked
    (a ConfigMap called `probe`) is refused."""

    def answer(request: Obj) -> Obj:
        if request["name"].startswith("probe"):
            return {"allowed": False, "status": {"message": "it is asked"}}
        asked.append(request)
        return {"allowed": True, **response}

    return answer


def patching(*operations: Obj) -> Obj:
    return {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(list(operations))).decode()}


@pytest.fixture
async def register(api: Rig, ns: str, peer: Peer) -> Any:
    """Registers a webhook for the scenario's namespace, and returns once the server asks it."""
    made: list[str] = []

    async def registered(kind: str = "Validating", **more: Any) -> None:
        name, path = f"{ns}-{len(made)}", f"{HOOKS}/{kind.lower()}webhookconfigurations"
        hook = {
            "name": "hook.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": peer.client,
            "rules": [EVERYTHING],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
            **more,
        }
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [hook],
        }
        await api.create(path, body)
        made.append(f"{path}/{name}")

        async def asked() -> bool:
            labels = more.get("objectSelector", {}).get("matchLabels", {})
            probe = config_map("probe", labels=labels, annotations={"probe": "1"})
            return (await api.call("POST", maps(ns), probe, dryRun="All")).status != 201

        await eventually(asked, timeout=30)

    yield registered
    for path in made:
        await api.call("DELETE", path)


async def test_a_review_tells_who_wants_what(api: Rig, ns: str, peer: Peer, register: Register) -> None:
    asked: list[Obj] = []
    peer.reply(answering(asked))
    await register()
    await api.create(f"/apis/apps/v1/namespaces/{ns}/deployments", deployment("a"), fieldManager="me")
    review = asked[-1]
    assert (review["operation"], review["name"], review["namespace"], review["dryRun"]) == ("CREATE", "a", ns, False)
    assert review["kind"] == review["requestKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert review["resource"] == review["requestResource"]
    assert review["userInfo"]["username"] == "admin"
    assert review["options"]["kind"] == "CreateOptions"
    assert review["options"]["fieldManager"] == "me"
    assert review["object"]["spec"]["revisionHistoryLimit"] == 10, "with its defaults"
    assert review["oldObject"] is None


async def test_each_verb_is_an_operation(api: Rig, ns: str, peer: Peer, register: Register) -> None:
    asked: list[Obj] = []
    peer.reply(answering(asked))
    await register()
    made = await api.create(maps(ns), config_map("a"))
    await api.patch(f"{maps(ns)}/a", {"data": {"b": "2"}})
    await api.replace(f"{maps(ns)}/a", {**made, "metadata": {"name": "a"}})
    await api.delete(f"{maps(ns)}/a")
    assert [(review["operation"], review["options"]["kind"]) for review in asked] == [
        ("CREATE", "CreateOptions"),
        ("UPDATE", "UpdateOptions"),
        ("UPDATE", "UpdateOptions"),
        ("DELETE", "DeleteOptions"),
    ]
    assert (asked[1]["oldObject"]["data"], asked[1]["object"]["data"]) == ({"a": "1"}, {"a": "1", "b": "2"})
    assert (asked[3]["object"], asked[3]["oldObject"]["metadata"]["name"]) == (None, "a")


async def test_a_subresource_is_asked_about_by_name(api: Rig, ns: str, peer: Peer, register: Register) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    await api.create(path, deployment("a"))
    asked: list[Obj] = []
    peer.reply(answering(asked))
    await register()
    await api.patch(f"{path}/a/status", {"status": {"replicas": 1}})
    await api.patch(f"{path}/a/scale", {"spec": {"replicas": 2}})
    assert [(review["subResource"], review["kind"]["kind"]) for review in asked] == [
        ("status", "Deployment"),
        ("scale", "Scale"),
    ]
    assert asked[1]["object"]["spec"] == {"replicas": 2}


async def test_a_refusal_is_the_webhooks_own(api: Rig, ns: str, peer: Peer, register: Register) -> None:
    refusal = {"allowed": False, "status": {"code": 422, "reason": "Invalid", "message": "too blue"}}
    peer.reply(answering([], **refusal))
    await register()
    answer = await api.call("POST", maps(ns), config_map("a"))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message == 'admission webhook "hook.example.com" denied the request: too blue'
    peer.reply(answering([], allowed=False))
    plain = await api.call("POST", maps(ns), config_map("a"))
    assert (plain.status, plain.reason) == (400, "")
    assert plain.message == 'admission webhook "hook.example.com" denied the request without explanation'
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 404


async def test_a_patch_changes_what_is_stored_and_warnings_are_passed_on(
    api: Rig, ns: str, peer: Peer, register: Register
) -> None:
    label = {"op": "add", "path": "/metadata/labels", "value": {"from": "webhook"}}
    data = {"op": "replace", "path": "/data/a", "value": "2"}
    peer.reply(answering([], **patching(label, data), warnings=["changed", "twice"]))
    await register("Mutating")
    answer = await api.call("POST", maps(ns), config_map("a"))
    made = expect(answer, 201)
    assert (made["metadata"]["labels"], made["data"]) == ({"from": "webhook"}, {"a": "2"})
    assert answer.warnings == ['299 - "changed"', '299 - "twice"']


WRONG_PATCHES = {
    "a path that is not": patching({"op": "remove", "path": "/data/nothing"}),
    "no patch at all": {"patchType": "JSONPatch", "patch": base64.b64encode(b"{}").decode()},
    "no type": {"patch": base64.b64encode(b"[]").decode()},
    "a wrong value": patching({"op": "replace", "path": "/data/a", "value": 5}),
}


@pytest.mark.parametrize("case", WRONG_PATCHES)
async def test_a_patch_that_cannot_be_applied_stores_nothing(
    api: Rig, ns: str, peer: Peer, register: Register, case: str
) -> None:
    peer.reply(answering([], **WRONG_PATCHES[case]))
    await register("Mutating")
    answer = await api.call("POST", maps(ns), config_map("a"))
    assert answer.status >= 400, answer.body
    assert answer.json["kind"] == "Status"
    assert (await api.call("GET", f"{maps(ns)}/a")).status == 404


async def test_a_dry_run_is_told_so_and_asks_only_the_harmless(
    api: Rig, ns: str, peer: Peer, register: Register
) -> None:
    asked: list[Obj] = []
    peer.reply(answering(asked))
    await register(sideEffects="NoneOnDryRun")
    expect(await api.call("POST", maps(ns), config_map("a"), dryRun="All"), 201)
    assert [review["dryRun"] for review in asked] == [True]


async def test_who_does_not_match_is_not_asked_about(api: Rig, ns: str, peer: Peer, register: Register) -> None:
    asked: list[Obj] = []
    peer.reply(answering(asked))
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    await register(rules=[rule], objectSelector={"matchLabels": {"reviewed": "yes"}})
    await api.create(maps(ns), config_map("unlabelled"))
    await api.create(maps(ns), config_map("labelled", labels={"reviewed": "yes"}))
    await api.patch(f"{maps(ns)}/labelled", {"data": {"b": "1"}})
    await api.create(f"/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "s", "labels": {"reviewed": "yes"}}})
    assert [review["name"] for review in asked] == ["labelled"]


@pytest.mark.parametrize(("policy", "status"), [("Ignore", 201), ("Fail", 500)])
async def test_a_webhook_that_cannot_be_understood_counts_as_its_policy_says(
    api: Rig, ns: str, peer: Peer, register: Register, policy: str, status: int
) -> None:
    peer.reply(answering([]))
    await register(failurePolicy=policy)
    peer.reply(lambda request: {"uid": "another"})
    answer = await api.call("POST", maps(ns), config_map("a"))
    assert answer.status == status, answer.body
    if status == 500:
        assert 'failed calling webhook "hook.example.com"' in answer.message


async def test_a_second_webhook_sees_what_the_first_has_made_of_it_and_the_first_is_asked_again(
    api: Rig, ns: str, peer: Peer, register: Register
) -> None:
    seen: list[tuple[str, Any]] = []

    def answer(request: Obj) -> Obj:
        if request["name"] == "probe":
            return {"allowed": False}
        labels = request["object"]["metadata"].get("labels") or {}
        seen.append((request["name"], dict(labels)))
        number = str(len(labels))
        if len(labels) >= 2:
            return {"allowed": True}
        path = f"/metadata/labels/n{number}" if labels else "/metadata/labels"
        return {"allowed": True, **patching({"op": "add", "path": path, "value": "1" if labels else {"n0": "1"}})}

    peer.reply(answer)
    await register("Mutating", name="first.example.com", reinvocationPolicy="IfNeeded")
    await register("Mutating", name="second.example.com")
    made = await api.create(maps(ns), config_map("a"))
    assert made["metadata"]["labels"] == {"n0": "1", "n1": "1"}
    assert [labels for _, labels in seen] == [{}, {"n0": "1"}, {"n0": "1", "n1": "1"}]


async def test_a_condition_decides_whether_to_ask(api: Rig, ns: str, peer: Peer, register: Register) -> None:
    pytest.importorskip("cel_expr_python", reason="the extra `cel` is not installed")
    asked: list[Obj] = []
    peer.reply(answering(asked))
    condition = {"name": "big", "expression": "object == null || object.metadata.name != 'small'"}
    await register(matchConditions=[condition])
    await api.create(maps(ns), config_map("small"))
    await api.create(maps(ns), config_map("large"))
    assert [review["name"] for review in asked] == ["large"]


async def test_we_are_asked_about_what_carries_something_of_ours_and_not_about_our_own_writes(
    api: Rig, ns: str, peer: Peer, register: Register
) -> None:
    pytest.importorskip("cel_expr_python", reason="the extra `cel` is not installed")
    mark = "example.com/ours"
    for name, notes in (("a", {mark: "1"}), ("b", {"example.com/theirs": "1"}), ("c", {})):
        await api.create(maps(ns), config_map(name, annotations=notes))
    asked: list[Obj] = []
    peer.reply(answering(asked))
    await register(
        "Mutating", matchConditions=conditions(annotated(mark))
    )  # the probe's creation cannot be decided, and fails
    for name, manager in (("a", ""), ("b", ""), ("c", ""), ("a", "tool"), ("a", CONTROLLERS)):
        change, query = {"data": {"count": str(len(asked))}}, {"fieldManager": manager} if manager else {}
        expect(await api.call("PATCH", f"{maps(ns)}/{name}", change, content_type=MERGE, **query), 200)
    assert [(review["name"], review["options"].get("fieldManager")) for review in asked] == [("a", None), ("a", "tool")]


def owners(obj: Obj) -> dict[str, Obj]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"]["managedFields"]}


async def kept_by_a_webhook(api: Rig, ns: str, peer: Peer, register: Register, *names: str) -> None:
    """ConfigMaps of which a webhook puts everything back that anybody changes, and adds a note to it."""
    for name in names:
        made = await api.create(maps(ns), config_map(name, {"a": "1", "ours": "1"}), fieldManager="creator")
    data = {"op": "replace", "path": "/data", "value": made["data"]}
    note = {"op": "add", "path": "/metadata/annotations", "value": {"note": "kept"}}
    peer.reply(answering([], **patching(data, note)))
    await register("Mutating")


async def test_what_a_webhook_changes_belongs_to_nobody_and_what_it_undoes_to_who_wanted_it(
    api: Rig, ns: str, peer: Peer, register: Register
) -> None:
    await kept_by_a_webhook(api, ns, peer, register, "a")
    await api.call(
        "PATCH", f"{maps(ns)}/a", {"data": {"a": "2", "ours": None}}, content_type=MERGE, fieldManager="tool"
    )
    after = await api.get(f"{maps(ns)}/a")
    assert (after["data"], after["metadata"]["annotations"]) == ({"a": "1", "ours": "1"}, {"note": "kept"})
    assert owners(after) == {"creator": {"f:data": {}}, "tool": {"f:data": {"f:a": {}}}}


async def test_who_writes_again_what_a_webhook_puts_back_writes_nothing(
    api: Rig, ns: str, peer: Peer, register: Register
) -> None:
    ways: dict[str, Obj] = {
        "patched": {"verb": "PATCH", "content_type": MERGE},
        "applied": {"verb": "PATCH", "content_type": APPLY, "force": "true"},
        "replaced": {"verb": "PUT"},
    }
    await kept_by_a_webhook(api, ns, peer, register, *ways)

    async def written() -> dict[str, Obj]:
        found = {}
        for name, way in ways.items():
            manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "2"}}
            said = {key: value for key, value in way.items() if key != "verb"}
            answer = await api.call(way["verb"], f"{maps(ns)}/{name}", manifest, fieldManager="tool", **said)
            found[name] = expect(answer, 200)
        return found

    first = await written()
    assert [owners(obj)["tool"] for obj in first.values()] == [{"f:data": {"f:a": {}}}] * len(ways)
    last = max(entry["time"] for obj in first.values() for entry in obj["metadata"]["managedFields"])

    async def a_second_later() -> bool:
        return datetime.now(UTC) > datetime.fromisoformat(last) + timedelta(seconds=1)

    await eventually(a_second_later, timeout=30)  # else the times would be equal anyway
    assert await written() == first
