"""Who is left out when Envoy crashes with what it had accepted: stories of ends, in virtual time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from graylane.mesh import read
from graylane.mesh.crashes import CrashGuard
from graylane.mesh.ends import End, Ends, end_of
from graylane.mesh.inputs import Config, EnvoyFilter, Inputs, Source, VirtualService
from graylane.model.meta import Key

SEGFAULT, ABORT, EXIT, KILL, TERM = 139, 134, 3, 137, 143


def an_envoy_filter(name: str, generation: int = 1) -> EnvoyFilter:
    metadata = {"name": name, "namespace": "d", "generation": generation}
    return read.envoy_filter({"metadata": metadata, "spec": {"configPatches": []}})


def a_route(name: str) -> VirtualService:
    metadata = {"name": name, "namespace": "d", "generation": 1}
    return read.virtual_service({"metadata": metadata, "spec": {"hosts": [name]}}, "cluster.local")


@dataclass
class Story:
    """An Envoy that is given what the guard admits, and ends with whatever of `bad` it then has."""

    bad: set[str] = field(default_factory=set)
    guard: CrashGuard = field(default_factory=CrashGuard)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    have: list[Config] = field(default_factory=list)
    ends: int = 0

    def add(self, *configs: Config, seconds: float = 120) -> None:
        """They come, and time goes by."""
        keys = {each.source.key for each in configs}
        self.have = [each for each in self.have if each.source.key not in keys] + list(configs)
        self.serve()
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.guard.calm(self.now):
            self.serve()

    def serve(self) -> None:
        self.guard.served(
            self.admitted, self.now, lambda source: int(source.name[-1]) if source.name[-1].isdigit() else 0
        )

    @property
    def admitted(self) -> Inputs:
        routes = tuple(each for each in self.have if isinstance(each, VirtualService))
        filters = tuple(each for each in self.have if isinstance(each, EnvoyFilter))
        return self.guard.admitted(Inputs(virtual_services=routes, envoy_filters=filters))

    @property
    def served(self) -> list[str]:
        return sorted(f"{each.source.name}{each.source.generation}" for each in self.admitted.configs)

    def end(self, code: int = SEGFAULT, *at_hand: Source, current: bool = True) -> None:
        self.ends += 1
        self.now += timedelta(seconds=1)
        self.guard.ended(End(str(self.ends), code), frozenset(at_hand), self.now, current=current)
        self.serve()

    def until_it_runs(self, most: int = 10) -> int:
        """How often it ends before it is given nothing bad any more."""
        for count in range(most):
            if not self.bad & set(self.served):
                return count
            self.end()
        raise AssertionError(f"it never ran: {self.served}")


def test_the_newest_filter_is_left_out_with_the_second_end_and_all_others_stay() -> None:
    story = Story({"new1"})
    story.add(an_envoy_filter("old"), a_route("a"))
    story.add(an_envoy_filter("new"), seconds=1)
    story.add(a_route("b"), seconds=1)
    assert story.until_it_runs() == 2
    assert story.served == ["a1", "b1", "old1"]
    (why,) = story.guard.out.values()
    assert why == (
        "Envoy ended 2 times, last with exit code 139 (SIGSEGV), probably because of this object: "
        "it was the newest EnvoyFilter"
    )


def test_what_is_edited_gets_another_chance_and_what_worked_before_goes_on_meanwhile() -> None:
    story = Story({"a2"})
    story.add(an_envoy_filter("a"))
    story.add(an_envoy_filter("a", 2), seconds=1)
    assert story.until_it_runs() == 2
    assert story.served == ["a1"]
    story.add(an_envoy_filter("a", 3))
    assert (story.served, story.guard.out) == (["a3"], {})


@pytest.mark.parametrize("code", [KILL, TERM, 0, 130])
def test_who_kills_it_from_outside_has_nobody_left_out(code: int) -> None:
    story = Story()
    story.add(an_envoy_filter("a"), seconds=1)
    for _ in range(10):
        story.end(code)
    assert (story.served, story.guard.out) == (["a1"], {})


def test_ends_that_are_far_apart_are_chance() -> None:
    story = Story()
    story.add(an_envoy_filter("a"))
    for _ in range(5):
        story.end(EXIT)
        story.wait(600)
    assert story.guard.out == {}


def test_the_filter_that_a_request_was_in_comes_before_the_newest_and_is_told_at_the_first_end() -> None:
    story = Story()
    lua = an_envoy_filter("lua")
    story.add(lua)
    story.add(an_envoy_filter("new"), seconds=1)
    story.end(ABORT, lua.source)
    assert "probably because of this object: the request at hand" in story.guard.doubted[lua.source]
    assert story.guard.out == {}
    story.wait(100)
    story.end(ABORT, lua.source)
    assert story.guard.out.keys() == {lua.source}
    assert story.guard.doubted == {}


def test_an_innocent_one_left_out_before_the_culprit_comes_back_when_envoy_runs() -> None:
    story = Story({"culprit1"})
    story.add(an_envoy_filter("old"))
    story.add(an_envoy_filter("culprit"), seconds=1)
    story.add(an_envoy_filter("innocent"), seconds=1)
    assert story.until_it_runs() == 3
    assert story.served == ["old1"]
    story.wait(61)
    assert story.served == ["innocent1", "old1"]
    assert [source.name for source in story.guard.out] == ["culprit"]


def test_one_that_ends_envoy_when_it_comes_back_stays_out() -> None:
    story = Story({"x1", "y1"})
    story.add(an_envoy_filter("x"), seconds=1)
    story.add(an_envoy_filter("y"), seconds=1)
    assert story.until_it_runs() == 3
    story.wait(61)
    assert story.until_it_runs() == 1
    for _ in range(5):
        story.wait(61)
    assert story.served == []


def test_no_filter_to_suspect_leaves_out_the_newest_object_and_never_an_old_one() -> None:
    story = Story({"new1"})
    story.add(a_route("old"))
    story.add(a_route("new"), seconds=1)
    assert story.until_it_runs() == 2
    assert story.served == ["old1"]
    for _ in range(5):
        story.end()
    assert story.served == ["old1"]


def test_at_our_own_start_the_one_written_last_is_the_newest() -> None:
    story = Story({"b91"})
    story.add(an_envoy_filter("a1"), an_envoy_filter("b9"), an_envoy_filter("c5"), seconds=1)
    assert story.until_it_runs() == 2
    assert story.served == ["a11", "c51"]


def test_an_envoy_that_was_given_something_older_tells_nothing() -> None:
    story = Story()
    story.add(an_envoy_filter("a"), an_envoy_filter("b"), seconds=1)
    story.end()
    story.end()
    for _ in range(5):
        story.end(current=False)
    assert len(story.guard.out) == 1


def test_what_was_left_out_when_we_were_last_here_is_so_from_the_start() -> None:
    story, bad = Story(), an_envoy_filter("bad")
    story.guard.restore(bad.source, "Envoy ended 2 times")
    story.add(bad, an_envoy_filter("good"))
    assert story.served == ["good1"]
    story.guard.forget("EnvoyFilter", Key("d", "bad"))
    assert story.served == ["bad1", "good1"]


def test_an_end_is_read_from_the_pod_that_stands_for_envoy() -> None:
    said = "Watchdog AbortAction terminating\nlocalAddress(): 127.20.0.1:8080"
    last = {"terminated": {"exitCode": 134, "containerID": "x/3", "message": said}}
    found = end_of({"status": {"containerStatuses": [{"lastState": last}]}})
    assert found is not None
    assert (found.instance, found.listener) == ("x/3", "127.20.0.1_8080")
    assert str(found) == "with exit code 134 (SIGABRT) after it had been stuck for 10 s"
    assert end_of({"status": {}}) is None


def mirror(restarts: int, code: int = SEGFAULT) -> dict[str, object]:
    last = {"terminated": {"exitCode": code, "containerID": f"x/{restarts}"}} if restarts else {}
    metadata = {"name": "gateway", "namespace": "istio-system", "annotations": {read.MIRROR: "envoy"}}
    return {"metadata": metadata, "status": {"containerStatuses": [{"lastState": last}]}}


def test_each_end_is_told_once_and_none_of_before_our_time() -> None:
    ends = Ends()
    told = [ends.told_by(mirror(number)) for number in (2, 2, 3, 3, 4)]
    assert [end.instance if end else "" for end in told] == ["", "", "x/3", "", "x/4"]
    assert ends.told_by({"metadata": {"name": "pod"}}) is None


def test_an_end_speaks_of_what_that_envoy_was_greeted_with() -> None:
    ends = Ends()
    assert not ends.current(0, 0), "it never connected"
    assert ends.current(1, 5)
    assert not ends.current(1, 5), "nobody connected since the last end"
    ends.speak_of(9)
    assert not ends.current(2, 8)
    assert ends.current(3, 9)
