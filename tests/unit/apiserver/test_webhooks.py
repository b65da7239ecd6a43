"""Admission webhooks: who is asked, in which order, what they may change, and what their failure means."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import orjson
import pytest
from aiohttp import web

from graylane.cluster.apiserver import cel
from graylane.testing.api.objects import Obj, config_map, deployment
from graylane.testing.api.rig import Rig

from .conftest import Peer

HOOKS = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def hook(peer: Peer, path: str = "/", **more: Any) -> Obj:
    rule = {"apiGroups": ["", "apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*"]}
    return {
        "name": "hook.graylane.dev",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": peer.url + path, "caBundle": base64.b64encode(peer.ca).decode()},
        "rules": [rule],
        **more,
    }


async def register(api: Rig, kind: str, *webhooks: Obj, name: str = "test") -> None:
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": list(webhooks),
    }
    await api.create(f"{HOOKS}/{kind.lower()}webhookconfigurations", body)


class Reviewer:
    """Answers every review, and remembers what it was asked."""

    def __init__(self, peer: Peer, patch: list[Obj] | None = None, **response: Any) -> None:
        self.requests: list[Obj] = []
        self.patch, self.response = patch, {"allowed": True, **response}
        peer.handler.append(self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        review = orjson.loads(await request.read())["request"]
        self.requests.append(review)
        response = {"uid": review["uid"], **self.response}
        if self.patch is not None:
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(self.patch)).decode()}
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        return web.json_response(body)


async def test_a_mutating_webhook_changes_what_is_stored(api: Rig, peer: Peer) -> None:
    reviewer = Reviewer(peer, [{"op": "add", "path": "/spec/paused", "value": True}], warnings=["paused by a test"])
    await register(api, "Mutating", hook(peer))
    answer = await api.call("POST", DEPLOYMENTS, deployment("a"))
    assert (answer.status, answer.json["spec"]["paused"]) == (201, True)
    assert answer.warnings == ['299 - "paused by a test"']
    request = reviewer.requests[0]
    assert (request["operation"], request["name"], request["namespace"]) == ("CREATE", "a", "default")
    assert request["kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert request["resource"] == {"group": "apps", "version": "v1", "resource": "deployments"}
    assert request["object"]["spec"]["replicas"] == 1
    assert request["userInfo"]["username"] == "admin"


async def test_an_update_is_reviewed_with_the_object_before_it(api: Rig, peer: Peer) -> None:
    await api.create(DEPLOYMENTS, deployment("a"))
    reviewer = Reviewer(peer, [{"op": "add", "path": "/spec/paused", "value": True}])
    await register(api, "Mutating", hook(peer))
    after = await api.patch(f"{DEPLOYMENTS}/a", {"spec": {"replicas": 3}})
    assert (after["spec"]["replicas"], after["spec"]["paused"], after["metadata"]["generation"]) == (3, True, 2)
    request = reviewer.requests[0]
    assert (request["operation"], request["oldObject"]["spec"]["replicas"]) == ("UPDATE", 1)


async def test_a_refusal_is_given_in_the_webhooks_words(api: Rig, peer: Peer) -> None:
    Reviewer(peer, allowed=False, status={"code": 422, "reason": "Invalid", "message": "spec.steps: at least one"})
    await register(api, "Validating", hook(peer))
    answer = await api.call("POST", MAPS, config_map("a"))
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert answer.message == 'admission webhook "hook.graylane.dev" denied the request: spec.steps: at least one'
    assert (await api.call("GET", f"{MAPS}/a")).status == 404


async def test_a_deletion_is_reviewed_too(api: Rig, peer: Peer) -> None:
    await api.create(MAPS, config_map("a"))
    reviewer = Reviewer(peer, allowed=False, status={"message": "keep it"})
    await register(api, "Validating", hook(peer))
    answer = await api.call("DELETE", f"{MAPS}/a")
    assert (answer.status, reviewer.requests[0]["operation"]) == (400, "DELETE")
    assert reviewer.requests[0]["object"] is None
    assert reviewer.requests[0]["oldObject"]["data"] == {"a": "1"}


async def test_validation_sees_what_mutation_made(api: Rig, peer: Peer) -> None:
    Reviewer(peer, [{"op": "add", "path": "/data/added", "value": "x"}])
    mutating = peer.handler.pop()
    validating = Reviewer(peer)
    judge = peer.handler.pop()

    async def both(request: web.Request) -> web.StreamResponse:
        return await (mutating if request.path == "/mutate" else judge)(request)

    peer.handler.append(both)
    await register(api, "Mutating", hook(peer, "/mutate"))
    await register(api, "Validating", hook(peer, "/validate"))
    await api.create(MAPS, config_map("a"))
    assert validating.requests[0]["object"]["data"] == {"a": "1", "added": "x"}


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ({"rules": [{"apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]}, False),
        ({"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["*"]}]}, False),
        (
            {"rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/status"]}]},
            False,
        ),
        ({"rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}]}, True),
        ({"objectSelector": {"matchLabels": {"on": "yes"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, True),
        ({"namespaceSelector": {"matchExpressions": [{"key": "x", "operator": "Exists"}]}}, False),
    ],
)
async def test_rules_and_selectors_say_who_is_asked(api: Rig, peer: Peer, more: Obj, asked: bool) -> None:
    reviewer = Reviewer(peer)
    await register(api, "Validating", hook(peer, **more))
    await api.create(MAPS, config_map("a"))
    assert bool(reviewer.requests) is asked


async def test_a_failing_webhook_refuses_or_is_ignored_as_its_policy_says(api: Rig, peer: Peer) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="broken")

    peer.handler.append(broken)
    await register(api, "Validating", hook(peer), name="fail")
    answer = await api.call("POST", MAPS, config_map("a"))
    assert (answer.status, answer.reason) == (500, "InternalError")
    assert 'failed calling webhook "hook.graylane.dev"' in answer.message
    await api.delete(f"{HOOKS}/validatingwebhookconfigurations/fail")
    await register(api, "Validating", hook(peer, failurePolicy="Ignore"), name="ignore")
    await api.create(MAPS, config_map("a"))


async def test_a_webhook_that_does_not_answer_in_time_has_failed(api: Rig, peer: Peer) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    peer.handler.append(slow)
    await register(api, "Validating", hook(peer, timeoutSeconds=1))
    answer = await api.call("POST", MAPS, config_map("a"))
    assert answer.status == 500
    assert "within 1 s" in answer.message


async def test_a_webhook_is_found_through_its_service(api: Rig, peer: Peer) -> None:
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": "", "port": peer.port, "protocol": "TCP"}],
    }
    await api.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", body)
    reviewer = Reviewer(peer)
    service = {"namespace": "default", "name": "hook", "path": "/check"}
    config = {"service": service, "caBundle": base64.b64encode(peer.ca).decode()}
    await register(api, "Validating", hook(peer, clientConfig=config))
    await api.create(MAPS, config_map("a"))
    assert len(reviewer.requests) == 1


async def test_an_untrusted_webhook_is_not_believed(api: Rig, peer: Peer) -> None:
    Reviewer(peer)
    await register(api, "Validating", hook(peer, clientConfig={"url": peer.url}))
    answer = await api.call("POST", MAPS, config_map("a"))
    assert answer.status == 500


async def test_a_broken_webhook_can_be_removed(api: Rig, peer: Peer) -> None:
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    await register(api, "Validating", hook(peer, clientConfig={"url": "https://127.0.0.1:1"}, rules=[everything]))
    assert (await api.call("POST", MAPS, config_map("a"))).status == 500
    await api.delete(f"{HOOKS}/validatingwebhookconfigurations/test")
    await api.create(MAPS, config_map("a"))


async def test_a_write_that_was_overtaken_while_the_webhook_thought_is_made_again(api: Rig, peer: Peer) -> None:
    await api.create(MAPS, config_map("a"))
    first, release = asyncio.Event(), asyncio.Event()
    reviewer = Reviewer(peer)

    async def thinking(request: web.Request) -> web.StreamResponse:
        if not first.is_set():
            first.set()
            await release.wait()
        return await reviewer.answer(request)

    peer.handler.append(thinking)
    await register(api, "Mutating", hook(peer, objectSelector={}))
    slow = asyncio.create_task(api.patch(f"{MAPS}/a", {"data": {"slow": "1"}}))
    await first.wait()
    await api.patch(f"{MAPS}/a", {"data": {"fast": "1"}})
    release.set()
    assert (await slow)["data"] == {"a": "1", "fast": "1", "slow": "1"}


async def test_dry_run_is_refused_where_a_webhook_would_have_effects(api: Rig, peer: Peer) -> None:
    reviewer = Reviewer(peer)
    await register(api, "Validating", hook(peer, sideEffects="NoneOnDryRun"))
    await api.create(MAPS, config_map("a"), dryRun="All")
    assert reviewer.requests[0]["dryRun"] is True


@pytest.mark.skipif(not cel.available(), reason="the extra cel is not installed")
async def test_a_webhook_is_asked_only_when_its_conditions_hold(api: Rig, peer: Peer) -> None:
    reviewer = Reviewer(peer, allowed=False)
    condition = {"name": "named-b", "expression": "object.metadata.name == 'b'"}
    await register(api, "Validating", hook(peer, matchConditions=[condition]))
    assert (await api.call("POST", MAPS, config_map("a"))).status == 201
    assert (await api.call("POST", MAPS, config_map("b"))).status == 400
    assert len(reviewer.requests) == 1


async def test_without_the_extra_conditions_are_named_and_the_webhook_always_asked(
    api: Rig, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cel, "available", lambda: False)
    Reviewer(peer, allowed=False)
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "test"},
        "webhooks": [hook(peer, matchConditions=[{"name": "never", "expression": "false"}])],
    }
    answer = await api.call("POST", f"{HOOKS}/validatingwebhookconfigurations", body)
    assert "does not evaluate matchConditions of hook.graylane.dev" in answer.warnings[0]
    assert (await api.call("POST", MAPS, config_map("a"))).status == 400
