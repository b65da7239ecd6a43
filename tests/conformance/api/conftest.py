"""Each scenario runs in process and over HTTPS; and against a real API server where one is given.

`pytest tests/conformance/api --kubeconfig FILE` judges by that cluster, and with `KUBEBUILDER_ASSETS` (envtest's
convention) by the kube-apiserver and etcd in that directory. What only one side can do is marked by name:
`ours` for what we promise and Kubernetes does not, `bare` for what the controllers of a whole cluster would disturb,
`whole` for what a kube-apiserver leaves to them.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from graylane.client import load_kubeconfig
from graylane.cluster import pki
from graylane.cluster.apiserver.server import ApiServer
from graylane.testing.api import control_plane
from graylane.testing.api.cluster import Cluster
from graylane.testing.api.cluster import opened as cluster_of
from graylane.testing.api.control_plane import ControlPlane
from graylane.testing.api.objects import namespace
from graylane.testing.api.peer import Peer, running
from graylane.testing.api.rig import Https, InProcess, Rig
from graylane.testing.api.serve import TOKEN, config

OURS = ["in-process", "https"]
JUDGE, CLUSTER = "kube-apiserver", "cluster"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "api" in metafunc.fixturenames:
        metafunc.parametrize("api", _kinds(metafunc.config), indirect=True)


def _kinds(settings: pytest.Config) -> list[str]:
    judges = [JUDGE] if os.environ.get(control_plane.ASSETS) else []
    clusters = [CLUSTER] if settings.getoption("--kubeconfig") else []
    return OURS + judges + clusters


@pytest.fixture(scope="session")
def pki_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making an authority takes longer than starting a server; one serves all scenarios."""
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    assets = Path(os.environ[control_plane.ASSETS])
    with control_plane.started(assets, tmp_path_factory.mktemp("judge")) as plane:
        yield plane


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Opened and closed in a thread with a loop of its own: the scenarios' loops come and go."""
    opened, runner = cluster_of(load_kubeconfig(Path(request.config.getoption("--kubeconfig")))), asyncio.Runner()
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(lambda: runner.run(opened.__aenter__())).result()
        thread.submit(lambda: runner.run(opened.__aexit__(None, None, None))).result()
        thread.submit(runner.close).result()


@pytest.fixture
async def api(request: pytest.FixtureRequest, tmp_path: Path, pki_dir: Path) -> AsyncIterator[Rig]:
    kind = request.param
    _skip_what_is_marked(request.node, kind)
    if kind == JUDGE:
        plane = request.getfixturevalue("judge")
        https = Https(plane.url, plane.ca)
        yield Rig(https, TOKEN, kind)
        await https.close()
        return
    if kind == CLUSTER:
        found = request.getfixturevalue("cluster")
        https = Https(found.url, found.trust)
        yield Rig(https, found.token, kind)
        await https.close()
        return
    server = ApiServer(config(tmp_path, pki_dir))
    if kind == "in-process":
        await server.open()
        yield Rig(InProcess(server.front), TOKEN, kind)
        await server.stop()
        return
    await server.start()
    https = Https(server.url, pki.Authority(pki_dir, datetime.now(UTC)).bundle)
    yield Rig(https, TOKEN, kind)
    await https.close()
    await server.stop()


def _skip_what_is_marked(test: pytest.Item, kind: str) -> None:
    for mark, kinds in (("ours", (JUDGE, CLUSTER)), ("bare", (CLUSTER,)), ("whole", (JUDGE,))):
        marker = test.get_closest_marker(mark)
        if marker is not None and kind in kinds:
            pytest.skip(str(marker.args[0]))


@pytest.fixture
async def peer(pki_dir: Path) -> AsyncIterator[Peer]:
    """A webhook on this machine."""
    async with running(pki.Authority(pki_dir, datetime.now(UTC))) as started:
        yield started


@pytest.fixture
async def ns(api: Rig) -> AsyncIterator[str]:
    """A namespace of the scenario's own."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    await api.create("/api/v1/namespaces", namespace(name))
    yield name
    if not api.ours:
        await api.call("DELETE", f"/api/v1/namespaces/{name}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many scenarios there are, and how each server fared: the figures that docs and reports quote."""
    scenarios: set[str] = set()
    fared: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            name, kind = _scenario(report.nodeid)
            if kind and (report.when == "call" or outcome != "passed"):
                scenarios.add(name)
                fared.setdefault(kind, Counter())[outcome] += 1
    if scenarios:
        terminalreporter.section("API conformance")
        terminalreporter.line(f"{len(scenarios)} scenarios")
        for kind, counts in sorted(fared.items()):
            terminalreporter.line(f"{kind}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))


def _scenario(node: str) -> tuple[str, str]:
    """`…::test_x[https-a]` → (`…::test_x[a]`, `https`); no kind for tests of something else."""
    name, _, parameters = node.partition("[")
    for kind in (*OURS, JUDGE, CLUSTER):
        if parameters.startswith((f"{kind}-", f"{kind}]")):
            return f"{name}[{parameters.removeprefix(kind).lstrip('-')}", kind
    return name, ""
