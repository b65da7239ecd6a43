"""`kill -9`, Ctrl-C, `down` and a taken port: what is durable stays, what should end ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from graylane.cli.datadir import DataDir
from graylane.model.meta import Obj, condition, dig, uid_of
from graylane.testing.waiting import eventually

from .load import Load
from .rig import GRAYLANE, Up, alive, descendants, unstarted

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

KEPT = ("svc", "deploy", "rs", "gateway", "vs", "dr", "rollout", "trafficrouting")
DYE = "my-request-id:canary"
CHANGED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: changed}
spec:
  hosts: [changed.example]
  gateways: [sample-gateway]
  http: [{directResponse: {status: 200, body: {string: changed}}}]
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with unstarted(tmp_path / "data") as rig:
        yield rig


async def test_a_release_survives_a_kill_at_every_step(up: Up, tmp_path: Path) -> None:
    up.start("-f", str(examples()))
    up.kubectl("delete", "envoyfilter", "--all", "-n", "istio-system")
    await eventually(lambda: phases(up) == ["Healthy"] * 2 and len(served(up.curl())) == 2, 30, "at rest")
    await crash(up, "at rest")
    assert phases(up) == ["Healthy"] * 2

    for app in ("mocka", "mockb"):
        up.kubectl("set", "env", f"deploy/{app}-base", "version=canary")
    await crash(up, "a moment after the change")
    await eventually(lambda: states(up) == ["StepPaused"] * 2, 60, "both paused after a crash")
    await eventually(lambda: served(up.curl(DYE)) == ["canary"] * 2, 30, "dyed on canary")
    await crash_under_load(up, tmp_path / "changed.yaml")
    assert states(up) == ["StepPaused"] * 2

    up.shell("graylane approve rollouts-a rollouts-b")
    await crash(up, "a moment after the approval")
    await eventually(lambda: verdicts(up) == ["True"] * 2, 60, "both succeeded after a crash")
    assert phases(up) == ["Healthy"] * 2
    assert served(up.curl()) == ["canary"] * 2
    assert sorted(names(up, "deploy")) == ["mocka-base", "mockb-base"]
    assert "canary" not in [subset["name"] for dr in up.get("dr")["items"] for subset in dr["spec"]["subsets"]]
    assert restarts(up) == {0}
    processes = up.descendants()
    assert up.stop() == 0
    assert alive(processes) == []


async def crash(up: Up, when: str) -> None:
    """Kill, see that all goes on, start again, see the same objects, the same processes and a chain that answers."""
    before = uids(up)
    up.kill()
    held = up.held()
    assert len(served(up.curl())) == 2, f"{when}: the chain does not answer without its control plane"
    up.start()
    missing = before - uids(up)
    assert {kind for kind, _, _ in missing} <= {"Deployment", "ReplicaSet"}, f"{when}: lost {missing}"
    assert not any(name.endswith("-base") for _, name, _ in missing), f"{when}: lost {missing}"
    assert restarts(up) == {0}, when
    assert len(served(up.curl())) == 2, when
    now = up.held()
    wanted = {each["containerID"] for each in containers(up) if "running" in each["state"]}  # those left after `now`
    kept = {id: pid for id, pid in held.items() if id in wanted or id.startswith("envoy")}
    assert kept.items() <= now.items(), when


async def crash_under_load(up: Up, changed: Path) -> None:
    """Killed, killed again in the midst of taking over, twice: no request notices, and what changes then is live."""
    changed.write_text(CHANGED)
    held, lines = up.held(), logged(up)
    assert len(held) == 5  # Envoy; base and canary of both
    with Load(up.gateway, ({}, dict([DYE.split(":")]))) as load:
        up.kill()
        for progress in ("starting the mesh", "starting the kubelet"):
            up.kill_at(progress)
            assert up.held() == held
        up.start("-f", str(changed))
        await eventually(lambda: "changed" in up.curl("Host: changed.example"), 30, "what it came back with is live")
    wrong = [each for each in load.answers if each[1] != 200 or served(each[2]) != [("base", "canary")[each[0]]] * 2]
    assert wrong == [], f"{len(wrong)} of {len(load.answers)}"
    assert up.held() == held
    asked = len(load.answers)
    await eventually(lambda: logged(up) == lines + asked, 30, lambda: f"{logged(up) - lines} lines of {asked} requests")
    up.shell("graylane verify --header my-request-id=canary")  # the ledger of requests is read on


async def test_ctrl_c_and_down_leave_no_process_and_keep_the_objects(up: Up) -> None:
    up.start("-f", str(examples()))
    await eventually(lambda: len(served(up.curl())) == 2, 30, "the gateway answers")
    before, processes = uids(up), up.descendants()
    assert len(processes) >= 3
    assert up.stop() == 0
    assert alive(processes) == []
    assert DataDir(up.data).running() is None
    up.start()
    assert before - uids(up) == set()
    await eventually(lambda: len(served(up.curl())) == 2, 30, "the gateway answers again")
    processes = up.descendants()
    up.kill()
    down = run(*GRAYLANE, "down", "--data", str(up.data))
    assert down.stdout == f"ended the 3 processes that a killed cluster left running in {up.data}\n"
    assert alive(processes) == []


async def test_detached_clusters_are_found_told_and_taken_down(up: Up) -> None:
    start = [*GRAYLANE, "up", "--detach", "--data", str(up.data), f"--node-ip={up.node_ip}"]
    start += ["--api-port=0", "--gateway-port=0", "-f", str(examples())]
    done = run(*start)
    assert done.returncode == 0, done.stderr
    running = DataDir(up.data).running()
    assert running is not None
    try:
        up.running = running
        assert str(running.kubeconfig) in done.stdout
        await eventually(lambda: len(served(up.curl())) == 2, 30, "the gateway answers")
        again = run(*start)
        assert (again.returncode, "already running" in again.stdout) == (0, True)
        foreground = run(*GRAYLANE, "up", "--data", str(up.data))
        assert foreground.returncode == 2
        assert "already runs" in foreground.stderr
        assert run(*GRAYLANE, "kubeconfig", "--data", str(up.data)).stdout.strip() == running.kubeconfig
    finally:
        processes = [running.process, *descendants(running.pid)]
        down = run(*GRAYLANE, "down", "--data", str(up.data), "--purge")
    assert down.returncode == 0, down.stderr
    assert alive(processes) == []
    assert not up.data.exists()


def test_a_taken_port_is_told_with_its_owner_and_the_way_out(up: Up) -> None:
    with socket.socket() as taken:
        taken.bind((up.node_ip, 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(*GRAYLANE, "up", "--data", str(up.data), f"--node-ip={up.node_ip}", f"--api-port={port}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert re.search(rf"port {re.escape(up.node_ip)}:{port} is in use by process \d+ .*--api-port", done.stderr)


def test_data_that_is_none_is_told_in_one_line_and_left_as_it_is(up: Up) -> None:
    file = up.data / "api" / "objects.db"
    file.parent.mkdir(parents=True, mode=0o700)
    file.write_bytes(b"no data of ours, " * 1000)
    ports = ["--api-port=0", "--gateway-port=0"]
    done = run(*GRAYLANE, "up", "--data", str(up.data), f"--node-ip={up.node_ip}", *ports)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.endswith(f"cannot read {file}: file is not a database; move it away to start afresh")
    assert "Traceback" not in done.stderr
    assert file.read_bytes().startswith(b"no data of ours")


def test_a_stop_while_starting_leaves_nothing(up: Up) -> None:
    command = [*GRAYLANE, "up", "--data", str(up.data), f"--node-ip={up.node_ip}", "--api-port=0", "--gateway-port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()  # the first progress line: it is under way
    processes = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert alive(processes) == []


def examples() -> Path:
    from .rig import EXAMPLES

    return EXAMPLES


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def uids(up: Up) -> set[tuple[str, str, str]]:
    items = up.get(",".join(KEPT))["items"]
    return {(item["kind"], item["metadata"]["name"], uid_of(item)) for item in items}


def names(up: Up, kind: str) -> list[str]:
    return [item["metadata"]["name"] for item in up.get(kind)["items"]]


def phases(up: Up) -> list[str]:
    return [dig(item, "status", "phase", default="") for item in up.get("rollout")["items"]]


def states(up: Up) -> list[str]:
    items = up.get("rollout")["items"]
    return [dig(item, "status", "canaryStatus", "currentStepState", default="") for item in items]


def verdicts(up: Up) -> list[str]:
    return [(condition(item, "Succeeded") or {}).get("status", "") for item in up.get("rollout")["items"]]


def containers(up: Up) -> list[Obj]:
    return [each for pod in up.get("pods", "-A")["items"] for each in pod["status"].get("containerStatuses", [])]


def restarts(up: Up) -> set[int]:
    return {each["restartCount"] for each in containers(up)}


def logged(up: Up) -> int:
    """How many requests the pods of mocka have written down."""
    pods = [name for name in names(up, "pods") if name.startswith("mocka")]
    return sum(up.kubectl("logs", pod, "--tail=-1").count("GET /") for pod in pods)


def served(answer: str) -> list[str]:
    """The versions on the way; empty when it was no answer."""
    return re.findall(r"-> \w+\(version: (\w+), ip:", answer)
