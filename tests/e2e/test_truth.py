"""Routing truth on a running cluster: what proxies acknowledged and saw, read through the API as users read it."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from graylane.client import ApiClient, load_kubeconfig
from graylane.kit import istiod
from graylane.model.kinds import VIRTUAL_SERVICE
from graylane.testing.terminal import Terminal
from graylane.testing.waiting import eventually
from graylane.trafficrouting.confirm import Answer, Verdict
from graylane.trafficrouting.proxies import Proxies
from graylane.trafficrouting.syncz import Silent

from .rig import BIN, EXAMPLES, GRAYLANE, Up, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ISTIOD = "/api/v1/namespaces/istio-system/pods/istiod-graylane:http-monitoring/proxy"
LOST = "mocka receives my-request-id, its call to mockb lacks it"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The scenario with both services released."""
    with started(tmp_path_factory.mktemp("truth") / "data", "-f", str(EXAMPLES)) as rig:
        release(rig, "version=canary")
        yield rig


@pytest.fixture
def keeping(up: Up) -> Up:
    """Its services pass the lane on, whatever another test made of them; nothing is released anew if they do."""
    release(up, "drops_lane-")
    return up


@pytest.fixture
def dropping(up: Up) -> Up:
    """Its services lose the lane."""
    release(up, "drops_lane=true")
    return up


def release(up: Up, *variables: str) -> None:
    for app in ("mocka", "mockb"):
        up.kubectl("set", "env", f"deploy/{app}-base", *variables)
    assert graylane(up, "status --until paused --timeout 60").returncode == 0


def graylane(up: Up, line: str) -> subprocess.CompletedProcess[str]:
    command = [*GRAYLANE, *shlex.split(line)]
    return subprocess.run(command, env=up.environment(), capture_output=True, text=True, timeout=90, check=False)


def raw(up: Up, path: str) -> Any:
    return json.loads(up.kubectl("get", "--raw", path))


def test_syncz_says_of_each_proxy_what_it_has_acknowledged(up: Up) -> None:
    found = {each["proxy"]: each for each in raw(up, f"{ISTIOD}/debug/syncz")}
    pods = {f"{pod['metadata']['name']}.default" for pod in up.get("pods")["items"]}
    assert found.keys() == pods | {"istio-ingressgateway-graylane.istio-system"}
    gateway = found["istio-ingressgateway-graylane.istio-system"]
    assert gateway["route_sent"] == gateway["route_acked"] != ""
    service = raw(up, "/api/v1/namespaces/istio-system/services/istiod:15014/proxy/debug/syncz?namespace=istio-system")
    assert [each["proxy_type"] for each in service] == ["router"]


async def test_the_ledger_counts_every_hop_with_its_lane(keeping: Up) -> None:
    up = keeping
    up.curl("agent: pc")

    def canaries_seen() -> list[Any]:
        hops = raw(up, f"{ISTIOD}/debug/ledger?seconds=60")["hops"]
        dyed = [hop for hop in hops if {"name": "my-request-id", "value": "canary"} in hop["headers"]]
        return dyed if {hop["host"].partition(".")[0] for hop in dyed} == {"mocka", "mockb"} else []

    dyed = await eventually(canaries_seen, 30, "both hops of a dyed request told of")
    assert dyed is not None
    assert {hop["rule"] for hop in dyed} == {
        "VirtualService default/vs-mocka http[0]",
        "VirtualService default/vs-mockb http[0]",
    }
    assert all(hop["code"] == 200 for hop in dyed)


def test_verify_finds_that_all_is_as_predicted(keeping: Up) -> None:
    done = graylane(keeping, "verify --header agent=pc --count 3")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:4]]
    assert rows == [
        ["mocka", "canary", "canary", "3", "base", "base", "3", "ok"],
        ["└", "mockb", "canary", "canary", "3", "base", "base", "3", "ok"],
    ]


async def test_the_live_view_traces_a_dyed_request_and_shows_what_the_step_changed(keeping: Up) -> None:
    terminal = Terminal("status", "-w", env=keeping.environment())
    try:
        await terminal.shows("approve rollouts-a rollouts-b")
        terminal.press("t")
        await terminal.shows("VirtualService default/vs-mockb http[0]")
        top, _, _, mocka, rule, mockb = terminal.screen.splitlines()[:6]
        assert (top, rule.strip()) == (
            "one request with my-request-id:canary",
            "by VirtualService default/vs-mocka http[0]",
        )
        assert (mocka.split()[0], mocka.split()[2:4]) == ("mocka", ["canary", "200"])
        assert (mockb.split()[:2], mockb.split()[3:5]) == (["└", "mockb"], ["canary", "200"])
        terminal.press(" ")
        terminal.press("d")
        await terminal.shows("rollouts-a: canary Deployment mocka-base-")
        assert "+          value: canary" in terminal.screen
        terminal.press(" ")
        await terminal.shows("approve rollouts-a rollouts-b")
        terminal.press("p")
        await terminal.shows("address")
        roles = [line.split()[:2] for line in terminal.screen.splitlines()[1:5]]
        assert roles == [["mocka", "base"], ["mocka", "canary"], ["mockb", "base"], ["mockb", "canary"]]
        terminal.press("q")
        assert await terminal.ends() == 0
    finally:
        terminal.close()


async def test_whoever_applies_what_is_not_acted_on_is_told_of_which_object_and_field(up: Up, tmp_path: Path) -> None:
    policy = {"tunnel": {"targetHost": "x.example", "targetPort": 443}, "tls": {"mode": "ISTIO_MUTUAL"}}
    rule = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "odd"}}
    file = tmp_path / "rule.json"
    file.write_text(json.dumps({**rule, "spec": {"host": "odd.example", "trafficPolicy": policy}}))
    command = [str(BIN / "kubectl"), "apply", "-f", str(file)]
    done = subprocess.run(command, env=up.environment(), capture_output=True, text=True, timeout=60, check=True)
    for field in ("tls.mode ISTIO_MUTUAL", "tunnel"):
        said = f"spec.trafficPolicy.{field} is not acted on by this mesh"
        assert f"Warning: DestinationRule default/odd: {said}" in done.stderr

    def told() -> list[str]:
        messages = up.get("dr", "odd").get("status", {}).get("validationMessages", [])
        return [each["message"] for each in messages if each["type"]["code"] == "GRL0001"]

    messages = await eventually(told, 30)
    assert all(f"default/odd: {message}" in done.stderr for message in messages)
    assert len(messages) == 2
    up.kubectl("create", "configmap", "istio", "-n", "istio-system", "--from-literal=mesh=trustDomain: here")

    def event() -> bool:
        found = up.get("events", "-n", "istio-system", "--field-selector=reason=FieldNotActedOn")["items"]
        return [each["message"] for each in found] == ["not acted on by this mesh: mesh.trustDomain"]

    await eventually(event, 30)
    up.kubectl("delete", "dr/odd")
    up.kubectl("delete", "configmap/istio", "-n", "istio-system")


def test_verify_refuses_what_it_cannot_send(up: Up) -> None:
    done = graylane(up, "verify --port 8443")
    assert done.returncode == 2
    assert "nothing listens at port 8443 of the gateway" in done.stderr


def test_the_hop_that_loses_the_header_is_named(dropping: Up) -> None:
    done = graylane(dropping, "verify --header agent=pc --count 3 -o json")
    assert done.returncode == 1
    assert f"{LOST} (3 of 3 requests)" in done.stderr
    mocka, mockb = json.loads(done.stdout)["hops"]
    assert (mocka["dyed"]["agrees"], mockb["dyed"]["seen"]) == (True, {"base": 3})
    assert mockb["plain"]["seen"] == {"base": 3}


async def test_status_shows_what_was_seen_beside_what_is_asked_and_who_loses_the_header(dropping: Up) -> None:
    up = dropping

    def told() -> str | None:
        """Once what was seen is of the time since the releases have paused."""
        up.curl("agent: pc")
        text = graylane(up, "status").stdout
        return text if "leaks" in text and "leaks 0" not in text else None

    text = await eventually(told, 60, "leaks of the service that drops the header")
    assert text is not None
    assert f"! {LOST}" in " ".join(text.split())
    assert "routes live on 5/5 proxies" in text
    document = json.loads(graylane(up, "status -o json").stdout)
    assert {each["message"] for each in document["observed"]["lost"]} == {LOST}
    mocka = document["observed"]["entries"][0]["hops"][0]
    assert mocka["canary"]["requests"] >= 1
    assert mocka["canary"]["p99Milliseconds"] > 0


async def test_a_guarded_gateway_takes_a_clients_own_dye_away_and_keeps_the_edges(up: Up) -> None:
    assert "version: canary" in up.curl("my-request-id: canary")
    up.kubectl("annotate", "gateways.networking.istio.io", "--all", "graylane.dev/spoof-guard=lanes")
    await eventually(lambda: "canary" not in up.curl("my-request-id: canary"), 30, "the client's dye is taken away")
    assert up.curl("agent: pc").startswith("-> mocka(version: canary")
    done = graylane(up, "explain --header my-request-id=canary")
    assert "stripped      my-request-id: canary, by the spoof guard" in done.stdout
    assert ", version base" in done.stdout
    assert ", version canary" not in done.stdout
    assert graylane(up, "verify --header my-request-id=canary --count 2").returncode == 0
    up.kubectl("annotate", "gateways.networking.istio.io", "--all", "graylane.dev/spoof-guard-")
    await eventually(lambda: "version: canary" in up.curl("my-request-id: canary"), 30, "the client's dye is taken")


async def test_a_controller_can_wait_for_our_proxies_as_it_does_for_istios(up: Up) -> None:
    async with ApiClient(load_kubeconfig(up.data / "kubeconfig")) as client:
        proxies = Proxies(partial(istiod.ask, client, "/debug/syncz"))
        live = await client.get(VIRTUAL_SERVICE, "vs-mockb", "default")
        meta = {**live["metadata"], "generation": live["metadata"]["generation"] + 1}
        now = datetime.now(UTC)
        unsaid = Silent(VIRTUAL_SERVICE, {"metadata": meta}, Verdict(Answer.WAITS, "", now + timedelta(seconds=60)))

        async def answer() -> Answer:
            found = await proxies.verdicts([unsaid], datetime.now(UTC))
            return found[meta["uid"]].answer

        assert await answer() is Answer.WAITS
        edited = {"spec": {"http": [{**rule, "timeout": "7s"} for rule in live["spec"]["http"]]}}
        await client.patch(VIRTUAL_SERVICE, "vs-mockb", "default", edited)

        async def confirmed() -> bool:
            return await answer() is Answer.YES

        await eventually(confirmed, 30, "our proxies have taken the change")


async def test_the_meshs_own_pod_comes_back_when_somebody_deletes_it(up: Up) -> None:
    before = up.get("pod/istiod-graylane", "-n", "istio-system")["metadata"]["uid"]
    up.kubectl("delete", "pod", "istiod-graylane", "-n", "istio-system", "--wait=false")

    def answers() -> bool:
        found = up.get("pods", "-n", "istio-system", "-l", "app=istiod")["items"]
        return bool(found) and found[0]["metadata"]["uid"] != before and found[0].get("status", {}).get("podIP") != ""

    await eventually(answers, 30, "another pod for the same mesh")
    await eventually(lambda: graylane(up, "verify -H agent=pc -c 1").stdout.startswith("gateway"), 30, "verify asks it")


def test_the_meshs_own_pod_says_that_it_keeps_no_log(up: Up) -> None:
    done = up.shell("kubectl logs -n istio-system istiod-graylane", ok=False)
    assert "writes no log of its own: it is part of graylane" in done.stderr
