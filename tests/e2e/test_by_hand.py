"""The scenario by hand: the lines of the documents, typed at a real kubectl and curl against `graylane up`."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from graylane.model.meta import condition, dig, parse_time
from graylane.testing.waiting import eventually

from .rig import EXAMPLES, Up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

BASE = r"-> mocka\(version: base, ip: [\d.]+\)-> mockb\(version: base, ip: [\d.]+\)"
CANARY = r"-> mocka\(version: canary, ip: [\d.]+\)-> mockb\(version: canary, ip: [\d.]+\)"
NODE_PORT = (
    "kubectl -n istio-system get service istio-ingressgateway "
    "-o jsonpath='{.spec.ports[?(@.name==\"http2\")].nodePort}'"
)
HOST_IP = "kubectl get po -l istio=ingressgateway -n istio-system -o jsonpath='{.items[0].status.hostIP}'"
APPROVE = (
    "kubectl patch rollouts.rollouts.kruise.io {name} --subresource=status --type=merge "
    '-p \'{{"status":{{"canaryStatus":{{"currentStepState":"StepReady"}}}}}}\''
)


async def test_the_documented_lines_work_verbatim(up: Up) -> None:
    apply_services(up)
    port, host = up.shell(NODE_PORT).stdout, up.shell(HOST_IP).stdout
    assert up.gateway == f"http://{host}:{port}"
    await eventually(lambda: re.fullmatch(BASE, up.shell(f"curl -s http://{host}:{port}").stdout.strip()), 30, "base")

    for file in ("05-rollouts.yaml", "06-traffic-routings.yaml"):
        up.shell(f"kubectl apply -f examples/end-to-end-canary/{file}")
    await eventually(lambda: phases(up, "rollout") == ["Healthy"] * 2, 30, "Rollouts Healthy")
    originals = [spec(up, *item) for item in ROUTES]

    for app in ("mocka", "mockb"):
        up.shell(f"kubectl set env deploy/{app}-base version=canary")
    await eventually(lambda: states(up) == ["StepPaused"] * 2, 60, "both paused")
    table = up.shell("kubectl get rollout,trafficrouting,deploy,pod,vs,dr").stdout
    assert all(
        word in table for word in ("rollouts-a", "mocka-tr", "mocka-base-", "vs-mocka", "dr-mockb", "StepPaused")
    )
    assert re.fullmatch(BASE, up.shell(f"curl -s http://{host}:{port}").stdout.strip())
    dyed = f'curl -s http://{host}:{port} -H "my-request-id:canary"'
    assert re.fullmatch(CANARY, up.shell(dyed).stdout.strip())
    assert "my-request-id" in up.shell("kubectl logs deploy/mockb-base").stdout
    routes = yaml.safe_load(up.shell("kubectl get vs vs-mocka -o yaml").stdout)
    assert routes["spec"]["http"][0]["match"] == [{"headers": {"my-request-id": {"exact": "canary"}}}]

    for name in ("rollouts-a", "rollouts-b"):
        up.shell(APPROVE.format(name=name))
    await eventually(lambda: verdicts(up) == ["True"] * 2, 60, "both succeeded")
    assert [spec(up, *item) for item in ROUTES] == originals
    assert re.fullmatch(CANARY, up.shell(f"curl -s http://{host}:{port}").stdout.strip())
    names = [item["metadata"]["name"] for item in up.get("deploy")["items"]]
    assert sorted(names) == ["mocka-base", "mockb-base"]


async def test_what_goes_wrong_is_said_where_it_is_looked_for(up: Up) -> None:
    apply_services(up)
    await unknown_image_names_the_image_and_the_way_out(up)
    await a_missing_host_is_accepted_and_said(up)
    await a_missing_virtual_service_is_said_within_a_second_and_mends_itself(up)
    bad_manifests_are_refused_naming_the_field(up)
    istio_objects_are_judged_as_by_istiod(up)


async def unknown_image_names_the_image_and_the_way_out(up: Up) -> None:
    up.shell("kubectl create deployment nosuch --image=example.com/nosuch:1.0")

    def waiting() -> str:
        pods = up.get("pod", "-l", "app=nosuch")["items"]
        reasons = [dig(pod, "status", "containerStatuses", 0, "state", "waiting", default={}) for pod in pods]
        messages = (str(reason.get("message", "")) for reason in reasons)
        return next((message for message in messages if "example.com/nosuch:1.0" in message), "")

    message = await eventually(waiting, 30, "the pod's reason")
    assert 'match: "example.com/nosuch:1.0"' in message


async def a_missing_host_is_accepted_and_said(up: Up) -> None:
    manifest = {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": {"name": "lost"},
        "spec": {"hosts": ["mockb"], "http": [{"route": [{"destination": {"host": "nosuch"}}]}]},
    }
    path = up.data / "lost.yaml"
    path.write_text(yaml.safe_dump(manifest))
    up.shell(f"kubectl apply -f {path}")
    messages = await eventually(
        lambda: dig(up.get("vs", "lost"), "status", "validationMessages"), 10, "validation messages"
    )
    assert any("nosuch" in message["message"] for message in messages)
    assert "nosuch" in up.shell("graylane status").stdout
    up.shell("kubectl delete vs lost")


async def a_missing_virtual_service_is_said_within_a_second_and_mends_itself(up: Up) -> None:
    documents = list(yaml.safe_load_all((EXAMPLES / "03-virtual-services.yaml").read_text()))
    up.shell("kubectl delete vs vs-mocka")
    for file in ("05-rollouts.yaml", "06-traffic-routings.yaml"):
        up.shell(f"kubectl apply -f examples/end-to-end-canary/{file}")

    def accepted() -> dict[str, Any]:
        return condition(up.get("trafficrouting", "mocka-tr"), "Accepted") or {}

    await eventually(lambda: accepted().get("status") == "False", 30, "TrafficRouting refused")
    created = up.get("trafficrouting", "mocka-tr")["metadata"]["creationTimestamp"]
    assert (parse_time(accepted()["lastTransitionTime"]) - parse_time(created)).total_seconds() <= 1
    assert "VirtualService" in accepted()["message"]
    assert "vs-mocka" in accepted()["message"]

    def told() -> bool:
        events = up.get("events")["items"]
        return any(event["involvedObject"]["name"] == "mocka-tr" and "vs-mocka" in event["message"] for event in events)

    await eventually(told, 30, "an event of the TrafficRouting")
    assert "vs-mocka" in up.shell("graylane status").stdout

    up.shell("kubectl set env deploy/mocka-base version=canary")
    await eventually(
        lambda: "vs-mocka" in str(dig(up.get("rollout", "rollouts-a"), "status", "message")), 30, "the Rollout says so"
    )
    path = up.data / "vs.yaml"
    path.write_text(yaml.safe_dump(documents[0]))
    up.shell(f"kubectl apply -f {path}")
    await eventually(lambda: states(up)[0] == "StepPaused", 60, "the release goes on by itself")
    up.shell("graylane abort rollouts-a --wait")
    assert verdicts(up)[0] == "False"


def bad_manifests_are_refused_naming_the_field(up: Up) -> None:
    deployment = next(yaml.safe_load_all((EXAMPLES / "01-apps.yaml").read_text()))
    cases = [
        (lambda item: item["spec"].update(portz=1), "portz"),
        (lambda item: item["spec"]["ports"][0].update(port="eighty"), "port"),
        (lambda item: item["spec"]["ports"][0].update(port=70000), "port"),
    ]
    for change, word in cases:
        manifest = yaml.safe_load(yaml.safe_dump(deployment))
        manifest["metadata"]["name"] = "bad"
        change(manifest)
        path = up.data / "bad.yaml"
        path.write_text(yaml.safe_dump(manifest))
        assert word in up.shell(f"kubectl apply -f {path}", ok=False).stderr


ISTIO = """
apiVersion: networking.istio.io/{version}
kind: {kind}
metadata: {{name: judged}}
spec: {spec}
"""


def istio_objects_are_judged_as_by_istiod(up: Up) -> None:
    route = "route: [{destination: {host: nowhere, subset: missing}}]"
    cases = [
        ("VirtualService", f"{{hosts: [x], http: [{{{route}, timeout: 0s}}]}}", "http[0].timeout: duration must be"),
        ("DestinationRule", "{host: x, subsets: [{name: a}, {name: a}]}", "spec.subsets: duplicate subset name a"),
        ("Gateway", "{servers: []}", "spec.servers: gateway must have at least one server"),
        ("EnvoyFilter", "{configPatches: [{applyTo: CLUSTER}]}", "spec.configPatches[0].patch: missing patch"),
        ("ServiceEntry", "{hosts: ['*']}", "spec.hosts[0]: invalid host *"),
        ("Sidecar", "{egress: [{hosts: [x]}]}", "host 'x' must be of form namespace/dnsName"),
        (
            "VirtualService",
            f"{{hosts: [x], http: [{{{route}}}, {{{route}}}]}}",
            "Warning: spec.http[1]: VirtualService",
        ),
        ("VirtualService", f"{{hosts: [x], http: [{{{route}}}]}}", ""),
    ]
    path = up.data / "judged.yaml"
    for kind, content, says in cases:
        version = "v1alpha3" if kind == "EnvoyFilter" else "v1beta1"
        path.write_text(ISTIO.format(kind=kind, spec=content, version=version))
        accepted = not says or says.startswith("Warning")
        told = up.shell(f"kubectl apply -f {path}", ok=accepted).stderr
        assert (says in told) if says else not told, told
        if not accepted:
            assert 'admission webhook "validation.istio.io" denied the request: configuration is invalid: spec.' in told
    found = up.shell("graylane analyze --lane my-request-id=canary", ok=False)
    assert "Error [IST0101] (VirtualService default/judged) Referenced host not found: 'nowhere'" in found.stdout
    up.shell("kubectl delete vs judged")
    assert "lane my-request-id:canary: holds for" in up.shell("graylane analyze --lane my-request-id=canary").stdout


ROUTES = [("vs", "vs-mocka"), ("vs", "vs-mockb"), ("dr", "dr-mocka"), ("dr", "dr-mockb")]


def apply_services(up: Up) -> None:
    for file in ("01-apps", "02-gateway", "03-virtual-services", "04-destination-rules"):
        up.shell(f"kubectl apply -f examples/end-to-end-canary/{file}.yaml")
    up.shell("kubectl rollout status deploy/mocka-base deploy/mockb-base --timeout=30s")


def phases(up: Up, kind: str) -> list[str]:
    return [dig(item, "status", "phase", default="") for item in up.get(kind)["items"]]


def states(up: Up) -> list[str]:
    items = up.get("rollout")["items"]
    return [dig(item, "status", "canaryStatus", "currentStepState", default="") for item in items]


def verdicts(up: Up) -> list[str]:
    return [(condition(item, "Succeeded") or {}).get("status", "") for item in up.get("rollout")["items"]]


def spec(up: Up, kind: str, name: str) -> Any:
    return up.get(kind, name)["spec"]
