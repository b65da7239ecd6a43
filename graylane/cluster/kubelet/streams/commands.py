"""exec and attach: what becomes of a process and its client when either goes.

Shell. In: a client, a container's console. Out: a conversation, then a `v1.Status` with how it ended. A command run by
exec ends with its client; the process that attach listens to goes on.
"""

from __future__ import annotations

import asyncio
import signal

from graylane.cluster.kubelet.console import Console, NotRunning, not_executed
from graylane.cluster.kubelet.streams.channels import exited, refused, succeeded
from graylane.cluster.kubelet.streams.conversation import Client, Conversation
from graylane.cluster.processes.child import Child

_GRACE_SECONDS = 2.0


async def execute(client: Client, console: Console) -> None:
    """Run the command to its end, or until the client leaves. Output that the client does not read makes it wait."""
    options = client.options
    talk = Conversation(client, lambda on: child.outlet.hold(on))
    try:
        child = console.execute(options.command, talk.output, stdin=options.stdin, terminal=options.terminal)
    except NotRunning:
        await talk.conclude(refused(f"{client.place} is not running"))
        return
    except OSError as error:
        why = not_executed(options.command, error)
        await talk.conclude(refused(f"error executing command in container: {why}"))
        return
    try:
        if await talk.carry(child.inlet, child.inlet.end, child.gone):
            await talk.conclude(exited((await child.exited).code))
    finally:
        await _hang_up(child, signal.SIGHUP if options.terminal else signal.SIGTERM)


async def attach(client: Client, console: Console) -> None:
    """Listen to the container's process from now on, and feed it if it takes input, until either ends."""
    behind: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    talk = Conversation(client, lambda _: None if behind.done() else behind.set_result(None))
    try:
        occupant = console.occupant
    except NotRunning:
        await talk.conclude(refused(f"{client.place} is not running"))
        return
    if client.options.stdin and not occupant.launch.stdin:
        why = "it was not started with `stdin: true`, so nothing can be typed to it; attach without -i"
        await talk.conclude(refused(f"{client.place} takes no input: {why}"))
        return
    process = occupant.process
    with console.listening(talk.output):
        end = process.inlet.end if occupant.once else _ignore
        stayed = await talk.carry(process.inlet, end, process.gone, behind)
    if stayed:
        # Others read this output too: whoever cannot keep up is let go, rather than the process made to wait.
        slow = refused(f"{client.place} writes faster than this connection takes it; use kubectl logs -f")
        await talk.conclude(slow if behind.done() else succeeded())


async def _hang_up(child: Child, first: signal.Signals) -> None:
    if child.gone.done():
        return
    try:
        await child.stop(_GRACE_SECONDS, first)
    finally:
        child.kill()


async def _ignore() -> None:
    """The end of one visitor's input is not the end of the container's."""
