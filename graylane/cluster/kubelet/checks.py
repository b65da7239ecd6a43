"""Carries out what probes and hooks ask for: an HTTP GET, a TCP connect, a command, a gRPC health check.

Shell. In: a `Check`, the pod's address, a way to run commands. Out: `Result`, whose message is kubelet's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from graylane.cluster.kubelet.probes import Check, Exec, Grpc, HttpGet, TcpSocket
from graylane.cluster.processes.table import Ran

RunCommand = Callable[[tuple[str, ...], float], Awaitable[Ran]]


@dataclass(frozen=True, slots=True)
class Result:
    success: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks one container."""

    ip: str
    http: aiohttp.ClientSession
    run: RunCommand

    async def check(self, check: Check, timeout_seconds: float) -> Result:
        match check:
            case HttpGet():
                return await self._http(check, timeout_seconds)
            case TcpSocket():
                return await _tcp(check.host or self.ip, check.port, timeout_seconds)
            case Exec():
                return await self._exec(check, timeout_seconds)
            case Grpc():
                from graylane.cluster.kubelet.grpcchecks import serving  # grpc loads slowly, and few pods need it

                problem = await serving(f"{self.ip}:{check.port}", check.service, timeout_seconds)
                return Result(not problem, problem)

    async def _http(self, check: HttpGet, timeout_seconds: float) -> Result:
        url = f"{'https' if check.https else 'http'}://{check.host or self.ip}:{check.port}{check.path}"
        headers = {"User-Agent": "kube-probe/1.33", "Accept": "*/*", "Connection": "close", **dict(check.headers)}
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            async with self.http.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
                if 200 <= response.status < 400:
                    return Result(True)
                return Result(False, f"HTTP probe failed with statuscode: {response.status}")
        except TimeoutError:
            return Result(
                False, f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Result(False, f'Get "{url}": {error}')

    async def _exec(self, check: Exec, timeout_seconds: float) -> Result:
        try:
            ran = await self.run(check.command, timeout_seconds)
        except OSError as error:
            return Result(False, f"{check.command[0] if check.command else 'command'}: {error.strerror or error}")
        if ran.exit is None:
            return Result(False, f"command timed out: {' '.join(check.command)!r} timed out after {timeout_seconds:g}s")
        return Result(ran.exit.code == 0, ran.output)


async def listening(host: str, port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether somebody accepts connections there."""
    return (await _tcp(host, port, timeout_seconds)).success


async def _tcp(host: str, port: int, timeout_seconds: float) -> Result:
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Result(False, f"dial tcp {host}:{port}: i/o timeout")
    except OSError as error:
        return Result(False, f"dial tcp {host}:{port}: connect: {error.strerror or error}")
    writer.close()
    return Result(True)
