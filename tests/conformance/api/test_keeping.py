"""Our webhook that keeps routes, as a kube-apiserver and ours ask it: with Istio's own CRD, by every way to write."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import orjson
import pytest
from aiohttp import web

from graylane.install import shipped_crds
from graylane.model.managers import CONTROLLERS
from graylane.model.meta import Obj, annotations_of, name_of
from graylane.model.trafficrouting import ADDED
from graylane.testing.api.kinds import CRDS, established
from graylane.testing.api.objects import config_map
from graylane.testing.api.peer import Peer
from graylane.testing.api.rig import APPLY, MERGE, Result, Rig, expect
from graylane.testing.inline import INLINE
from graylane.testing.waiting import eventually
from graylane.testing.world import World
from graylane.trafficrouting import keeping, routes, scripts
from graylane.trafficrouting.compose import fold
from graylane.trafficrouting.providers.custom import Contribution
from graylane.webhooks.keeping import annotated, conditions, keeper, rules

pytestmark = pytest.mark.bare("a cluster elsewhere cannot reach a webhook on this machine")

HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
CRD = next(crd for crd in shipped_crds() if name_of(crd) == "virtualservices.networking.istio.io")
LANE = {"matches": [{"headers": [{"type": "Exact", "name": "my-request-id", "value": "canary"}]}]}
BASE = {"route": [{"destination": {"host": "web", "subset": "base"}}]}
KEPT = "TrafficRouting lane keeps its routes in VirtualService web until its release ends"


class Routes:
    """The VirtualService `web`, and whoever writes it."""

    def __init__(self, api: Rig, ns: str) -> None:
        self.api = api
        self.all = f"/apis/networking.istio.io/v1beta1/namespaces/{ns}/virtualservices"
        self.path = f"{self.all}/web"

    def manifest(self, **rule: Any) -> Obj:
        spec = {"hosts": ["web"], "http": [BASE | rule]}
        return {
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": "VirtualService",
            "metadata": {"name": "web"},
            "spec": spec,
        }

    async def live(self) -> Obj:
        found: Obj = await self.api.get(self.path)
        return found

    async def put_in(self) -> None:
        """What the controller writes when a release opens its lane."""
        obj = await self.live()
        wishes = {"lane/web": Contribution("web", obj["metadata"]["namespace"], LANE)}
        original = routes.original_of(obj, None)
        script = scripts.shipped("VirtualService", "networking.istio.io")
        desired = await fold(INLINE, script, original, wishes, "web")
        await self.ours(routes.change(obj, None, original, wishes, desired) or {})

    async def take_out(self) -> None:
        """And when it closes it."""
        obj = await self.live()
        memory = routes.recall(obj)
        original = routes.original_of(obj, memory)
        await self.ours(routes.change(obj, memory, original, {}, original) or {})

    async def ours(self, patch: Obj) -> None:
        expect(await self.api.call("PATCH", self.path, patch, content_type=MERGE, fieldManager=CONTROLLERS), 200)

    async def written(self, way: str, obj: Obj, **query: Any) -> Result:
        query = {"fieldManager": way} | query
        match way:
            case "patch":
                return await self.api.call("PATCH", self.path, obj, content_type=MERGE, **query)
            case "apply":
                return await self.api.call("PATCH", self.path, obj, content_type=APPLY, **query)
        version = {"resourceVersion": (await self.live())["metadata"]["resourceVersion"]}
        return await self.api.call("PUT", self.path, obj | {"metadata": obj["metadata"] | version}, **query)


@pytest.fixture
async def held(api: Rig, ns: str, peer: Peer) -> AsyncIterator[Routes]:
    """Routes of a release are in it, and the server asks our webhook as its registration says."""
    handle = keeper(partial(keeping.keep, INLINE), keeping.late)

    async def answer(request: web.Request) -> web.StreamResponse:
        review = orjson.loads(await request.read())["request"]
        if review["name"] == "probe":
            return web.json_response(_review(review["uid"], allowed=False))
        return web.json_response((await handle(review, World().view())).to_review(review["uid"]))

    peer.handler.append(answer)
    await established(api, CRD)
    vs = Routes(api, ns)
    await api.create(vs.all, vs.manifest())
    await vs.put_in()
    probed = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}
    common = {"clientConfig": peer.client, "admissionReviewVersions": ["v1"], "sideEffects": "None"}
    kept = {
        "name": "keep.example.com",
        "rules": rules(()),
        "matchConditions": conditions(annotated(ADDED)),
        "failurePolicy": "Ignore",
    }
    hooks = [common | kept, common | {"name": "probe.example.com", "rules": [probed]}]
    body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "webhooks": hooks}
    await api.create(HOOKS, body | {"metadata": {"name": ns}})
    maps = f"/api/v1/namespaces/{ns}/configmaps"

    async def asked() -> bool:
        return (await api.call("POST", maps, config_map("probe"), dryRun="All")).status != 201

    await eventually(asked, timeout=30)
    yield vs
    await api.call("DELETE", f"{HOOKS}/{ns}")
    await api.call("DELETE", f"{CRDS}/{name_of(CRD)}")

    async def gone() -> bool:
        return (await api.call("GET", f"{CRDS}/{name_of(CRD)}")).status == 404

    await eventually(gone, timeout=30)


def _review(uid: str, *, allowed: bool) -> Obj:
    response = {"uid": uid, "allowed": allowed}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def timeouts(obj: Obj) -> list[str | None]:
    """Of our rule, and of the user's that it was made from."""
    return [rule.get("timeout") for rule in obj["spec"]["http"]]


async def test_however_it_is_written_the_edit_and_our_routes_are_stored_and_the_next_time_nothing(held: Routes) -> None:
    for number, way in enumerate(("patch", "apply", "replace"), start=1):
        manifest = held.manifest(timeout=f"{number}s")
        force = {"force": "true"} if way == "apply" else {}
        first = await held.written(way, manifest, **force)
        assert timeouts(expect(first, 200)) == [f"{number}s"] * 2, way
        assert KEPT in str(first.warnings)
        second = expect(await held.written(way, manifest), 200)  # whoever applied by force once owns it now
        assert second == expect(await held.written(way, manifest), 200), way
        assert ADDED in annotations_of(second)
        owners = {entry["manager"]: entry["fieldsV1"] for entry in second["metadata"]["managedFields"]}
        assert "f:http" in owners[way]["f:spec"], "a list belongs as a whole to whoever wrote it last"
        assert ADDED not in str(owners[way]), "and what we put beside it does not"


async def test_a_dry_run_shows_what_would_be_stored(held: Routes) -> None:
    before = await held.live()
    shown = expect(await held.written("apply", held.manifest(timeout="7s"), force="true", dryRun="All"), 200)
    assert (timeouts(shown), await held.live()) == (["7s", "7s"], before)
    same = expect(await held.written("apply", held.manifest(), force="true", dryRun="All"), 200)
    assert same["spec"] == before["spec"], "which is what `kubectl diff` compares"


async def test_our_controller_takes_out_what_it_put_in_and_nothing_brings_it_back(held: Routes) -> None:
    await held.written("apply", held.manifest(timeout="2s"), force="true")
    await held.take_out()
    after = await held.live()
    assert (after["spec"], annotations_of(after)) == (held.manifest(timeout="2s")["spec"], {})
    again = await held.written("apply", held.manifest(timeout="2s"))
    assert (expect(again, 200)["spec"], again.warnings) == (after["spec"], [])
