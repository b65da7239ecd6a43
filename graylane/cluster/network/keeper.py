"""The process that makes pods' networks and removes them, all of them when we stop.

Shell. In, on stdin: the network as a line of JSON, then for each command a line `+ADDRESS`, `-ADDRESS`, `=ADDRESSES`
(no others stay) or `.` (none does). Out, on stdout: for each line one with why it failed, empty when it did not. When
we are killed, what there is stays, for pods go on; whoever ends them then runs `sweeping`.

A process of its own, because whoever makes a namespace forks or changes its own, and neither agrees with the threads
that gRPC has in ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Iterable
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
    async def start(cls, network: PodNetwork, *, going_on: bool = False) -> Keeper:
        """Returns when the bridge is there. `going_on`: pods of an earlier run are in what there is, and keep it.

        Raises `UserError` where namespaces cannot be made.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us
        )
        self = cls(network, process)
        if failure := await self._ask(_written(network, going_on)):
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

    async def retain(self, addresses: Iterable[str]) -> None:
        """Remove the networks of all other pods."""
        await self._ask(f"={','.join(addresses)}")

    async def stop(self) -> None:
        """Returns when everything is removed."""
        await self._ask(".")
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


def sweeping(network: PodNetwork) -> tuple[str, ...]:
    """The command that removes all of a network, of which no keeper runs any more."""
    return (sys.executable, "-m", __name__, _written(network, going_on=False))


def _written(network: PodNetwork, going_on: bool) -> str:
    return json.dumps([network.tag, str(network.pods), str(network.services), going_on])


def _read(line: str) -> tuple[PodNetwork, bool]:
    tag, pods, services, going_on = json.loads(line)
    return PodNetwork(tag, IPv4Network(pods), IPv4Network(services)), going_on


def main(*swept: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for line in swept:
        Namespaces(_read(line)[0]).close()
        return
    network, going_on = _read(sys.stdin.readline())
    try:
        namespaces = Namespaces.open(network, going_on=going_on)
    except UserError as error:
        print(error, flush=True)
        return
    print(flush=True)
    for line in sys.stdin:
        print(_done(namespaces, line.strip()), flush=True)


def _done(namespaces: Namespaces, line: str) -> str:
    try:
        match line[:1]:
            case "+":
                namespaces.attach(line[1:])
            case "-":
                namespaces.detach(line[1:])
            case "=":
                namespaces.retain(set(filter(None, line[1:].split(","))))
            case _:
                namespaces.close()
    except Exception as error:  # the kernel's refusals are of many types, and the next command may well succeed
        return str(error) or type(error).__name__
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
