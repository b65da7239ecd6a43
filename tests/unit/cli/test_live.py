"""`graylane status -w` on a real terminal: keys, and the terminal as it was at every end."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest

from cli.conftest import Server
from cli.test_verbs import applied, pause_release, rollout
from graylane.cli.exits import Exit
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import annotations_of, dig
from graylane.testing.terminal import Terminal
from graylane.testing.waiting import eventually

KEYS = "a approve   x abort   d diff   t trace   p pods   ? explain   q quit"


@pytest.fixture
async def live(server: Server) -> AsyncIterator[Terminal]:
    """Of two releases, `rollouts-a` waits for approval."""
    await applied(server)
    await pause_release(server, "rollouts-a")
    terminal = Terminal("status", "-w", "--kubeconfig", str(server.kubeconfig))
    try:
        await terminal.shows(KEYS)
        yield terminal
    finally:
        terminal.close()


async def state(server: Server, name: str) -> str:
    return str(dig(await rollout(server, name), "status", "canaryStatus", "currentStepState", default=""))


async def test_q_ends_it_and_the_last_look_stays(live: Terminal) -> None:
    assert live.settings() != live.before
    live.press("q")
    assert await live.ends() == 0
    assert "release rollouts-a" in live.left
    assert KEYS not in live.left


async def test_ctrl_c_gives_the_terminal_back(live: Terminal) -> None:
    live.press("\x03")
    assert await live.ends() == Exit.INTERRUPTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_who_is_killed_gives_the_terminal_back_first(live: Terminal, number: signal.Signals) -> None:
    live.send(number)
    assert await live.ends() == -number


async def test_ctrl_z_gives_it_back_until_it_goes_on(live: Terminal) -> None:
    live.press("\x1a")
    await eventually(lambda: live.settings() == live.before, 30, "the terminal's own settings")
    _, status = os.waitpid(live.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    live.send(signal.SIGCONT)
    await eventually(lambda: live.settings() != live.before, 30, "the live view's settings")
    await live.shows(KEYS)
    live.press("q")
    assert await live.ends() == 0


async def test_it_follows_the_size_of_the_terminal(live: Terminal) -> None:
    assert "base pods" not in live.screen
    live.resize(140, 40)
    await live.shows("base pods")
    live.resize(80, 12)
    await live.shows("lines more")
    assert len(live.screen.splitlines()) <= 12


async def test_a_approves_the_one_that_waits(live: Terminal, server: Server) -> None:
    live.press("a")
    await live.shows("rollouts-a approved")
    assert (await state(server, "rollouts-a"), await state(server, "rollouts-b")) == ("StepReady", "")


async def test_a_asks_which_where_several_wait(live: Terminal, server: Server) -> None:
    await pause_release(server, "rollouts-b")
    await live.shows("approve rollouts-a rollouts-b")
    live.press("a")
    await live.shows("approve which (rollouts-a rollouts-b)?")
    live.press("rollouts-x\r")
    await live.shows("'rollouts-x' is none of rollouts-a, rollouts-b; nothing was approved")
    live.press("a")
    await live.shows("approve which")
    live.press("\r")
    await live.shows("rollouts-a approved; rollouts-b approved")
    assert (await state(server, "rollouts-a"), await state(server, "rollouts-b")) == ("StepReady", "StepReady")


async def test_x_aborts_only_a_release_whose_name_is_typed(live: Terminal, server: Server) -> None:
    live.press("x")
    await live.shows("type the name of the release to abort (rollouts-a)")
    live.press("rollouts-b\x7fa\x7fz\r")
    await live.shows("'rollouts-z' is none of rollouts-a; nothing was aborted")
    live.press("x")
    await live.shows("type the name")
    live.press("rollouts-a\x1b")
    await live.shows("nothing was aborted")
    assert "graylane.dev/abort" not in annotations_of(await rollout(server, "rollouts-a"))
    live.press("x")
    await live.shows("type the name")
    live.press("rollouts-a\r")
    await live.shows("rollouts-a abort requested")
    assert annotations_of(await rollout(server, "rollouts-a"))["graylane.dev/abort"] == "r2"


async def test_question_mark_explains_and_any_key_leads_back(live: Terminal) -> None:
    live.press("?")
    await live.shows("fallback: there is no canary here")
    assert "rollouts-a: approval: Rollout is in step(1/1)" in live.screen
    live.press(" ")
    await live.shows(KEYS)


async def test_d_says_so_where_nothing_differs_and_t_why_nothing_can_be_traced(live: Terminal) -> None:
    live.press("d")
    await live.shows("nothing differs")
    live.press(" ")
    await live.shows(KEYS)
    live.press("t")
    await live.shows("nothing listens at the gateway")


async def test_an_end_that_was_waited_for_is_told_by_the_code(live: Terminal, server: Server) -> None:
    terminal = Terminal("status", "rollouts-a", "--until", "done", "--kubeconfig", str(server.kubeconfig))
    try:
        await terminal.shows("release rollouts-a")
        failed = {"type": "Succeeded", "status": "False", "reason": "RolledBack", "message": "set back"}
        over = {"status": {"phase": "Healthy", "conditions": [failed]}}
        await server.client.patch(ROLLOUT, "rollouts-a", "default", over, subresource="status")
        assert await terminal.ends() == Exit.RELEASE_ROLLED_BACK
        assert "rollout rollouts-a: last release did not succeed: set back" in terminal.left
    finally:
        terminal.close()
    await live.shows("set back")
    live.press("q")
    assert await live.ends() == Exit.RELEASE_ROLLED_BACK
