"""CPU time of a container never falls, and what its children used is counted once, whoever waited for them."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

import pytest

from graylane.cluster.processes import accounting
from graylane.cluster.processes.accounts import Account, Process


@dataclass
class Tree:
    """A container's processes as the system would show them; `used` is the truth, of which `lost` nobody tells."""

    chance: random.Random
    parents: dict[int, int] = field(default_factory=lambda: {1: 0})
    own: dict[int, int] = field(default_factory=lambda: {1: 0})
    reaped: dict[int, int] = field(default_factory=lambda: {1: 0})
    started: int = 1
    used: int = 0

    def step(self) -> None:
        pid = self.chance.choice(list(self.own))
        match self.chance.randrange(4):
            case 0:
                self.started += 1
                self.parents[self.started], self.own[self.started], self.reaped[self.started] = pid, 0, 0
            case 1 if pid != 1 and pid not in self.parents.values():
                self.end(pid)
            case _:
                ticks = self.chance.randrange(100)
                self.own[pid] += ticks
                self.used += ticks

    def end(self, pid: int) -> None:
        parent = self.parents.pop(pid)
        self.reaped[parent] += self.own.pop(pid) + self.reaped.pop(pid)

    def look(self) -> list[Process]:
        return [Process(pid, 1, pid, self.own[pid], self.reaped[pid], 1) for pid in self.own]


@pytest.mark.parametrize("seed", range(20))
def test_children_that_come_and_go_between_looks_are_counted_exactly(seed: int) -> None:
    tree, account = Tree(random.Random(seed)), Account()
    for _ in range(100):
        for _ in range(tree.chance.randrange(20)):
            tree.step()
        account = account.advanced(tree.look())
        assert account.ticks == tree.used
    assert account.resident_bytes == len(tree.own)


def test_what_a_child_used_that_nobody_waited_for_stays_counted() -> None:
    leader, child = Process(1, 1, 1, 5, 0, 0), Process(2, 1, 2, 70, 0, 0)
    account = Account().advanced([leader, child])
    assert account.advanced([leader]).ticks == account.ticks == 75


def test_a_container_that_runs_again_goes_on_counting() -> None:
    first = Account().advanced([Process(1, 1, 1, 50, 9, 0)])
    between = first.advanced([])
    again = between.advanced([Process(7, 7, 900, 3, 0, 0)])
    assert [first.ticks, between.ticks, again.ticks] == [59, 59, 62]


def test_a_pid_that_the_system_gave_to_somebody_else_is_another_process() -> None:
    account = Account().advanced([Process(4, 4, 1, 50, 0, 0)]).advanced([Process(4, 4, 2, 1, 0, 0)])
    assert account.ticks == 51


def test_the_system_tells_of_this_very_process() -> None:
    session = os.getsid(0)
    (mine,) = (each for each in accounting.of_sessions({session})[session] if each.pid == os.getpid())
    times = os.times()
    # The system rounds user and system time each by itself, and time goes on between the two questions.
    assert abs(mine.own - (times.user + times.system) * accounting.TICKS_PER_SECOND) < 50
    assert mine.resident_bytes > 1_000_000
    machine = accounting.of_machine()
    assert machine is not None
    assert machine.ticks >= mine.own
    assert machine.memory_bytes > mine.resident_bytes
    assert accounting.of_sessions(set()) == {}
