"""The sample service as a real process: its answer, what it passes on, how it stops."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import graylane
from graylane.testing.places import free_port

PACKAGES = str(Path(graylane.__file__).parent.parent)


@dataclass
class Hop:
    process: subprocess.Popen[str]
    port: int

    def get(self, headers: dict[str, str] | None = None, path: str = "/") -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=30)
        return self.process.returncode, output


@contextmanager
def hop(app: str, **environment: str) -> Iterator[Hop]:
    env = {"PYTHONPATH": PACKAGES, "app": app, "POD_IP": "127.0.0.1", "PORT": "0", **environment}
    command = [sys.executable, "-S", "-m", "graylane.sample.service"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Hop(process, int(process.stdout.readline().rpartition(":")[2]))
    finally:
        process.kill()
        process.communicate()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=30).close()
    except ConnectionRefusedError:
        return False
    return True


def test_each_hop_says_who_it_is_and_passes_on_the_lane_alone() -> None:
    with hop("mockb", version="canary") as b, hop("mocka", upstream_url=f"http://127.0.0.1:{b.port}/") as a:
        status, body = a.get({"my-request-id": "canary", "agent": "pc", "cookie": "x"})
        assert (status, body) == (
            200,
            "-> mocka(version: base, ip: 127.0.0.1)-> mockb(version: canary, ip: 127.0.0.1)",
        )
        _, log = b.stop()
        line = next(line for line in log.splitlines() if line.startswith("GET / my-request-id: canary"))
        assert json.loads(line.partition("headers: ")[2]) == {
            "host": f"127.0.0.1:{b.port}",
            "my-request-id": "canary",
        }


def test_a_request_that_is_dyed_twice_keeps_its_first_dye() -> None:
    with hop("mockb") as b, hop("mocka", upstream_url=f"http://127.0.0.1:{b.port}/") as a:
        with socket.create_connection(("127.0.0.1", a.port), timeout=30) as client:
            head = "GET / HTTP/1.0\r\nmy-request-id: canary\r\nmy-request-id: base\r\n\r\n"
            client.sendall(head.encode())
            assert b"200 OK" in client.makefile("rb").read()
        _, log = b.stop()
    assert "GET / my-request-id: canary headers" in log


def test_through_a_proxy_it_asks_for_the_whole_url() -> None:
    with (
        hop("proxy") as proxy,
        hop("mocka", upstream_url="http://mockb:8000/x", http_proxy=f"http://127.0.0.1:{proxy.port}") as a,
    ):
        a.get()
        _, log = proxy.stop()
        assert "GET /x my-request-id: -" in log
        assert '"host": "mockb:8000"' in log


def test_an_upstream_that_is_down_is_a_502_that_says_which_and_why() -> None:
    port = free_port()
    with hop("mocka", upstream_url=f"http://127.0.0.1:{port}/") as a:
        status, body = a.get()
    assert status == 502
    assert f"upstream http://127.0.0.1:{port}/ failed" in body


def test_an_upstream_restart_costs_no_request_on_a_kept_connection() -> None:
    port = str(free_port())  # one that nobody gets in between
    with hop("mockb", PORT=port) as b, hop("mocka", upstream_url=f"http://127.0.0.1:{port}/") as a:
        assert a.get()[0] == 200
        b.stop()
        with hop("mockb", PORT=port):
            assert a.get()[0] == 200


def test_sigterm_finishes_the_request_in_flight_and_exits_zero() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as slow,
        hop("mocka", upstream_url=f"http://127.0.0.1:{slow.getsockname()[1]}/") as a,
    ):
        client = socket.create_connection(("127.0.0.1", a.port), timeout=30)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        upstream, _ = slow.accept()
        upstream.recv(1000)
        a.process.send_signal(signal.SIGTERM)
        while listens(a.port):  # the answer below must come after the signal was taken
            pass
        upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        answer = client.makefile("rb").read().decode()
        assert "connection: close" in answer
        assert answer.endswith("ok")
        assert a.process.wait(30) == 0
        client.close()
        upstream.close()


def test_bad_requests_get_400_and_the_connection_ends() -> None:
    with hop("mocka") as a, socket.create_connection(("127.0.0.1", a.port), timeout=30) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_head_pipelined_and_http_1_0_requests_are_answered_in_order() -> None:
    with hop("mocka") as a, socket.create_connection(("127.0.0.1", a.port), timeout=30) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n")
        answers = client.makefile("rb").read().decode()
    assert answers.count("HTTP/1.1 200 OK") == 2
    assert answers.count("-> mocka(version: base, ip: 127.0.0.1)") == 1


def test_a_wrong_setting_is_one_line_on_stderr() -> None:
    command = [sys.executable, "-S", "-m", "graylane.sample.service"]
    env = {"PYTHONPATH": PACKAGES, "upstream_url": "https://mockb/"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.strip()) == (1, "sample service: 'https://mockb/' is not an http:// URL")


def test_it_serves_soon_after_its_start() -> None:
    before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    with hop("mocka") as a:
        a.get()
    spent = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before
    assert spent < 1.0  # about 0.1 s of processor time; the bound only catches a site import
