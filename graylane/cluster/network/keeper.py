"""The process that makes pods' networks and removes them, all of them when we end, however we end.

Shell. In, on stdin: the network as a line of JSON, then for each command a line `+ADDRESS` or `-ADDRESS`. Out, on
stdout: for each line one with why it failed, empty when it did not.

A process of its own, because whoever makes a namespace forks or changes its own, and neither agrees with the threads
that gRPC has in ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from ipaddress import IPv4Network

from graylane.cluster.network.namespaces import Namespaces
from graylane.cluster.network.plan import PodNetwork
from graylane.errors import GraylaneError, UserError


class CannotConnect(GraylaneError):
    """The pod's network could not be made; trying again later may help."""


class Keeper:
    """Our side of it, from `start` to `stop`. Commands are carried out one after the other."""

    def __init__(self, network: PodNetwork, process: asyncio.subprocess.Process) -> None:
        self.network = network
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, network: PodNetwork) -> Keeper:
        """Returns when the bridge is there. Raises `UserError` where namespaces cannot be made."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us
        )
        self = cls(network, process)
        if failure := await self._ask(_written(network)):
            await self.stop()
            raise UserError(failure)
        return self

    async def attach(self, address: str) -> None:
        """Make the network of the pod with this address. Raises `CannotConnect`."""
        if failure := await self._ask(f"+{address}"):
            raise CannotConnect(f"cannot make a network for {address}: {failure}")

    async def detach(self, address: str) -> None:
        """Safe to call for one that is gone; what cannot be removed now is at the end."""
        await self._ask(f"-{address}")

    async def stop(self) -> None:
        """Returns when everything is removed."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    async def _ask(self, line: str) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        async with self._turn:
            with contextlib.suppress(ConnectionError):
                stdin.write(f"{line}\n".encode())
                await stdin.drain()
            answer = await stdout.readline()
        return answer.decode().strip() if answer else "the process that makes networks has ended"


def _written(network: PodNetwork) -> str:
    return json.dumps([network.tag, str(network.pods), str(network.services)])


def _read(line: str) -> PodNetwork:
    tag, pods, services = json.loads(line)
    return PodNetwork(tag, IPv4Network(pods), IPv4Network(services))


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        namespaces = Namespaces.open(_read(sys.stdin.readline()))
    except UserError as error:
        print(error, flush=True)
        return
    print(flush=True)
    with contextlib.closing(namespaces):
        for line in sys.stdin:
            print(_done(namespaces, line.strip()), flush=True)


def _done(namespaces: Namespaces, line: str) -> str:
    try:
        (namespaces.attach if line[:1] == "+" else namespaces.detach)(line[1:])
    except Exception as error:  # the kernel's refusals are of many types, and the next command may well succeed
        return str(error) or type(error).__name__
    return ""


if __name__ == "__main__":
    main()
