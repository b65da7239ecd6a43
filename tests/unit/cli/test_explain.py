"""`graylane explain` as text: each golden file is one answer; and as a verb, against a real API server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from chain.scene import Scene, base, open_lane, release, start_canary

from cli.conftest import Server
from graylane.cli.exits import Exit
from graylane.cli.explain_text import WIDTH, lines, refused_line
from graylane.cli.explaining import Question
from graylane.cli.root import run
from graylane.errors import NotFound, UserError
from graylane.mesh.explain.reading import KINDS, inputs_of, view_of
from graylane.mesh.explain.walk import Explained, explain
from graylane.model.kinds import ENDPOINT_SLICE, POD, SERVICE
from graylane.testing import meshes

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "cli"
LANE = (("my-request-id", "canary"),)
BASE = (("my-request-id", "base"),)


def edge(scene: Scene) -> Scene:
    """The gateway's Service and pod, and the filter that dyes requests."""
    scene.put(meshes.gateway_service(30080))
    scene.put({"kind": "Pod"} | meshes.gateway_pod("127.20.0.1", "127.0.0.1"))
    text = (ROOT / "examples" / "end-to-end-canary" / "07-envoyfilter.yaml").read_text()
    scene.put(yaml.safe_load(text))
    return scene


def both_released() -> Scene:
    scene = edge(base())
    release(scene, "mocka", "rollouts-a")
    release(scene, "mockb", "rollouts-b")
    return scene


def no_subset() -> Scene:
    scene = both_released()
    scene.get("DestinationRule", "dr-mockb")["spec"]["subsets"].pop()
    return scene


def canary_not_ready() -> Scene:
    scene = edge(base())
    start_canary(scene, "mockb", "rollouts-b", ready=False)
    open_lane(scene, "mockb")
    return scene


def other_host() -> Scene:
    scene = edge(base())
    scene.get("VirtualService", "vs-mocka")["spec"]["hosts"] = ["shop.example.com"]
    return scene


def rules_for_others() -> Scene:
    """Rules for other callers, paths and methods before the one that decides; a split by weight at the end."""
    scene = both_released()
    only = [{"destination": {"host": "mockb", "subset": "version-base"}}]
    both = [
        {"destination": {"host": "mockb", "subset": "canary"}, "weight": 10},
        {"destination": {"host": "mockb", "subset": "version-base"}, "weight": 90},
    ]
    scene.get("VirtualService", "vs-mockb")["spec"]["http"] = [
        {"match": [{"sourceLabels": {"app": "billing"}}], "route": only},
        {"match": [{"uri": {"prefix": "/v2"}}, {"method": {"exact": "POST"}}], "route": only},
        {"match": [{"port": 9000, "headers": {"user": {"regex": "9.*"}}}], "route": only},
        {"route": both},
    ]
    return scene


def behind_tls() -> Scene:
    """The gateway's port 8443 ends TLS with a Secret that nobody shows to whoever explains."""
    scene = both_released()
    tls = {"mode": "SIMPLE", "credentialName": "shop"}
    server = {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["shop.example.com"], "tls": tls}
    scene.get("Gateway", "sample-gateway")["spec"]["servers"].append(server)
    return scene


FILTERS = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: around-mockb, namespace: default}
spec:
  configPatches:
  - applyTo: HTTP_ROUTE
    match:
      context: SIDECAR_OUTBOUND
      routeConfiguration: {vhost: {name: "mockb.default.svc.cluster.local:8000"}}
    patch:
      operation: INSERT_FIRST
      value:
        match: {prefix: /, headers: [{name: my-request-id, string_match: {suffix: ary}}]}
        route: {cluster: "outbound|8000|version-base|mockb.default.svc.cluster.local"}
  - applyTo: VIRTUAL_HOST
    match: {context: SIDECAR_INBOUND, routeConfiguration: {vhost: {name: "inbound|http|8000"}}}
    patch: {operation: MERGE, value: {response_headers_to_add: [{header: {key: x-inside, value: "yes"}}]}}
"""


def filtered() -> Scene:
    """A route that an EnvoyFilter puts first, and what it changes where requests come in."""
    scene = both_released()
    scene.put(yaml.safe_load(FILTERS))
    return scene


ANSWERS: dict[str, tuple[Callable[[], Scene], Question]] = {
    "explain-dyed": (both_released, Question(LANE)),
    "explain-plain": (both_released, Question(BASE, method="POST", path="/pay?x=1")),
    "explain-no-subset": (no_subset, Question(LANE)),
    "explain-not-ready": (canary_not_ready, Question(LANE)),
    "explain-no-host": (other_host, Question()),
    "explain-no-gateway": (base, Question(port=8443)),
    "explain-tls": (behind_tls, Question(LANE, port=8443, host="shop.example.com")),
    "explain-weights": (rules_for_others, Question(LANE)),
    "explain-from-pod": (both_released, Question(LANE, pod="mocka-base-pod")),
    "explain-filters": (filtered, Question(LANE)),
    "explain-elsewhere": (both_released, Question(pod="pod/mocka-base-pod", host="example.com")),
}


def explained(scene: Scene, question: Question) -> Explained:
    lists: dict[Any, list[Any]] = {kind: [] for kind in KINDS}
    by_name = {kind.kind: kind for kind in KINDS}
    for (name, _), obj in scene.objects.items():
        if name in by_name:
            lists[by_name[name]].append(obj)
    return explain(view_of(lists), inputs_of(lists), question.asked("default"))


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_equals_its_golden(name: str) -> None:
    build, question = ANSWERS[name]
    text = "\n".join(lines(explained(build(), question))) + "\n"
    assert text == (GOLDEN / f"{name}.txt").read_text()
    assert max(map(len, text.splitlines())) <= WIDTH


def test_long_names_give_way_before_the_screen_does() -> None:
    scene = both_released()
    for kind, name in (("VirtualService", "vs-mocka"), ("Pod", "istio-ingressgateway")):
        scene.get(kind, name)["metadata"]["name"] = "n" * 200
    found = lines(explained(scene, Question(LANE)))
    assert max(map(len, found)) <= WIDTH


def test_a_pod_is_called_what_its_service_answers_beside_the_label_it_is_chosen_by() -> None:
    scene = both_released()
    for variable in scene.get("Pod", "mocka-base-pod")["spec"]["containers"][0]["env"]:
        if variable["name"] == "version":
            variable["value"] = "canary"
    found = explained(scene, Question())
    assert "  answered by   mocka-base-pod, version canary (labelled version=base)" in lines(found)
    (pod,) = found.hops[0].destinations[0].pods
    assert (pod.version, pod.labels) == ("canary", {"version": "base"})


MISTYPED = {
    "mokcb": "No Service in namespace default is called mokcb; did you mean mockb?",
    "payments": "No Service in namespace default is called payments; there are mocka, mockb",
    "mockb.defalt": "No Service is called mockb.defalt; did you mean mockb.default or mocka.default?",
    "mockb:81": "Service default/mockb has no port 81, but 8000: ask for one of them.",
    "api.example.com": "",
}


@pytest.mark.parametrize("host", MISTYPED)
def test_a_host_that_leaves_the_mesh_though_a_service_was_meant_is_told(host: str) -> None:
    (hop,) = explained(both_released(), Question(pod="mocka-base-pod", host=host)).walk()
    assert hop.advice == MISTYPED[host]


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        ("mocka", 'pods "mocka" not found in namespace default; did you mean mocka-base-pod or mocka-base-x7k2p-pod?'),
        ("defalt/mocka", 'pods "mocka" not found in namespace defalt, which has no pod; did you mean default?'),
    ],
)
def test_a_pod_that_is_not_there_is_told_with_those_that_are(pod: str, told: str) -> None:
    with pytest.raises(NotFound, match=re.escape(told)):
        explained(both_released(), Question(pod=pod))


def test_refusals_are_counted_by_hop_and_share() -> None:
    scene = rules_for_others()
    scene.get("DestinationRule", "dr-mockb")["spec"]["subsets"].pop()
    found = list(explained(scene, Question()).refusals())
    assert [refused_line(each) for each in found] == [
        "refused at hop 2 of mockb:8000: 10 % of such requests: 503 NC cluster_not_found"
    ]


def test_a_service_that_calls_back_is_not_entered_again() -> None:
    scene = both_released()
    for name in ("mockb-base-pod", "mockb-base-x7k2p-pod"):
        entry = {"name": "back", "value": "http://mocka:8000/"}
        container = scene.get("Pod", name)["spec"]["containers"][0]
        scene.get("Pod", name)["spec"] = {"containers": [container | {"env": [entry]}]}
    assert len(list(explained(scene, Question(LANE)).walk())) == 2


def test_headers_that_a_rule_sets_are_those_of_the_next_hop() -> None:
    scene = both_released()
    rule = scene.get("VirtualService", "vs-mocka")["spec"]["http"][1]
    rule["headers"] = {"request": {"set": {"My-Request-Id": "canary"}}}
    first, second = explained(scene, Question(BASE)).walk()
    assert (first.request.headers, second.request.headers) == (BASE, LANE)
    assert second.destinations[0].subset == "canary"


def test_a_gateway_does_not_know_where_an_entry_without_resolution_is() -> None:
    scene = both_released()
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    meta = {"name": "out", "namespace": "default"}
    scene.put({"kind": "ServiceEntry", "metadata": meta, "spec": {"hosts": ["api.example.com"], "ports": ports}})
    scene.get("VirtualService", "vs-mocka")["spec"]["http"] = [
        {"route": [{"destination": {"host": "api.example.com"}}]}
    ]
    (hop,) = explained(scene, Question()).walk()
    assert hop.destinations[0].advice.startswith(
        "A gateway knows no address of api.example.com, because ServiceEntry default/out has"
    )
    (hop,) = explained(scene, Question(pod="mocka-base-pod", host="api.example.com")).walk()
    assert hop.advice == ""


def test_what_istios_config_map_holds_is_explained() -> None:
    scene = both_released()
    asked = Question(pod="mocka-base-pod", host="api.example.com")
    assert not list(explained(scene, asked).refusals())
    meta = {"name": "istio", "namespace": "istio-system"}
    text = "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"
    scene.put({"kind": "ConfigMap", "metadata": meta, "data": {"mesh": text}})
    assert any("502" in line for line in lines(explained(scene, asked)))


def test_a_fault_that_spares_nobody_is_a_refusal() -> None:
    scene = both_released()
    rule = scene.get("VirtualService", "vs-mocka")["spec"]["http"][1]
    rule["fault"] = {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}
    [refused] = explained(scene, Question()).refusals()
    assert refused_line(refused) == "refused at hop 1 of 127.0.0.1:30080: 418 FI fault_filter_abort"


def test_a_delegates_rule_is_named_with_both_objects() -> None:
    scene = both_released()
    root = scene.get("VirtualService", "vs-mocka")
    delegate = {"http": root["spec"]["http"]}
    scene.put({"kind": "VirtualService", "metadata": {"name": "inner"}, "spec": delegate})
    root["spec"] = root["spec"] | {"http": [{"delegate": {"name": "inner"}}]}
    [hop, _] = explained(scene, Question()).walk()
    assert hop.rule == "VirtualService default/vs-mocka http[0], by delegation VirtualService default/inner http[1]"
    assert [each.rule[-7:] for each in hop.passed] == ["http[0]"]


def test_what_comes_by_a_port_with_tls_has_the_scheme_https() -> None:
    scene = behind_tls()
    routes = [{"destination": {"host": "mocka", "subset": "version-base"}}]
    scene.get("VirtualService", "vs-mocka")["spec"]["http"] = [
        {"match": [{"scheme": {"exact": "https"}}], "route": routes},
        {"redirect": {"scheme": "https"}},
    ]
    host = "shop.example.com"
    (secure,) = explained(scene, Question(host=host, port=8443)).hops
    (plain,) = explained(scene, Question(host=host)).hops
    assert [each.service for each in secure.destinations] == ["default/mocka"]
    assert plain.answer == "301 redirect to https://shop.example.com"


def test_a_port_that_passes_connections_on_is_not_said_to_be_closed() -> None:
    scene = both_released()
    server = {"port": {"number": 9000, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    scene.get("Gateway", "sample-gateway")["spec"]["servers"].append(server)
    route = {"match": [{"port": 9000}], "route": [{"destination": {"host": "mocka"}}]}
    spec = {"hosts": ["*"], "gateways": ["sample-gateway"], "tcp": [route]}
    scene.put({"kind": "VirtualService", "metadata": {"name": "raw"}, "spec": spec})
    with pytest.raises(UserError, match="port 9000 of the gateway passes connections on as they are"):
        explained(scene, Question(port=9000))


def test_istios_own_gateway_is_known_by_what_it_runs() -> None:
    scene = both_released()
    pod = scene.get("Pod", "istio-ingressgateway")
    del pod["metadata"]["annotations"]
    pod["spec"] = {"containers": [{"name": "istio-proxy", "args": ["proxy", "router", "--domain", "x"]}]}
    assert not list(explained(scene, Question(LANE)).refusals())


async def put_all(server: Server, scene: Scene) -> None:
    """The objects an explanation reads, with the pods' states."""
    for kind in KINDS:
        for (name, _), obj in scene.objects.items():
            if name == kind.kind:
                bare = {key: value for key, value in obj.items() if key != "status"}
                if kind == ENDPOINT_SLICE:
                    bare["addressType"] = "IPv4"
                if kind == SERVICE:
                    bare["spec"] = {field: value for field, value in obj["spec"].items() if field != "clusterIP"}
                if kind == POD:
                    containers = bare["spec"].get("containers") or [{"name": "envoy", "image": "envoy"}]
                    bare["spec"] = {"containers": containers, "nodeName": "graylane"}
                made = await server.client.create(kind, bare)
                if kind == POD:
                    meta = made["metadata"]
                    patch = {"status": obj["status"]}
                    await server.client.patch(kind, meta["name"], meta["namespace"], patch, subresource="status")


async def explain_verb(server: Server, *arguments: str) -> int:
    command = ["explain", "--kubeconfig", str(server.kubeconfig), *arguments]
    return await asyncio.to_thread(run, command)


async def test_the_verb_ends_with_0_when_answered_and_1_when_refused(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await put_all(server, both_released())
    assert await explain_verb(server, "--header", "my-request-id=canary") == Exit.DONE
    text = capsys.readouterr().out
    assert "VirtualService default/vs-mocka http[0]" in text
    assert await explain_verb(server, "-o", "json", "-H", "My-Request-Id: canary", "--from", "mocka-base-pod") == 0
    [hop] = json.loads(capsys.readouterr().out)["hops"]
    assert hop["destinations"][0]["pods"][0]["name"] == "mockb-base-x7k2p-pod"
    assert await explain_verb(server, "--port", "8443") == Exit.FAILED
    assert "refused at hop 1: nothing listens there" in capsys.readouterr().err


async def test_the_verb_asks_about_the_request_that_would_be_sent(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    await put_all(server, both_released())
    for path, sent in (("//pay", "//pay"), ("pay", "/pay"), ("", "/")):
        assert await explain_verb(server, "-o", "json", "--path", path, "-H", "my-request-id= canary ") == Exit.DONE
        hop = json.loads(capsys.readouterr().out)["hops"][0]
        assert hop["request"]["path"] == sent
        assert hop["request"]["headers"] == [{"name": "my-request-id", "value": "canary"}]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--header", "nonsense"], Exit.USAGE, "--header nonsense: not NAME=VALUE"),
        (["--from", "nobody"], Exit.NOT_FOUND, 'pods "nobody" not found in namespace default'),
    ],
)
async def test_a_wrong_question_is_told_in_one_line(
    server: Server, capsys: pytest.CaptureFixture[str], arguments: list[str], code: Exit, message: str
) -> None:
    assert await explain_verb(server, *arguments) == code
    assert message in capsys.readouterr().err
