"""The mesh between a real API server and a real Envoy: traffic, statuses, and what happens when things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import yaml

from graylane.model.kinds import (
    AUTHORIZATION_POLICY,
    CONFIG_MAP,
    DESTINATION_RULE,
    ENDPOINT_SLICE,
    ENVOY_FILTER,
    EVENT,
    GATEWAY,
    PEER_AUTHENTICATION,
    POD,
    REQUEST_AUTHENTICATION,
    SECRET,
    SERVICE_ENTRY,
    SIDECAR,
    TRAFFIC_ROUTING,
    VIRTUAL_SERVICE,
    WORKLOAD_ENTRY,
    Kind,
)
from graylane.model.meta import Obj, condition, dig
from graylane.model.patches import PatchType
from graylane.testing import envoys
from graylane.testing.waiting import eventually

from .certificates import Authority
from .mesh_rig import SCENARIO, MeshRig, mesh_rig

pytestmark = pytest.mark.e2e

CANARY = {"version": "canary", "istio.service.tag": "gray"}
VM = {"address": "127.0.0.9", "ports": {"http": 8000}}
LANE = {"match": [{"headers": {"my-request-id": {"exact": "canary"}}}]}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[MeshRig]:
    """The scenario's services, gateway and rules, with one base pod each."""
    async with mesh_rig(tmp_path) as found:
        await found.pod("mocka-base", {"app": "mocka", "version": "base"}, service="mocka", call="http://mockb:8000/")
        await found.pod("mockb-base", {"app": "mockb", "version": "base"}, service="mockb")
        for name in ("01-apps", "02-gateway", "03-virtual-services", "04-destination-rules"):
            await found.apply(SCENARIO / f"{name}.yaml")
        for kind, names in ((VIRTUAL_SERVICE, ("vs-mocka", "vs-mockb")), (DESTINATION_RULE, ("dr-mocka", "dr-mockb"))):
            for name in names:
                await found.reconciled(kind, name)
        yield found


async def hops(rig: MeshRig, **headers: str) -> str:
    """Who served a request at each hop, or the status where it ended."""
    answer = await rig.get(**headers)
    if answer.status != 200:
        return str(answer.status)
    after = answer.json["next"]
    return f"{answer.json['by']} {after['by'] if isinstance(after, dict) else after}"


async def release(rig: MeshRig, app: str) -> None:
    """What the controllers do for a canary: pod, subset, confirm, route, confirm."""
    call = "http://mockb:8000/" if app == "mocka" else ""
    await rig.pod(f"{app}-canary", {"app": app, **CANARY}, service=app, call=call)
    rule = await rig.obj(DESTINATION_RULE, f"dr-{app}")
    subset = {"name": "canary", "labels": {"istio.service.tag": "gray"}}
    await edit(rig, DESTINATION_RULE, f"dr-{app}", {"subsets": [*rule["spec"]["subsets"], subset]})
    service = await rig.obj(VIRTUAL_SERVICE, f"vs-{app}")
    lane = {**LANE, "route": [{"destination": {"host": app, "subset": "canary"}}]}
    await edit(rig, VIRTUAL_SERVICE, f"vs-{app}", {"http": [lane, *service["spec"]["http"]]})


async def edit(rig: MeshRig, kind, name: str, spec: Obj) -> Obj:  # type: ignore[no-untyped-def]
    await rig.client.patch(kind, name, "default", {"spec": spec})
    return await rig.reconciled(kind, name)


async def test_a_dyed_request_stays_on_the_canary_at_every_hop_that_has_one(rig: MeshRig) -> None:
    assert {await hops(rig, my_request_id="canary") for _ in range(10)} == {"mocka-base mockb-base"}
    await release(rig, "mockb")
    assert {await hops(rig, my_request_id="canary") for _ in range(10)} == {"mocka-base mockb-canary"}
    await release(rig, "mocka")
    assert {await hops(rig, my_request_id="canary") for _ in range(10)} == {"mocka-canary mockb-canary"}
    assert {await hops(rig) for _ in range(10)} == {"mocka-base mockb-base"}
    assert "my-request-id" in rig.backends["mockb-canary"][0]["headers"]


async def test_the_scenarios_filter_dyes_requests_at_the_edge_and_stops_when_it_is_deleted(rig: MeshRig) -> None:
    await release(rig, "mocka")
    await release(rig, "mockb")
    name = "http-request-labelling-according-source"
    await rig.apply(SCENARIO / "07-envoyfilter.yaml")
    await rig.reconciled(ENVOY_FILTER, name, "istio-system")
    assert await hops(rig, agent="pc") == "mocka-canary mockb-canary"
    assert await hops(rig, agent="phone") == "mocka-base mockb-base"
    assert await hops(rig) == "mocka-base mockb-base"
    await rig.client.delete(ENVOY_FILTER, name, "istio-system")
    await eventually(lambda: says(rig, "mocka-base mockb-base", agent="pc"))
    assert await hops(rig, my_request_id="canary") == "mocka-canary mockb-canary"


async def says(rig: MeshRig, expected: str, **headers: str) -> bool:
    return await hops(rig, **headers) == expected


async def test_statuses_count_the_proxies_that_carry_an_object(rig: MeshRig) -> None:
    def message(obj: Obj) -> str:
        said = condition(obj, "Reconciled")
        assert said is not None
        return f"{said['reason']}: {said['message']}"

    assert message(await rig.reconciled(VIRTUAL_SERVICE, "vs-mocka")) == "Acknowledged: 1/1 proxies up to date"
    assert message(await rig.reconciled(VIRTUAL_SERVICE, "vs-mockb")) == "Acknowledged: 2/2 proxies up to date"
    assert message(await rig.reconciled(GATEWAY, "sample-gateway")) == "Acknowledged: 1/1 proxies up to date"


async def test_a_missing_subset_is_accepted_told_and_forgotten_once_it_exists(rig: MeshRig) -> None:
    lane = {**LANE, "route": [{"destination": {"host": "mockb", "subset": "canary"}}]}
    service = await rig.obj(VIRTUAL_SERVICE, "vs-mockb")
    changed = await edit(rig, VIRTUAL_SERVICE, "vs-mockb", {"http": [lane, *service["spec"]["http"]]})
    (told,) = changed["status"]["validationMessages"]
    assert told["type"] == {"code": "IST0101", "name": "ReferencedResourceNotFound"}
    assert "mockb+canary" in told["message"]
    assert await hops(rig, my_request_id="canary") == "mocka-base 503"
    assert await hops(rig) == "mocka-base mockb-base"
    await rig.pod("mockb-canary", {"app": "mockb", **CANARY}, service="mockb")
    rule = await rig.obj(DESTINATION_RULE, "dr-mockb")
    subset = {"name": "canary", "labels": {"istio.service.tag": "gray"}}
    await edit(rig, DESTINATION_RULE, "dr-mockb", {"subsets": [*rule["spec"]["subsets"], subset]})

    async def silent() -> bool:
        return not dig(await rig.obj(VIRTUAL_SERVICE, "vs-mockb"), "status", "validationMessages", default=[])

    await eventually(silent)
    assert await hops(rig, my_request_id="canary") == "mocka-base mockb-canary"


async def test_fields_that_are_not_acted_on_are_named(rig: MeshRig) -> None:
    changed = await edit(rig, DESTINATION_RULE, "dr-mockb", {"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}})
    messages = [each["message"] for each in changed["status"]["validationMessages"]]
    assert any("spec.trafficPolicy.tls.mode ISTIO_MUTUAL" in message for message in messages)
    spec = {"hosts": ["x.example"], "endpoints": [{"address": "127.0.0.1", "locality": "here"}]}
    await rig.client.create(SERVICE_ENTRY, {"metadata": {"name": "out", "namespace": "default"}, "spec": spec})
    found = await rig.reconciled(SERVICE_ENTRY, "out")
    assert "spec.endpoints[].locality is not acted on" in found["status"]["validationMessages"][0]["message"]


LOOPS = """
local function forever(n)
  while true do n = n + 1 end
end
function envoy_on_request(handle)
  local path = handle:headers():get(":path")
  if path == "/loop" then forever(1) end
end
function envoy_on_response(handle)
  handle:headers():add("x-answered", "yes")
end
"""
FAILS = """
function envoy_on_request(handle)
  local path = handle:headers():get(":path")
  if path == "/fail" then
    handle:body()
    local nothing = nil
    nothing.field = 1
  end
end
"""


async def code(rig: MeshRig, name: str, script: str, context: str = "GATEWAY") -> None:
    lua = {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua", "inlineCode": script}
    place = {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}}
    value = {"operation": "INSERT_FIRST", "value": {"name": name, "typed_config": lua}}
    patch = {"applyTo": "HTTP_FILTER", "match": {"context": context, "listener": place}, "patch": value}
    namespace = "istio-system" if context == "GATEWAY" else "default"
    await rig.client.create(
        ENVOY_FILTER, {"metadata": {"name": name, "namespace": namespace}, "spec": {"configPatches": [patch]}}
    )


async def test_code_that_loops_or_fails_is_told_on_its_object_and_takes_nothing_down(rig: MeshRig) -> None:
    await code(rig, "loops", LOOPS)
    await code(rig, "fails", FAILS, "SIDECAR_INBOUND")
    await rig.reconciled(ENVOY_FILTER, "loops", "istio-system")
    await rig.reconciled(ENVOY_FILTER, "fails")
    for path, name, namespace, said in (
        ("/loop", "loops", "istio-system", "line 3: it runs for more than 10,000,000 instructions"),
        ("/fail", "fails", "default", "line 7: attempt to index local 'nothing' (a nil value)"),
    ):
        assert (await rig.get(path)).status == 200
        await eventually(partial(failure, rig, name, namespace, f"spec.configPatches[0] {said}"), 30)
    await code(rig, "never-loads", "local n = 0\nwhile true do n = n + 1 end\nfunction envoy_on_request(handle) end")
    said_of = condition(await rig.reconciled(ENVOY_FILTER, "never-loads", "istio-system", status="False"), "Reconciled")
    assert said_of is not None
    assert "spec.configPatches[0].patch.value.typed_config.inlineCode line 2" in said_of["message"]
    assert "it runs for more than 10,000,000 instructions" in said_of["message"]
    assert (await rig.get("/")).headers["x-answered"] == "yes"


async def failure(rig: MeshRig, name: str, namespace: str, said: str) -> bool:
    found = dig(await rig.obj(ENVOY_FILTER, name, namespace), "status", "validationMessages", default=[])
    return any(said in each["message"] and each["type"]["code"] == "GRL0004" for each in found)


async def test_what_is_wanted_in_the_bootstrap_says_whether_the_running_envoy_has_it(rig: MeshRig) -> None:
    patch = {"applyTo": "BOOTSTRAP", "patch": {"operation": "MERGE", "value": {"stats_flush_interval": "3s"}}}
    await rig.client.create(
        ENVOY_FILTER, {"metadata": {"name": "boot", "namespace": "default"}, "spec": {"configPatches": [patch]}}
    )
    assert (await bootstrap_said(rig, "False"))[0] == "AtNextStart"
    offer = rig.mesh.bootstrap_offer()
    owners = [each.owner for each in await offer.amendments()]
    assert [each.name for each in owners] == ["boot"]
    offer.told(owners, {})
    reason, message = await bootstrap_said(rig, "True")
    assert (reason, message.endswith("; Envoy started with it")) == ("Acknowledged", True)
    offer.told((), dict.fromkeys(owners, "it will not do"))
    reason, message = await bootstrap_said(rig, "False")
    assert (reason, "it will not do" in message) == ("RefusedByProxy", True)


async def bootstrap_said(rig: MeshRig, status: str) -> tuple[str, str]:
    said = condition(await rig.reconciled(ENVOY_FILTER, "boot", status=status), "Reconciled")
    assert said is not None
    return said["reason"], said["message"]


async def test_a_policy_that_is_not_enforced_says_so(rig: MeshRig) -> None:
    for kind in (AUTHORIZATION_POLICY, PEER_AUTHENTICATION, REQUEST_AUTHENTICATION):
        await rig.client.create(kind, {"metadata": {"name": "p", "namespace": "default"}, "spec": {"rules": [{}]}})
        found = await rig.reconciled(kind, "p", status="False")
        said = condition(found, "Reconciled")
        assert said is not None
        assert (said["reason"], kind.kind in said["message"]) == ("NotActedOn", True)


async def test_sidecars_and_service_entries_count_the_proxies_that_carry_them(rig: MeshRig) -> None:
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    spec = {"hosts": ["x.example"], "ports": ports, "resolution": "DNS"}
    await rig.put({"kind": "ServiceEntry", "metadata": {"name": "out"}, "spec": spec})
    chosen = {"workloadSelector": {"labels": {"app": "mocka"}}, "egress": [{"hosts": ["./*"]}]}
    await rig.put({"kind": "Sidecar", "metadata": {"name": "one"}, "spec": chosen})
    for kind, name, count in ((SERVICE_ENTRY, "out", 2), (SIDECAR, "one", 1)):
        said = condition(await rig.reconciled(kind, name), "Reconciled")
        assert said is not None
        assert said["message"] == f"{count}/{count} proxies up to date"


async def test_a_workload_entry_says_who_selects_it_whichever_of_them_comes_first(rig: MeshRig) -> None:
    async def says(name: str, end: str) -> None:
        async def look() -> bool:
            said = condition(await rig.obj(WORKLOAD_ENTRY, name), "Reconciled")
            return said is not None and said["status"] == "True" and said["message"] == end

        await eventually(look, 30)

    for name, labels in (("vm", {"app": "vm"}), ("old", {"app": "mockb"})):
        await rig.put({"kind": "WorkloadEntry", "metadata": {"name": name}, "spec": {**VM, "labels": labels}})
    await says("vm", "0/0 proxies up to date; selected by nothing")
    await says("old", "3/3 proxies up to date; selected by Service default/mockb")
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    spec = {"hosts": ["near.example"], "ports": ports, "resolution": "STATIC"}
    spec["workloadSelector"] = {"labels": {"app": "vm"}}
    await rig.put({"kind": "ServiceEntry", "metadata": {"name": "near"}, "spec": spec})
    await says("vm", "2/2 proxies up to date; selected by ServiceEntry default/near")


async def test_what_envoy_refuses_is_said_on_the_object_and_holds_nothing_else_back(rig: MeshRig) -> None:
    bad = yaml.safe_load((SCENARIO / "07-envoyfilter.yaml").read_text())
    value = bad["spec"]["configPatches"][0]["patch"]["value"]
    good_lua, value["typed_config"]["inlineCode"] = value["typed_config"]["inlineCode"], "function envoy_on_request(h"
    await rig.put(bad)
    name = bad["metadata"]["name"]
    found = await rig.reconciled(ENVOY_FILTER, name, "istio-system", status="False")
    said = condition(found, "Reconciled")
    assert said is not None
    assert (said["reason"], "expected near" in said["message"]) == ("RefusedByProxy", True)
    assert "spec.configPatches[0].patch.value.typed_config.inlineCode line 1: " in said["message"]
    await release(rig, "mocka")
    assert await hops(rig, my_request_id="canary") == "mocka-canary mockb-base"
    value["typed_config"]["inlineCode"] = good_lua
    await rig.put(bad)
    await rig.reconciled(ENVOY_FILTER, name, "istio-system")
    # A connection that was open before keeps its filters for one more request.
    await eventually(lambda: says(rig, "mocka-canary mockb-base", agent="pc"))


BUFFER = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"


def patched(*patches: tuple[str, Obj], operation: str = "MERGE", context: str = "ANY") -> Obj:
    found = [{"applyTo": kind, "patch": {"operation": operation, "value": value}} for kind, value in patches]
    return {"configPatches": [{**each, "match": {"context": context}} for each in found]}


async def test_whatever_kind_envoy_refuses_is_left_out_alone_and_its_field_is_named(rig: MeshRig) -> None:
    """A cluster, a table, a listener, a certificate's settings, an extension and endpoints that Envoy does not take.

    Of most, what Envoy says does not give the field away: that is found out by an Envoy on trial.
    """
    harmless: Obj = {"connect_timeout": "3s"}
    server = {"port": {"number": 9000, "name": "h", "protocol": "HTTP"}, "hosts": ["*"]}
    tls = {"mode": "SIMPLE", "credentialName": "c", "minProtocolVersion": "TLSV1_2", "cipherSuites": ["A:NO-SUCH"]}
    secure = {"port": {"number": 8443, "name": "s", "protocol": "HTTPS"}, "hosts": ["*"], "tls": tls}
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    ends = [{"address": "10.9.9.1"}, {"address": "10.9.9.2", "ports": {"http": 70000}}]
    look_up = {"ads": {}}
    extension = patched(
        ("HTTP_FILTER", {"name": "x", "config_discovery": {"config_source": look_up}}), context="GATEWAY"
    )
    extension["configPatches"][0]["patch"]["operation"] = "INSERT_FIRST"
    nothing = patched(
        ("EXTENSION_CONFIG", {"name": "x", "typed_config": {"@type": BUFFER, "max_request_bytes": 0}}), operation="ADD"
    )
    route = [{"destination": {"host": "mocka"}}]
    dyed = {"match": [{"headers": {"x": {"exact": "y"}}}], "route": route}
    await rig.client.create(SECRET, Authority().pair("c").secret("c"))
    value = "configPatches[1].patch.value"
    cases: list[tuple[Kind, str, Obj, str]] = [
        (
            ENVOY_FILTER,
            "istio-system",
            patched(("CLUSTER", harmless), ("CLUSTER", {"lb_policy": "CLUSTER_PROVIDED"})),
            f"{value}.lb_policy",
        ),
        (
            ENVOY_FILTER,
            "default",
            patched(("VIRTUAL_HOST", {"domains": ["*"]})),
            "configPatches[0].patch.value.domains[0]",
        ),
        (
            ENVOY_FILTER,
            "istio-system",
            patched(("LISTENER", {"stat_prefix": "p"}), ("LISTENER", {"listener_filters_timeout": "-1s"})),
            f"{value}.listener_filters_timeout",
        ),
        (
            ENVOY_FILTER,
            "istio-system",
            {"configPatches": [*extension["configPatches"], *nothing["configPatches"]]},
            f"{value}.typed_config.max_request_bytes",
        ),
        (DESTINATION_RULE, "default", OUTLIERS, "trafficPolicy.outlierDetection.minHealthPercent"),
        (
            VIRTUAL_SERVICE,
            "default",
            {"hosts": ["a.example"], "http": [dyed, {"headers": {"request": {"set": {"x": "%NO("}}}, "route": route}]},
            "http[1].headers.request.set.x",
        ),
        (
            GATEWAY,
            "default",
            {"selector": {"istio": "ingressgateway"}, "servers": [server, secure]},
            "servers[1].tls.cipherSuites[0]",
        ),
        (
            SERVICE_ENTRY,
            "default",
            {"hosts": ["x.example"], "ports": [port], "resolution": "STATIC", "endpoints": ends},
            "endpoints[1].ports.http",
        ),
    ]
    for number, (kind, namespace, spec, field) in enumerate(cases):
        name = f"bad-{number}"
        await rig.client.create(kind, {"metadata": {"name": name, "namespace": namespace}, "spec": spec})
        await eventually(partial(refused, rig, kind, name, namespace, f"spec.{field}: "), 30, f"{kind.kind} {field}")
        assert await hops(rig) == "mocka-base mockb-base", field
        await rig.client.delete(kind, name, namespace)
    await release(rig, "mocka")
    assert await hops(rig, my_request_id="canary") == "mocka-canary mockb-base"


OUTLIERS = {"host": "kubernetes", "trafficPolicy": {"outlierDetection": {"interval": "5s", "minHealthPercent": 200}}}


async def refused(rig: MeshRig, kind: Kind, name: str, namespace: str, field: str) -> bool:
    found = await rig.obj(kind, name, namespace)
    said = condition(found, "Reconciled")
    if said is None or said["reason"] != "RefusedByProxy" or f"Envoy refused {field}" not in said["message"]:
        return False
    return any(field in each["message"] for each in found["status"]["validationMessages"])


async def test_of_two_objects_changed_at_once_only_the_culprit_is_kept_out(rig: MeshRig) -> None:
    good = await rig.obj(VIRTUAL_SERVICE, "vs-mockb")
    rule = good["spec"]["http"][0]
    other = {"hosts": ["other.example"], "http": [{**rule, "match": [{"uri": {"regex": "(?=x)"}}]}]}
    bad: Obj = {"kind": "VirtualService", "metadata": {"name": "bad", "namespace": "default"}, "spec": other}
    direct = [{"directResponse": {"status": 418}}]
    await asyncio.gather(
        rig.client.create(VIRTUAL_SERVICE, bad),
        rig.client.patch(VIRTUAL_SERVICE, "vs-mockb", "default", {"spec": {"http": direct}}),
    )
    await rig.reconciled(VIRTUAL_SERVICE, "vs-mockb")
    await rig.reconciled(VIRTUAL_SERVICE, "bad", status="False")
    assert await hops(rig) == "mocka-base 418"
    await rig.client.patch(VIRTUAL_SERVICE, "bad", "default", {"spec": {"http": [rule]}})
    await rig.reconciled(VIRTUAL_SERVICE, "bad")


async def test_a_terminating_pod_is_left_by_traffic_before_it_is_told_that_it_may_go(rig: MeshRig) -> None:
    await rig.pod("mockb-2", {"app": "mockb", "version": "base"}, service="mockb")
    await eventually(lambda: says(rig, "mocka-base mockb-2"))
    await rig.client.delete(POD, "mockb-base", "default", grace_seconds=30)

    async def drained() -> bool:
        said = condition(await rig.client.get(POD, "mockb-base", "default"), "graylane.dev/Drained")
        return said is not None and said["status"] == "True"

    await eventually(drained)
    assert {await hops(rig) for _ in range(20)} == {"mocka-base mockb-2"}


async def test_pods_replaced_and_routes_switched_under_load_lose_no_request(rig: MeshRig) -> None:
    """A lane comes and goes while base pods are replaced one by one, at some hundreds of requests a second."""
    seen: list[tuple[bool, str]] = []
    running = True

    async def load(dyed: bool) -> None:
        headers = {"my_request_id": "canary"} if dyed else {}
        while running:
            seen.append((dyed, await hops(rig, **headers)))

    async def more(answers: int) -> None:
        enough = len(seen) + answers
        await eventually(lambda: len(seen) >= enough or any(each.done() for each in clients), 30, "traffic goes on")

    clients = [asyncio.create_task(load(dyed)) for dyed in (True, False)]
    for turn in range(3):
        if turn == 0:
            await release(rig, "mockb")
        await rig.pod(f"mockb-base-{turn}", {"app": "mockb", "version": "base"}, service="mockb")
        old = f"mockb-base-{turn - 1}" if turn else "mockb-base"
        await rig.client.delete(POD, old, "default", grace_seconds=30)
        await more(20)
    service, rule = await rig.obj(VIRTUAL_SERVICE, "vs-mockb"), await rig.obj(DESTINATION_RULE, "dr-mockb")
    await rig.client.patch(VIRTUAL_SERVICE, "vs-mockb", "default", {"spec": {"http": service["spec"]["http"][1:]}})
    await rig.reconciled(VIRTUAL_SERVICE, "vs-mockb")
    await rig.client.patch(DESTINATION_RULE, "dr-mockb", "default", {"spec": {"subsets": rule["spec"]["subsets"][:1]}})
    await rig.reconciled(DESTINATION_RULE, "dr-mockb")
    running = False
    await asyncio.gather(*clients)
    plain = {hop for dyed, hop in seen if not dyed}
    dyed = {hop for dyed, hop in seen if dyed}
    assert all(hop.startswith("mocka-base mockb-base") for hop in plain), plain
    assert "mocka-base mockb-canary" in dyed
    assert all(hop.startswith("mocka-base mockb-") for hop in dyed), dyed
    assert len(seen) > 50


async def test_status_writes_of_our_own_and_of_others_cause_no_further_ones(rig: MeshRig) -> None:
    before = await rig.obj(VIRTUAL_SERVICE, "vs-mocka")
    theirs = {"status": {"conditions": [*before["status"]["conditions"], {"type": "Theirs", "status": "True"}]}}
    await rig.client.patch(VIRTUAL_SERVICE, "vs-mocka", "default", theirs, subresource="status")
    await rig.client.patch(VIRTUAL_SERVICE, "vs-mockb", "default", {"metadata": {"labels": {"a": "b"}}})
    await edit(rig, DESTINATION_RULE, "dr-mocka", {"trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}})
    after = await rig.obj(VIRTUAL_SERVICE, "vs-mocka")
    assert condition(after, "Theirs") is not None
    assert condition(after, "Reconciled") == condition(before, "Reconciled")


async def test_without_envoy_statuses_say_that_none_is_connected(tmp_path: Path) -> None:
    async with mesh_rig(tmp_path, envoy=False) as rig:
        await rig.apply(SCENARIO / "02-gateway.yaml")
        found = await rig.reconciled(GATEWAY, "sample-gateway", status="False")
        said = condition(found, "Reconciled")
        assert said is not None
        assert "no Envoy is connected" in said["message"]


async def test_a_slice_that_stops_being_ready_takes_its_pod_out(rig: MeshRig) -> None:
    operations = [{"op": "replace", "path": "/endpoints/0/conditions/ready", "value": False}]
    await rig.client.patch(ENDPOINT_SLICE, "mockb-mockb-base", "default", operations, type=PatchType.JSON)
    await eventually(lambda: says(rig, "mocka-base 503"))


async def test_istios_config_map_holds_mesh_wide_at_once_and_says_what_of_it_does_not(rig: MeshRig) -> None:
    caller = f"{rig.network}.90"
    await rig.make_pod("caller", {"app": "caller"}, caller)

    async def status() -> int:
        proxy = f"http://{caller}:15001"
        return (await envoys.fetch(rig.http, f"http://{rig.network}.2:8000/", proxy=proxy)).status

    async def becomes(expected: int) -> None:
        async def look() -> bool:
            return await status() == expected

        await eventually(look, 30, ignore=(aiohttp.ClientError,))

    await becomes(200)
    meta = {"name": "istio", "namespace": "istio-system"}
    closed = "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\ntrustDomain: here\n"
    await rig.client.create(CONFIG_MAP, {"metadata": meta, "data": {"mesh": closed}})
    await becomes(502)
    await rig.client.patch(CONFIG_MAP, "istio", "istio-system", {"data": {"mesh": "outboundTrafficPolicy: [oh"}})

    async def told() -> set[str]:
        events = (await rig.client.list(EVENT, "istio-system")).items
        return {each["reason"] for each in events if each["involvedObject"]["name"] == "istio"}

    async def both() -> bool:
        return await told() == {"FieldNotActedOn", "InvalidMeshConfig"}

    await eventually(both, 30)
    assert await status() == 502
    await rig.client.patch(CONFIG_MAP, "istio", "istio-system", {"data": {"mesh": "{}"}})
    await becomes(200)
    await rig.client.patch(CONFIG_MAP, "istio", "istio-system", {"data": {"mesh": closed}})
    await becomes(502)
    await rig.client.delete(CONFIG_MAP, "istio", "istio-system")
    await becomes(200)


async def test_a_gateway_says_which_guard_the_proxies_have(rig: MeshRig) -> None:
    name = "sample-gateway"

    async def says(end: str) -> None:
        async def look() -> bool:
            said = condition(await rig.obj(GATEWAY, name), "Reconciled")
            return said is not None and said["status"] == "True" and said["message"].endswith(end)

        await eventually(look, 30)

    await says("1/1 proxies up to date")
    (routing, *_) = yaml.safe_load_all((SCENARIO / "06-traffic-routings.yaml").read_text())
    await rig.client.create(TRAFFIC_ROUTING, {**routing, "metadata": {"name": "lane", "namespace": "default"}})
    for guard, end in (
        ("lanes", "; the spoof guard takes away my-request-id"),
        ("x-a, x-b", "; the spoof guard takes away x-a, x-b"),
        (None, "1/1 proxies up to date"),
    ):
        change = {"metadata": {"annotations": {"graylane.dev/spoof-guard": guard}}}
        await rig.client.patch(GATEWAY, name, "default", change)
        await says(end)


async def test_a_file_that_envoy_cannot_read_is_named_with_its_field(rig: MeshRig) -> None:
    tls = {"mode": "SIMPLE", "caCertificates": "/no/such/authority.pem"}
    rule = await rig.obj(DESTINATION_RULE, "dr-mockb")
    await rig.put({**rule, "spec": {**rule["spec"], "trafficPolicy": {"tls": tls}}})
    said = condition(await rig.reconciled(DESTINATION_RULE, "dr-mockb", status="False"), "Reconciled")
    assert said is not None
    assert said["reason"] == "RefusedByProxy"
    assert "spec.trafficPolicy.tls.caCertificates: " in said["message"]
    assert "/no/such/authority.pem" in said["message"]
    assert await hops(rig) == "mocka-base mockb-base"  # the last good state
