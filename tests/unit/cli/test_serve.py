"""The life of one `up` process around its cluster: whatever way it ends, the cluster is stopped."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from graylane.cli import serve
from graylane.cli.background import PipeReporter, _listen
from graylane.cli.datadir import DataDir, Running
from graylane.cli.exits import Exit, StartFailed
from graylane.cli.ports import NODE_PORTS, free_port
from graylane.cli.up import UpOptions
from graylane.errors import GraylaneError, UserError
from graylane.testing.places import own_node
from graylane.testing.waiting import eventually


class Cluster:
    """Stands in for the real one, which has its own tests; what it is told is written down."""

    kubeconfig_path = Path("/kubeconfig")
    gateway_url = "http://127.0.0.1:30080"
    on_start: Callable[[], Any] = staticmethod(lambda: None)
    death: GraylaneError | None = None
    told: list[str] = []

    def __init__(self, config: Any) -> None:
        self.config = config
        self.told.append(f"api {config.api_port} gateway {config.gateway_port}")

    async def start(self, progress: Callable[[str], None]) -> None:
        progress("starting")
        if (wait := self.on_start()) is not None:
            await wait
        self.told.append("started")

    async def stop(self) -> None:
        self.told.append("stopped")

    async def failed(self) -> None:
        if self.death:
            raise self.death
        await asyncio.Event().wait()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> type[Cluster]:
    fresh = type("Fresh", (Cluster,), {"told": []})
    module = SimpleNamespace(Cluster=fresh, ClusterConfig=_config)
    monkeypatch.setitem(sys.modules, "graylane.app", module)  # type: ignore[arg-type]
    return fresh


def _config(
    data: Path, node_ip: str, api_port: int, gateway_port: int, images: Path | None, _network: str, _ledger: bool
) -> SimpleNamespace:
    return SimpleNamespace(node_ip=node_ip, api_port=api_port, gateway_port=gateway_port)


def options(tmp_path: Path) -> UpOptions:
    return UpOptions(tmp_path, (), 0, 0, own_node(), None, "loopback")


async def serving(tmp_path: Path, lifeline: int | None = None) -> tuple[asyncio.Task[None], io.StringIO]:
    words = io.StringIO()
    words.close = lambda: None  # type: ignore[method-assign]
    work = serve._serve(options(tmp_path), [], DataDir(tmp_path), PipeReporter(words), lifeline)
    return asyncio.create_task(work), words


def test_a_missing_extra_is_told_with_what_installs_it(tmp_path: Path) -> None:
    without = (
        "import sys; sys.modules['grpc'] = None\n"
        "from graylane.cli.root import run\n"
        f"sys.exit(run(['up', '--data', {str(tmp_path)!r}, '--api-port', '0', '--gateway-port', '0']))"
    )
    ended = subprocess.run([sys.executable, "-c", without], check=False, capture_output=True, text=True, timeout=30)
    assert ended.returncode == Exit.USAGE
    assert ended.stderr == (
        "graylane: the embedded cluster needs the module grpc; install it with: pip install 'graylane[local]'\n"
    )


async def test_a_ready_cluster_is_announced_and_stopped_by_a_signal(tmp_path: Path, cluster: type[Cluster]) -> None:
    task, words = await serving(tmp_path)
    await eventually(lambda: '"ready"' in words.getvalue(), 30, "ready")
    assert DataDir(tmp_path).running() == Running(**json.loads(words.getvalue().splitlines()[1])["ready"])
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, 30)
    assert cluster.told[1:] == ["started", "stopped"]


async def test_a_signal_during_the_start_ends_it(tmp_path: Path, cluster: type[Cluster]) -> None:
    cluster.on_start = staticmethod(lambda: asyncio.Event().wait())
    task, words = await serving(tmp_path)
    await eventually(lambda: "starting" in words.getvalue(), 30, "it starts")
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(task, 30)
    assert cluster.told[1:] == ["stopped"]
    assert '"ready"' not in words.getvalue()


async def test_a_closed_lifeline_ends_it(tmp_path: Path, cluster: type[Cluster]) -> None:
    reader, writer = os.pipe()
    task, words = await serving(tmp_path, reader)
    await eventually(lambda: '"ready"' in words.getvalue(), 30, "ready")
    os.close(writer)
    await asyncio.wait_for(task, 30)
    assert cluster.told[-1] == "stopped"


async def test_a_part_that_dies_ends_it_with_its_reason(tmp_path: Path, cluster: type[Cluster]) -> None:
    cluster.death = GraylaneError("Envoy cannot be started again")
    task, _ = await serving(tmp_path)
    with pytest.raises(GraylaneError, match="Envoy cannot"):
        await asyncio.wait_for(task, 30)
    assert cluster.told[-1] == "stopped"


async def test_a_failed_start_is_stopped_and_told(tmp_path: Path, cluster: type[Cluster]) -> None:
    def broken() -> None:
        raise UserError("no loopback address")

    cluster.on_start = staticmethod(broken)
    task, _ = await serving(tmp_path)
    with pytest.raises(UserError, match="no loopback"):
        await asyncio.wait_for(task, 30)
    assert cluster.told[-1] == "stopped"


def test_one_port_cannot_serve_twice() -> None:
    with pytest.raises(UserError, match="cannot be both"):
        serve.check_ports("127.0.0.1", 30007, 30007)


def test_the_gateway_s_port_is_a_node_port() -> None:
    with pytest.raises(UserError, match="30000 to 32767"):
        serve.check_ports("127.0.0.1", 0, 8080)


def test_a_port_that_our_own_envoy_has_is_as_good_as_free() -> None:
    with socket.socket() as envoy:
        port = free_port("127.0.0.1", NODE_PORTS)
        envoy.bind(("127.0.0.1", port))
        envoy.listen()
        assert serve.check_ports("127.0.0.1", 0, port, ours=port)[1] == port
        with pytest.raises(UserError, match="in use"):
            serve.check_ports("127.0.0.1", 0, port, ours=port + 1)


@pytest.mark.parametrize("address", ["10.0.0.1", "localhost", "::1"])
def test_the_node_s_address_is_of_the_loopback_network(address: str) -> None:
    with pytest.raises(UserError, match=f"--node-ip {address}: not an address of 127"):
        serve.check_ports(address, 0, 0)


@pytest.mark.parametrize(("text", "message"), [(None, "no such file"), ("a: [b", "not YAML"), ("a: b", "list named")])
def test_a_catalogue_that_cannot_be_read_is_told_before_anything_starts(
    tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "shop.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=rf"shop\.yaml: .*{message}"):
        serve._cluster(replace(options(tmp_path), images=file))


def listen(tmp_path: Path, text: str, code: int = 0) -> Running:
    child = SimpleNamespace(wait=lambda: code)
    return _listen(io.StringIO(text), DataDir(tmp_path), child, lambda _: None)  # type: ignore[arg-type]


def test_the_parent_hears_ready_failed_and_death(tmp_path: Path) -> None:
    ready = {"pid": 1, "started": 2, "kubeconfig": "/k", "gateway": "g"}
    assert listen(tmp_path, f'{{"progress": "x"}}\n{{"ready": {json.dumps(ready)}}}\n') == Running(**ready)
    with pytest.raises(StartFailed, match="port taken") as failed:
        listen(tmp_path, '{"failed": "port taken", "code": 2}\n')
    assert failed.value.code == Exit.USAGE
    with pytest.raises(StartFailed, match=r"died while starting \(exit -9\); its last words are in .*graylane.log"):
        listen(tmp_path, '{"progress": "x"}\n', -9)


def test_a_parent_that_went_away_does_not_stop_the_start() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    reporter = PipeReporter(os.fdopen(writer, "w", buffering=1))
    reporter.progress("nobody listens")
    reporter.progress("still nobody")
