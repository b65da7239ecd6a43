"""Pods with networks of their own: programs that know nothing of a proxy are routed, and nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from graylane.app import ClusterConfig
from graylane.model.meta import dig
from graylane.testing.waiting import eventually

from .rig import BIN, EXAMPLES, Up, alive, started

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="network namespaces need root on Linux"),
]

DYE = "my-request-id: canary"
GREETER = """
import socket
server = socket.create_server(("0.0.0.0", 7000))
while True:
    connection, _ = server.accept()
    connection.sendall(b"hello from " + socket.gethostname().encode())
    connection.close()
"""
GREETED = "import socket, sys; print(socket.create_connection(('greeter', int(sys.argv[1])), 10).recv(100).decode())"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with started(tmp_path / "data", "--pod-network=netns", "-f", str(EXAMPLES)) as rig:
        yield rig


ASKING = """
import socket, time
while True:
    try:
        socket.create_connection(("mockb", 8000), 10).close()
        print("found", flush=True)
    except OSError as error:
        print("failed", error, flush=True)
    time.sleep(0.02)
"""


def asking() -> dict[str, Any]:
    """Looks up a name again and again."""
    container = {"name": "main", "image": "asking", "command": [sys.executable, "-c", ASKING]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asking"}, "spec": {"containers": [container]}}


def greeter() -> list[dict[str, Any]]:
    """A server that speaks first, on a port declared as TCP and on one of no declared protocol."""
    labels = {"app": "greeter"}
    container = {
        "name": "main",
        "image": "greeter",
        "command": [sys.executable, "-c", GREETER],
        "ports": [{"containerPort": 7000}],
    }
    ports = [{"name": name, "port": port, "targetPort": 7000} for name, port in (("tcp-a", 7001), ("any", 7002))]
    metadata = {"name": "greeter", "labels": labels}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}},
    ]


def routed(balancer: str) -> list[dict[str, Any]]:
    """Its TCP port is routed to a subset without pods."""
    policy = {"loadBalancer": {"simple": balancer}}
    rule = {"host": "greeter", "trafficPolicy": policy, "subsets": [{"name": "none", "labels": {"version": "none"}}]}
    to_none = {"destination": {"host": "greeter", "subset": "none", "port": {"number": 7001}}}
    service = {"hosts": ["greeter"], "tcp": [{"match": [{"port": 7001}], "route": [to_none]}]}
    return [
        {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "greeter"}, "spec": spec}
        for kind, spec in (("DestinationRule", rule), ("VirtualService", service))
    ]


def hears_that(up: Up, text: str) -> bool:
    line = [str(BIN / "kubectl"), "exec", "deploy/mocka-base", "--", sys.executable, "-c", GREETED, "7001"]
    done = subprocess.run(line, env=up.environment(), capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() == text


def left(up: Up) -> list[str]:
    """What of this cluster's network the kernel has."""
    network = ClusterConfig(up.data, pod_network="netns").own_network
    assert network is not None
    names = [path.name for path in Path("/var/run/netns").glob("*") if network.owns_namespace(path.name)]
    return names + [name for name in os.listdir("/sys/class/net") if network.owns_link(name)]


def inside(up: Up, *words: str, ok: bool = True) -> str:
    line = [str(BIN / "kubectl"), "exec", "deploy/mocka-base", "--", *words]
    done = subprocess.run(line, env=up.environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0) is ok, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def direct(up: Up, host: str, *headers: str) -> str:
    """What a program gets that connects to where it wants to, and knows of no proxy."""
    words = [word for header in headers for word in ("-H", header)]
    return inside(up, "curl", "-sS", "-m", "10", "--noproxy", "*", *words, f"http://{host}/")


async def test_a_program_that_knows_no_proxy_stays_in_its_lane_and_nothing_is_left(up: Up, tmp_path: Path) -> None:
    manifest = tmp_path / "greeter.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*greeter(), asking()]}))
    up.kubectl("apply", "-f", str(manifest))
    up.kubectl("delete", "envoyfilter", "--all", "-n", "istio-system")
    await eventually(lambda: up.curl().count("version: base") == 2, 30, "the gateway answers")
    up.kubectl("wait", "pod/greeter", "--for=condition=Ready", "--timeout=30s")
    up.kubectl("wait", "pod/asking", "--for=condition=Ready", "--timeout=30s")
    assert len(left(up)) == 9  # a bridge, and a namespace and a link for each of four pods

    up.kubectl("set", "env", "deploy/mockb-base", "version=canary")
    await eventually(
        lambda: dig(up.get("rollout", "rollouts-b"), "status", "canaryStatus", "currentStepState") == "StepPaused",
        60,
        "mockb is released to the dyed",
    )
    address = dig(up.get("service", "mockb"), "spec", "clusterIP")
    for host in ("mockb:8000", "mockb.default.svc.cluster.local:8000", f"{address}:8000"):
        assert "version: base" in direct(up, host), host
        assert "version: canary" in direct(up, host, DYE), host
    assert up.curl(DYE).count("version: canary") == 1  # through the proxy that the sample service knows

    assert inside(up, sys.executable, "-c", GREETED, "7001") == "hello from greeter"
    assert inside(up, sys.executable, "-c", GREETED, "7002") == "hello from greeter"
    assert inside(up, "hostname").startswith("mocka-base-")
    inside(up, "curl", "-sS", "-m", "10", "--noproxy", "*", "http://nowhere/", ok=False)

    for balancer, hears in (("RANDOM", ""), ("PASSTHROUGH", "hello from greeter")):  # of a subset that nobody is of
        manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": routed(balancer)}))
        up.kubectl("apply", "-f", str(manifest))
        await eventually(partial(hears_that, up, hears), 30, f"{balancer} holds")

    held, made = up.held(), left(up)
    up.kill()
    assert (up.held(), left(up)) == (held, made)
    assert up.curl(DYE).count("version: canary") == 1
    up.kill_at("starting the kubelet", "--pod-network=netns")
    assert (up.held(), left(up)) == (held, made)
    up.start("--pod-network=netns")
    assert up.curl(DYE).count("version: canary") == 1
    assert "version: canary" in direct(up, "mockb:8000", DYE)
    assert (up.held(), left(up)) == (held, made)
    asked = up.kubectl("logs", "asking").split("\n")
    assert ("found" in asked, [line for line in asked if line.startswith("failed")]) == (True, [])
    up.kubectl("delete", "pod", "greeter")
    await eventually(lambda: len(left(up)) == len(made) - 2, 30, "its network is gone")
    processes = up.descendants()
    up.kill()
    up.shell(f"graylane down --data {up.data}")
    assert (left(up), alive(processes)) == ([], [])

    up.start("--pod-network=netns")
    await eventually(lambda: up.curl(DYE).count("version: canary") == 1, 60, "the chain answers, with new processes")
    assert up.stop() == 0
    assert left(up) == []
