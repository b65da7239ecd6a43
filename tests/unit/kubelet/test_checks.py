"""Checks against real listeners: what counts as success, and kubelet's words for what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from graylane.cluster.kubelet.checks import Checker, Result, listening
from graylane.cluster.kubelet.probes import Exec, HttpGet, TcpSocket
from graylane.cluster.processes.child import Exit
from graylane.cluster.processes.table import Ran


@dataclass
class Site:
    """A server that answers `/<status>`, and the headers it was last asked with."""

    port: int = 0
    headers: dict[str, str] | None = None

    async def answer(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        if request.path == "/slow":
            await asyncio.sleep(30)
        return web.Response(status=int(request.path[1:]), headers={"Location": "/500"})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found, application = Site(), web.Application()
    application.router.add_get("/{any}", found.answer)
    async with TestServer(application) as server:
        found.port = int(server.port or 0)
        yield found


@pytest.fixture
async def checker() -> AsyncIterator[Checker]:
    async def run(words: tuple[str, ...], timeout_seconds: float) -> Ran:
        if words[0] == "absent":
            raise FileNotFoundError(2, "No such file or directory")
        if words[0] == "slow":
            return Ran(None, "")
        return Ran(Exit(int(words[1]), 0), "said")

    async with aiohttp.ClientSession() as session:
        yield Checker("127.0.0.1", session, run)


@pytest.mark.parametrize(
    ("status", "good"), [(200, True), (204, True), (302, True), (399, True), (400, False), (500, False)]
)
async def test_http_succeeds_from_200_to_399_and_follows_nothing(
    site: Site, checker: Checker, status: int, good: bool
) -> None:
    found = await checker.check(HttpGet(site.port, f"/{status}"), 30)
    assert found == (Result(True) if good else Result(False, f"HTTP probe failed with statuscode: {status}"))


async def test_http_sends_the_headers_that_are_asked_for(site: Site, checker: Checker) -> None:
    await checker.check(HttpGet(site.port, "/200", headers=(("Host", "shop.example"), ("X-Probe", "yes"))), 30)
    assert site.headers is not None
    assert (site.headers["Host"], site.headers["X-Probe"]) == ("shop.example", "yes")
    assert site.headers["User-Agent"].startswith("kube-probe/")


async def test_http_that_takes_too_long_or_is_not_there_fails(site: Site, checker: Checker) -> None:
    slow = await checker.check(HttpGet(site.port, "/slow"), 0.05)
    assert "context deadline exceeded" in slow.message
    nobody = await checker.check(HttpGet(1, "/"), 30)
    assert nobody.message.startswith('Get "http://127.0.0.1:1/": ')


async def test_tcp_succeeds_when_somebody_listens(site: Site, checker: Checker) -> None:
    assert await checker.check(TcpSocket(site.port), 30) == Result(True)
    assert await listening("127.0.0.1", site.port)
    refused = await checker.check(TcpSocket(1), 30)
    assert refused.message.startswith("dial tcp 127.0.0.1:1: connect: ")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("exit", "0"), Result(True, "said")),
        (("exit", "3"), Result(False, "said")),
        (("absent",), Result(False, "absent: No such file or directory")),
        (("slow",), Result(False, "command timed out: 'slow' timed out after 5s")),
    ],
)
async def test_a_command_succeeds_with_exit_code_0(checker: Checker, words: tuple[str, ...], found: Result) -> None:
    assert await checker.check(Exec(words), 5) == found
