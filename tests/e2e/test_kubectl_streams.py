"""The real kubectl inside running pods: exec, cp, attach and port-forward."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import signal
import ssl
import sys
import termios
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from graylane.client import ApiClient, load_kubeconfig
from graylane.model.kinds import POD
from graylane.model.meta import Obj, dig, is_true, uid_of
from graylane.testing.kubelets import Rig, kubelet_rig, status_of
from graylane.testing.waiting import eventually

from .kubectls import OWN
from .rig import Up

pytestmark = pytest.mark.e2e

DEADLINE = 30.0
SERVE = [{"containerPort": 8000}]


@dataclass(frozen=True, slots=True)
class Output:
    code: int
    out: bytes
    err: str


class Kubectl:
    """kubectl against one rig; whatever was started is ended."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self._started: list[asyncio.subprocess.Process] = []

    async def run(self, *arguments: str, stdin: bytes | None = None) -> Output:
        process = await self.start(*arguments, stdin=asyncio.subprocess.DEVNULL if stdin is None else None)
        async with asyncio.timeout(DEADLINE):
            out, err = await process.communicate(stdin)
        return Output(process.returncode or 0, out, err.decode())

    async def start(self, *arguments: str, stdin: int | None = None) -> asyncio.subprocess.Process:
        directory = self.rig.directory
        process = await asyncio.create_subprocess_exec(
            OWN,
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin is None else stdin,
            stdout=asyncio.subprocess.PIPE if stdin is None or stdin == asyncio.subprocess.DEVNULL else stdin,
            stderr=asyncio.subprocess.PIPE if stdin is None or stdin == asyncio.subprocess.DEVNULL else stdin,
            env={
                "PATH": os.environ["PATH"],
                "KUBECONFIG": str(directory / "kubeconfig"),
                "HOME": str(directory),
                "TERM": "xterm",
            },
            cwd=directory,
        )
        self._started.append(process)
        return process

    async def exec(self, *arguments: str, stdin: bytes | None = None) -> Output:
        flags = ("-i",) if stdin is not None else ()
        return await self.run("exec", *flags, "web", "--", *arguments, stdin=stdin)

    async def close(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
                await process.wait()


class Terminal:
    """kubectl at a terminal, and somebody who reads and types."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self.ours, self._theirs = os.openpty()
        os.set_blocking(self.ours, False)
        termios.tcsetwinsize(self._theirs, (41, 97))
        self.text = ""

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        process = await self._kubectl.start(*arguments, stdin=self._theirs)
        asyncio.get_running_loop().add_reader(self.ours, self._read)
        return process

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    async def shows(self, pattern: str) -> re.Match[str]:
        def look() -> bool:
            return re.search(pattern, self.text) is not None

        _: bool = await eventually(look, DEADLINE, lambda: f"{pattern!r} on the terminal: {self.text!r}")
        found = re.search(pattern, self.text)
        assert found
        return found

    def resize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self._theirs, (rows, columns))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.ours)
        os.close(self.ours)
        os.close(self._theirs)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            self.text += os.read(self.ours, 65536).decode(errors="replace")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with kubelet_rig(tmp_path) as found:
        await found.kubelet()
        yield found


@pytest.fixture
async def kubectl(rig: Rig) -> AsyncIterator[Kubectl]:
    found = Kubectl(rig)
    yield found
    await found.close()


@pytest.fixture
async def terminal(kubectl: Kubectl) -> AsyncIterator[Terminal]:
    found = Terminal(kubectl)
    yield found
    await kubectl.close()
    found.close()


@pytest.fixture
async def web(rig: Rig) -> Obj:
    await rig.run("web", {"env": [{"name": "app", "value": "web"}], "ports": SERVE})
    return await rig.ready("web")


def shell(script: str, **more: object) -> Obj:
    return {"image": "busybox", "command": ["sh", "-c", script], **more}


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def ended(pid: int) -> None:
    _: bool = await eventually(lambda: not alive(pid), DEADLINE, f"process {pid} gone")


# -- exec


async def test_exec_runs_as_the_container_does_and_tells_its_outputs_apart(kubectl: Kubectl, web: Obj) -> None:
    output = await kubectl.exec("sh", "-c", "echo $app $POD_IP; pwd; echo problem >&2; exit 7")
    home = kubectl.rig.directory / "kubelet" / uid_of(web) / "containers" / "main"
    assert output.out.decode().splitlines() == [f"web {dig(web, 'status', 'podIP')}", str(home)]
    assert output.err.splitlines() == ["problem", "command terminated with exit code 7"]
    assert output.code == 7
    assert (await kubectl.exec("true")).code == 0


async def test_exec_carries_large_input_and_output_whole(kubectl: Kubectl, web: Obj) -> None:
    sent = os.urandom(5_000_000)
    echoed = await kubectl.exec("cat", stdin=sent)
    assert echoed.code == 0, echoed.err
    assert hashlib.sha256(echoed.out).digest() == hashlib.sha256(sent).digest()
    assert (await kubectl.exec("wc", "-c", stdin=b"")).out.split() == [b"0"]


async def test_output_that_nobody_reads_makes_the_command_wait(kubectl: Kubectl, web: Obj, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    process = await kubectl.start("exec", "web", "--", "sh", "-c", f"yes | head -c 100000000; touch {mark}")
    assert process.stdout is not None
    await process.stdout.readexactly(1000)
    done, _ = await asyncio.wait([asyncio.create_task(process.wait())], timeout=1)
    assert not done
    assert not mark.exists()
    count = 1000
    while piece := await process.stdout.read(1 << 20):
        count += len(piece)
    assert count == 100_000_000, (await process.stderr.read() if process.stderr else b"")[-2000:]
    assert mark.exists()


async def test_exec_says_what_it_cannot_do(kubectl: Kubectl, rig: Rig, web: Obj) -> None:
    missing = await kubectl.exec("no-such-program")
    assert missing.code == 1
    assert 'exec: "no-such-program": executable file not found in $PATH' in missing.err
    assert 'pods "nobody" not found' in (await kubectl.run("exec", "nobody", "--", "true")).err
    await rig.run("broken", {"image": "nobody-knows-this"})
    await rig.when("broken", lambda pod: dig(status_of(pod), "state", "waiting"))
    broken = await kubectl.run("exec", "broken", "--", "true")
    assert 'container "main" of pod default/broken is not running' in broken.err


async def test_a_command_ends_with_the_client_that_started_it(kubectl: Kubectl, web: Obj) -> None:
    process = await kubectl.start("exec", "web", "--", "sh", "-c", "sleep 600 & echo $! $$; wait")
    assert process.stdout is not None
    pids = [int(word) for word in (await process.stdout.readline()).split()]
    process.kill()
    for pid in pids:
        await ended(pid)


async def test_a_command_that_never_reads_its_input_ends_with_its_client_too(kubectl: Kubectl, web: Obj) -> None:
    process = await kubectl.start("exec", "-i", "web", "--", "sh", "-c", "echo $$; exec sleep 600")
    assert process.stdout is not None
    assert process.stdin is not None
    pid = int(await process.stdout.readline())
    process.stdin.write(b"x" * 20_000_000)
    typing = asyncio.create_task(process.stdin.drain())
    done, _ = await asyncio.wait([typing], timeout=1)
    assert not done
    process.kill()
    await asyncio.gather(typing, return_exceptions=True)
    await ended(pid)


async def test_a_command_ends_with_its_pod(kubectl: Kubectl, rig: Rig, web: Obj) -> None:
    process = await kubectl.start("exec", "web", "--", "sh", "-c", "echo $$; exec sleep 600")
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    await rig.client.delete(POD, "web", "default")
    async with asyncio.timeout(DEADLINE):
        assert await process.wait() == 137
    assert not alive(pid)


# -- a terminal


async def test_exec_it_is_a_shell_at_a_terminal(terminal: Terminal, web: Obj) -> None:
    process = await terminal.start("exec", "-it", "web", "--", "bash", "--norc", "-i")
    terminal.type("echo [$app] $(tty) $TERM; stty size\n")
    await terminal.shows(r"\[web\] /dev/\S+ xterm\r\n41 97\r\n")
    terminal.resize(20, 60)
    process.send_signal(signal.SIGWINCH)
    terminal.type("until [ \"$(stty size)\" = '20 60' ]; do sleep 0.05; done; echo re''sized\n")
    await terminal.shows("resized")
    # Not a shell's `exec sleep`: a shell that hears of Ctrl-C on its way into it forgets what it heard.
    terminal.type(f'{sys.executable} -c \'import time; print("sta" + "rted", flush=True); time.sleep(600)\'\n')
    await terminal.shows("started")
    terminal.type("\x03")
    terminal.type("echo inter''rupted $?\n")
    await terminal.shows("interrupted 130")
    terminal.type("exit 3\n")
    async with asyncio.timeout(DEADLINE):
        assert await process.wait() == 3


async def test_a_shell_at_a_terminal_and_its_jobs_end_with_the_client(terminal: Terminal, web: Obj) -> None:
    process = await terminal.start("exec", "-it", "web", "--", "bash", "--norc", "-i")
    terminal.type("(trap '' HUP; exec sleep 600) & echo pids=$$,$!,\n")
    found = await terminal.shows(r"pids=(\d+),(\d+),")
    process.kill()
    for pid in map(int, found.groups()):
        await ended(pid)


# -- cp


async def test_cp_works_both_ways(kubectl: Kubectl, web: Obj, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "data.bin").write_bytes(content)
    (tmp_path / "there" / "name with space").write_text("hello")
    output = await kubectl.run("cp", "there", "web:copied")
    assert output.code == 0, output.err
    inside = kubectl.rig.directory / "kubelet" / uid_of(web) / "containers" / "main" / "copied"
    assert (inside / "data.bin").read_bytes() == content
    output = await kubectl.run("cp", "web:copied", "back")
    assert output.code == 0, output.err
    assert (tmp_path / "back" / "data.bin").read_bytes() == content
    assert (tmp_path / "back" / "name with space").read_text() == "hello"


# -- attach


async def test_attach_shows_what_comes_from_now_on_and_ends_with_the_container(kubectl: Kubectl, rig: Rig) -> None:
    script = "n=0; while [ ! -e stop ]; do n=$((n+1)); echo line $n; echo other >&2; sleep 0.05; done; echo last"
    await rig.run("web", shell(script), restartPolicy="Never")
    await rig.ready("web")
    process = await kubectl.start("attach", "web")
    assert process.stdout is not None
    assert (await process.stdout.readline()).startswith(b"line ")
    assert (await kubectl.exec("touch", "stop")).code == 0
    async with asyncio.timeout(DEADLINE):
        out, err = await process.communicate()
    assert out.endswith(b"last\n")
    assert b"other" in err
    assert process.returncode == 0


async def test_two_who_attach_see_the_same_and_leave_the_process_running(kubectl: Kubectl, rig: Rig) -> None:
    await rig.run("web", shell("n=0; while true; do n=$((n+1)); echo line $n; sleep 0.05; done"))
    await rig.ready("web")
    both = [await kubectl.start("attach", "web") for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b"line ")
        process.kill()
        await process.wait()
    assert status_of(await rig.pod("web"))["restartCount"] == 0
    assert (await kubectl.exec("true")).code == 0


async def test_attach_feeds_a_container_that_takes_input_and_no_other(kubectl: Kubectl, rig: Rig, web: Obj) -> None:
    refused = await kubectl.run("attach", "-i", "web", stdin=b"hello\n")
    assert refused.code == 1
    assert "was not started with `stdin: true`" in refused.err
    await rig.run(
        "sorter", {"image": "x", "command": ["sort"], "stdin": True, "stdinOnce": True}, restartPolicy="Never"
    )
    await rig.ready("sorter")
    output = await kubectl.run("attach", "-i", "-q", "sorter", stdin=b"b\na\n")
    assert output.out == b"a\nb\n", output
    await rig.when("sorter", lambda pod: dig(pod, "status", "phase") == "Succeeded")


async def test_run_it_is_a_pod_at_ones_own_terminal(terminal: Terminal, kubectl: Kubectl, rig: Rig) -> None:
    overrides = '{"spec":{"nodeName":"graylane"}}'
    words = ("run", "box", "-it", "--rm", "--restart=Never", "--image=busybox", f"--overrides={overrides}")
    process = await terminal.start(*words, "--command", "--", "bash", "--norc", "-i")
    await terminal.shows("pressing enter")
    terminal.type("\n")
    await terminal.shows(r"[$#] $")
    terminal.type("stty size; echo $HOSTNAME.\n")
    await terminal.shows(r"41 97\r\nbox\.")
    terminal.type("exit 4\n")
    async with asyncio.timeout(DEADLINE):
        await process.wait()
    await terminal.shows("terminated|deleted")
    await rig.gone("box")


# -- port-forward


class Forward:
    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def curl(self, path: str, *arguments: str, data: bytes | None = None) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "--max-time", "20", "--noproxy", "*", *arguments, f"http://127.0.0.1:{self.port}{path}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(data)
        assert process.returncode == 0, (process.returncode, out[:200])
        return out


async def forward(kubectl: Kubectl, port: int, pod: str = "web") -> Forward:
    process = await kubectl.start("port-forward", pod, f":{port}")
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        line = (await process.stdout.readline()).decode()
    found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> ", line)
    assert found, line
    return Forward(process, int(found[1]))


SERVER = """
import http.server, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(b"x" * int(self.path[1:] or 0))
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
import os
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer): daemon_threads = True
Server((os.environ["POD_IP"], 8000), Handler).serve_forever()
"""


@pytest.fixture
async def echo(rig: Rig) -> Obj:
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    await rig.run("web", {"image": "x", "command": ["python3", "-c", SERVER], "readinessProbe": probe})
    return await rig.ready("web")


async def test_port_forward_carries_requests_both_small_and_large(kubectl: Kubectl, echo: Obj, tmp_path: Path) -> None:
    to = await forward(kubectl, 8000)
    assert await to.curl("/5") == b"xxxxx"
    assert len(await to.curl("/30000000")) == 30_000_000
    sent = os.urandom(8_000_000)
    (tmp_path / "body").write_bytes(sent)
    got = await to.curl("/", "--data-binary", f"@{tmp_path / 'body'}", "-H", "Expect:")
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()


async def test_port_forward_carries_many_connections_at_once(kubectl: Kubectl, echo: Obj) -> None:
    to = await forward(kubectl, 8000)
    sizes = [1, 100_000, 2_000_000, 0] * 5
    found = await asyncio.gather(*(to.curl(f"/{size}") for size in sizes))
    assert [len(body) for body in found] == sizes
    assert await to.curl("/3") == b"xxx"


async def test_port_forward_to_a_closed_port_says_so(kubectl: Kubectl, echo: Obj) -> None:
    to = await forward(kubectl, 81)
    with pytest.raises(AssertionError):
        await to.curl("/")
    assert to.process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        line = (await to.process.stderr.readline()).decode()
    assert f"pod default/web does not answer at {dig(echo, 'status', 'podIP')}:81: connection refused" in line


async def test_connections_of_a_port_forward_end_with_it(kubectl: Kubectl, rig: Rig) -> None:
    script = (
        "import os, socket\n"
        "s = socket.create_server((os.environ['POD_IP'], 8000))\n"
        "print('listening', flush=True)\n"
        "c, _ = s.accept()\n"
        "print('connected', flush=True)\n"
        "print('ended', c.recv(10), flush=True)\n"
        "while True: s.accept()\n"
    )
    await rig.run("web", {"image": "x", "command": ["python3", "-c", script]})
    await rig.ready("web")

    async def logged(text: str) -> None:
        async def look() -> bool:
            return text in await rig.log("web")

        _: bool = await eventually(look, DEADLINE, text)

    await logged("listening")
    to = await forward(kubectl, 8000)
    _, writer = await asyncio.open_connection("127.0.0.1", to.port)
    await logged("connected")
    to.process.kill()
    await logged("ended")
    writer.close()


# -- what is not served


async def test_what_is_not_served_is_refused_by_name(kubectl: Kubectl, web: Obj) -> None:
    debug = await kubectl.run("debug", "web", "--image=busybox", "--target=main")
    assert debug.code == 1
    assert "does not serve pods/ephemeralcontainers" in debug.err
    assert "use kubectl exec" in debug.err


async def test_a_client_that_speaks_only_spdy_is_told_which_one_to_use(rig: Rig, web: Obj) -> None:
    config = load_kubeconfig(rig.directory / "kubeconfig")
    assert config.ca_data is not None
    context = ssl.create_default_context(cadata=config.ca_data.decode())
    headers = {"Authorization": f"Bearer {config.token}", "Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    url = f"{config.server}{POD.path('default', 'web', 'exec')}?command=ls&stdout=true"
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, ssl=context) as response:
        assert response.status == 501
        told = (await response.json())["message"]
    assert told == "Graylane serves pods/exec over WebSocket and not over SPDY; use kubectl 1.30 or later"


async def test_when_the_kubelet_is_away_that_is_what_kubectl_says(kubectl: Kubectl, rig: Rig, web: Obj) -> None:
    await rig.stop(rig.kubelets[0])
    for words in (("exec", "web", "--", "true"), ("attach", "web"), ("port-forward", "web", ":8000")):
        output = await kubectl.run(*words)
        assert output.code == 1
        assert "the kubelet of node graylane does not answer" in output.err, output.err


async def test_with_a_killed_graylane_every_command_ends(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    await asyncio.to_thread(up.start)
    try:
        pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main", **shell("exec sleep 600")}]}}
        async with ApiClient(load_kubeconfig(tmp_path / "data" / "kubeconfig")) as client:
            await client.create(POD, {**pod, "metadata": {"name": "web", "namespace": "default"}})

            async def running() -> bool:
                return is_true(await client.get(POD, "web", "default"), "Ready")

            _: bool = await eventually(running, DEADLINE, "the pod")
        words = ("sh", "-c", "sleep 601 & echo $$ $!; wait")
        process = await asyncio.create_subprocess_exec(
            *(OWN, "--kubeconfig", tmp_path / "data" / "kubeconfig", "exec", "web", "--", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        pids = [int(word) for word in (await process.stdout.readline()).split()]
    finally:
        await asyncio.to_thread(up.kill)
        await asyncio.to_thread(up.end)  # of the pod, which goes on
    for pid in pids:
        await ended(pid)
    await process.communicate()
    assert process.returncode != 0
