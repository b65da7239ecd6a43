"""What people type about running pods, by every kubectl: logs in all their forms, exec, port-forward."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
import pytest_asyncio

from graylane.model.kinds import POD, SERVICE
from graylane.model.meta import Obj, dig
from graylane.testing.api.objects import deployment
from graylane.testing.kubelets import Rig, kubelet_rig, status_of
from graylane.testing.waiting import eventually

from .kubectls import BINARIES, DEADLINE, Kubectl, binary_of, every_kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

TALK = "for n in 1 2 3; do echo line $n; done; echo problem >&2; sleep 600"
CRASH = "echo run; exit 3"
BUSY = "while :; do :; done & sleep 600"  # it is the child that works
FOLLOW = "echo first; until [ -e go ]; do sleep 0.02; done; echo last"


def shell(script: str) -> Obj:
    return {"image": "busybox", "command": ["sh", "-c", script]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Pods that talk, crash and serve."""
    async with kubelet_rig(tmp_path_factory.mktemp("pods")) as found:
        await found.kubelet()
        second = {"name": "second", **shell("echo another; sleep 600")}
        await found.run("talk", containers=[{"name": "main", **shell(TALK)}, second])
        await found.run("crash", shell(CRASH))
        await found.run("serve", {"env": [{"name": "app", "value": "serve"}], "ports": [{"containerPort": 8000}]})
        for name in ("talk", "serve"):
            await found.ready(name)
        await found.when("crash", lambda pod: status_of(pod)["restartCount"] >= 1)
        spec = {"ports": [{"port": 80, "targetPort": 8000}], "selector": {"app": "serve"}}
        await found.client.create(SERVICE, {"metadata": {"name": "serve", "namespace": "default"}, "spec": spec})
        yield found


@pytest.fixture(params=BINARIES)
def kubectl(request: pytest.FixtureRequest, rig: Rig, tmp_path: Path) -> Kubectl:
    (tmp_path / "kubeconfig").write_bytes((rig.directory / "kubeconfig").read_bytes())
    return Kubectl(tmp_path, binary_of(request.param))


@every_kubectl
async def test_logs_of_one_container_of_all_and_of_whoever_a_label_or_a_deployment_means(kubectl: Kubectl) -> None:
    whole = ["line 1", "line 2", "line 3", "problem"]
    assert sorted((await kubectl.ok("logs", "talk", "-c", "main")).splitlines()) == whole
    defaulted = await kubectl.run("logs", "talk")
    assert (sorted(defaulted.out.splitlines()), "Defaulted container" in defaulted.err) == (whole, True)
    assert await kubectl.ok("logs", "talk", "-c", "second") == "another"
    every = ("logs", "-l", "app=talk", "--all-containers", "--prefix")
    assert "[pod/talk/second] another" in (await kubectl.ok(*every)).splitlines()
    await kubectl.apply(deployment("talk"))
    assert "another" in await kubectl.ok("logs", "deploy/talk", "-c", "second")
    wrong = await kubectl.fails("logs", "talk", "-c", "third")
    assert "container third is not valid for pod talk" in wrong
    assert 'pods "nobody" not found' in await kubectl.fails("logs", "nobody")


@every_kubectl
async def test_logs_of_the_last_lines_of_a_time_and_of_so_many_bytes(kubectl: Kubectl) -> None:
    logs = ("logs", "crash")
    assert await kubectl.ok(*logs, "--tail=1", "--previous") == "run"
    assert await kubectl.ok(*logs, "-p", "--tail=0") == ""
    assert await kubectl.ok("logs", "talk", "-c", "second", "--limit-bytes=3") == "ano"
    stamped = (await kubectl.ok("logs", "talk", "-c", "main", "--timestamps", "--tail=-1")).splitlines()
    assert all(re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line) for line in stamped), stamped
    moment = stamped[0].split()[0]
    assert len((await kubectl.ok("logs", "talk", "-c", "main", f"--since-time={moment}")).splitlines()) == 4
    assert len((await kubectl.ok("logs", "talk", "-c", "main", "--since=1h")).splitlines()) == 4
    assert await kubectl.ok("logs", "talk", "-c", "main", "--since-time=2100-01-01T00:00:00Z") == ""
    nothing = await kubectl.fails("logs", "talk", "-c", "main", "--previous")
    assert 'previous terminated container "main" in pod "talk" not found' in nothing


@every_kubectl
async def test_logs_f_goes_on_until_the_container_ends(kubectl: Kubectl, rig: Rig) -> None:
    if kubectl.minor < 30:
        pytest.skip("older ones know no WebSocket")
    name = f"follow-{kubectl.minor}"
    await rig.run(name, shell(FOLLOW), restartPolicy="Never")
    await rig.ready(name)
    following = await kubectl.start("logs", "-f", name)
    assert following.stdout is not None
    async with asyncio.timeout(DEADLINE):
        assert await following.stdout.readline() == b"first\n"
        await kubectl.ok("exec", name, "--", "touch", "go")
        assert (await following.communicate())[0] == b"last\n"
    assert following.returncode == 0


@every_kubectl
async def test_exec_tells_outputs_input_and_end_apart(kubectl: Kubectl) -> None:
    if kubectl.minor < 30:
        refused = await kubectl.fails("exec", "serve", "--", "true")
        assert "Graylane serves pods/exec over WebSocket and not over SPDY; use kubectl 1.30 or later" in refused
        return
    done = await kubectl.run("exec", "-i", "serve", "--", "sh", "-c", "cat; echo $app >&2; exit 7", stdin="typed")
    assert (done.code, done.out) == (7, "typed")
    assert done.err.splitlines() == ["serve", "command terminated with exit code 7"]


@every_kubectl
@pytest.mark.parametrize("target", ["pod/serve", "svc/serve"])
async def test_port_forward_reaches_a_pod_and_the_pod_of_a_service(kubectl: Kubectl, rig: Rig, target: str) -> None:
    if kubectl.minor < 31:
        refused = await kubectl.fails("port-forward", "serve", ":8000")
        assert "Graylane serves pods/portforward over WebSocket and not over SPDY; use kubectl 1.31" in refused
        return
    forwarding = await kubectl.start("port-forward", target, ":80" if target.startswith("svc") else ":8000")
    assert forwarding.stdout is not None
    async with asyncio.timeout(DEADLINE):
        found = re.match(rb"Forwarding from 127\.0\.0\.1:(\d+) -> 8000", await forwarding.stdout.readline())
    assert found

    def ask() -> str:
        connection = HTTPConnection("127.0.0.1", int(found[1]), timeout=DEADLINE)
        connection.request("GET", "/", headers={"Connection": "close"})
        return connection.getresponse().read().decode()

    ip = dig(await rig.pod("serve"), "status", "podIP")
    assert await asyncio.to_thread(ask) == f"-> serve(version: base, ip: {ip})"
    forwarding.kill()
    await forwarding.communicate()


async def test_top_shows_what_pods_containers_and_the_node_use(kubectl: Kubectl, rig: Rig) -> None:
    name = "busy"
    await rig.run(name, containers=[{"name": "idle", **shell("sleep 600")}, {"name": "works", **shell(BUSY)}])

    async def measured() -> str:
        """Once it has run for a second."""
        done = await kubectl.run("top", "pod", name, "--containers", "--no-headers")
        return done.out if done.code == 0 else ""

    used = dict(line.split()[1:3] for line in (await eventually(measured, DEADLINE, "figures")).splitlines())
    assert set(used) == {"idle", "works"}
    assert int(used["works"].removesuffix("m")) > int(used["idle"].removesuffix("m"))
    everybody = (await kubectl.ok("top", "pod", "-A", "--sort-by=cpu", "--no-headers")).splitlines()
    assert everybody[0].split()[:2] == ["default", name]
    assert {"talk", "serve"} <= {line.split()[1] for line in everybody}
    (one,) = (await kubectl.ok("top", "pod", "-l", "app=talk", "--no-headers")).splitlines()
    assert re.fullmatch(r"talk +\d+m +\d+Mi *", one), one
    (node,) = (await kubectl.ok("top", "node", "--no-headers")).splitlines()
    assert re.fullmatch(r"\S+ +\d+m +\d+% +\d+Mi +\d+% *", node), node
    assert re.search(r"^busy\S* +\d+n +\d+Ki +\d\S+s$", await kubectl.ok("get", "podmetrics"), re.MULTILINE)
    assert await kubectl.ok("get", "apiservice", "v1beta1.metrics.k8s.io", "--no-headers", "-o", "name")
    assert 'podmetrics.metrics.k8s.io "default/nobody" not found' in await kubectl.fails("top", "pod", "nobody")
    assert "does not allow this method" in await kubectl.fails("delete", "podmetrics", "talk")
    await rig.client.delete(POD, name, "default", grace_seconds=0)
    await rig.gone(name)
