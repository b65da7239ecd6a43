"""Whatever part of our writes lands, in whatever order things happen: routes never lead nowhere and nothing is left."""

from __future__ import annotations

import asyncio
import copy
import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graylane.errors import ApiError, Conflict
from graylane.kit.effects import Effect, Patch
from graylane.model.kinds import DESTINATION_RULE, TRAFFIC_ROUTING, VIRTUAL_SERVICE, Kind
from graylane.model.meta import Key, Obj, annotations_of, generation_of
from graylane.model.patches import json_patch, merge_patch
from graylane.model.trafficrouting import ADDED, ORIGINAL, PROGRESSING_FINALIZER, Phase
from graylane.testing.inline import INLINE, run_at_once
from graylane.testing.world import Crash
from graylane.trafficrouting.compose import fold
from graylane.trafficrouting.confirm import tells
from graylane.trafficrouting.keeping import keep
from graylane.trafficrouting.lane import LIFECYCLE, Facts, decide
from graylane.trafficrouting.lua.sandbox import Sandbox
from graylane.trafficrouting.merge import difference, unapply
from graylane.trafficrouting.providers.custom import Contribution, script_input
from graylane.trafficrouting.routes import change, original_of, recall
from graylane.trafficrouting.scripts import shipped
from tests.stories.trafficrouting.stage import LANE, NS, Stage, destination_rule, traffic_routing, virtual_service

# -- the tables


ALL_FACTS = [Facts(*values) for values in itertools.product([False, True], repeat=4)]


def test_every_phase_comes_to_rest_and_rest_means_what_it_says() -> None:
    for phase, facts in itertools.product([None, *Phase], ALL_FACTS):
        decision = decide(phase, facts)
        assert decide(decision.phase, facts).phase == decision.phase
        assert decision.world.routes == (facts.wanted if phase is not Phase.TERMINATING else False)
        if decision.phase in (Phase.INITIAL, Phase.HEALTHY):
            assert not facts.routed
        if not decision.world.protected:
            assert not facts.routed


def test_every_row_is_reached() -> None:
    fired = {decide(phase, facts).because for phase, facts in itertools.product([None, *Phase], ALL_FACTS)}
    rows = {row.because for row in LIFECYCLE}
    first = {
        row.because
        for phase, facts in itertools.product(Phase, ALL_FACTS)
        for row in [next((row for row in LIFECYCLE if phase in row.phases and row.when(facts)), None)]
        if row
    }
    assert rows == first
    assert fired <= rows | {""}


# -- merging


_leaf = st.integers(0, 3) | st.sampled_from(["a", "b"])
_item = st.fixed_dictionaries(
    {"route": st.lists(st.fixed_dictionaries({"destination": st.fixed_dictionaries({"host": _leaf})}), max_size=2)},
    optional={"match": st.lists(_leaf, max_size=1), "timeout": _leaf, "name": st.sampled_from(["r1", "r2", "r3"])},
)
_spec = st.fixed_dictionaries({"http": st.lists(_item, max_size=3)}, optional={"hosts": st.lists(_leaf, max_size=2)})


@settings(max_examples=300, deadline=None)
@given(_spec, _spec)
def test_a_difference_applied_makes_the_other_value(old: Any, new: Any) -> None:
    assert json_patch(old, difference(old, new)) == new


@settings(max_examples=300, deadline=None)
@given(_spec, _spec)
def test_without_an_edit_the_original_comes_back_and_the_original_applied_again_stays_it(old: Any, new: Any) -> None:
    assert unapply(old, new, new) == old
    assert unapply(old, old, new) == new


LANE_RULE = {"match": [{"lane": 1}], "route": [{"destination": {"host": "mocka", "subset": "canary"}}]}


@settings(max_examples=300, deadline=None)
@given(_spec, _spec, st.integers(0, 3))
def test_an_added_rule_goes_and_every_edit_stays(original: Any, edit: Any, place: int) -> None:
    """`edit` replaces the whole of the user's part; wherever our rule stands then, only it is taken out."""
    written = {**original, "http": [LANE_RULE, *original["http"]]}
    live = copy.deepcopy(edit)
    live["http"].insert(min(place, len(live["http"])), LANE_RULE)
    assert unapply(original, written, live) == edit


_rule = st.fixed_dictionaries(
    {
        "route": st.lists(
            st.fixed_dictionaries(
                {
                    "destination": st.fixed_dictionaries(
                        {"host": st.sampled_from(["mocka", "other"]), "subset": st.sampled_from(["base", "old"])}
                    )
                }
            ),
            min_size=1,
            max_size=2,
        )
    },
    optional={
        "match": st.lists(st.builds(lambda path: {"uri": {"prefix": path}}, st.sampled_from(["/a", "/b"])), max_size=2),
        "timeout": st.sampled_from(["1s", "2s"]),
        "name": st.sampled_from(["r1", "r2"]),
    },
)
_manifest = st.fixed_dictionaries({"http": st.lists(_rule, min_size=1, max_size=3)}).filter(
    lambda spec: any(route["destination"]["host"] == "mocka" for rule in spec["http"] for route in rule["route"])
)
_notes = st.dictionaries(st.sampled_from(["team", ORIGINAL, ADDED]), st.sampled_from(["x", "{}"]), max_size=2)


@settings(max_examples=300, deadline=None)
@given(_manifest, _manifest, _notes, st.sampled_from([LANE, {"weight": 30}]))
def test_whatever_is_written_at_admission_nothing_is_left_to_write_and_it_alone_is_left_in_the_end(
    before: Any, written: Any, notes: dict[str, str], strategy: Obj
) -> None:
    wishes = {"lane/mocka": Contribution("mocka", NS, strategy)}
    plain = virtual_service() | {
        "apiVersion": VIRTUAL_SERVICE.api_version,
        "kind": VIRTUAL_SERVICE.kind,
        "spec": before,
    }
    held = merge_patch(plain, composed(plain, wishes))
    sent = plain | {"metadata": plain["metadata"] | {"annotations": notes}, "spec": written}
    stored = run_at_once(keep(INLINE, held, sent, Stage().world.view()))[0] or sent
    assert composed(stored, wishes) == {}
    assert run_at_once(keep(INLINE, stored, sent, Stage().world.view()))[0] == stored
    left = merge_patch(stored, composed(stored, {}))
    assert left["spec"] == written
    assert annotations_of(left) == {name: text for name, text in notes.items() if name == "team"}


def composed(obj: Obj, wishes: dict[str, Contribution]) -> Obj:
    """What the controller would write for these wishes; {} for nothing."""
    memory = recall(obj)
    original = original_of(obj, memory)
    script = shipped("VirtualService", "networking.istio.io")
    desired = run_at_once(fold(INLINE, script, original, wishes, "it"))
    return change(obj, memory, original, wishes, desired) or {}


# -- weights


_routes = st.lists(
    st.tuples(st.sampled_from(["mocka", "mocka.default.svc.cluster.local", "other"]), st.integers(1, 200)),
    min_size=1,
    max_size=5,
).filter(lambda routes: any(host.startswith("mocka") for host, _ in routes))


@settings(max_examples=200, deadline=None)
@given(_routes, st.integers(0, 100), st.sampled_from(["http", "tcp", "tls"]))
def test_weights_sum_to_a_hundred_and_other_hosts_keep_their_share(
    routes: list[tuple[str, int]], weight: int, protocol: str
) -> None:
    before = [{"destination": {"host": host}, "weight": share} for host, share in routes]
    after = _run({"spec": {protocol: [{"route": before}]}}, {"weight": weight})["spec"][protocol][0]["route"]
    assert sum(route["weight"] for route in after) == 100
    total = sum(share for _, share in routes)
    for old, new in zip(before, after, strict=False):
        if old["destination"]["host"] == "other":
            assert abs(new["weight"] - old["weight"] * 100 / total) < 1
    ours = sum(share for host, share in routes if host != "other") * 100 / total
    assert abs(after[-1]["weight"] - ours * weight / 100) < 1


@settings(max_examples=100, deadline=None)
@given(_routes, st.booleans())
def test_a_generated_rule_never_leads_to_the_stable_version(routes: list[tuple[str, int]], weighted: bool) -> None:
    many = [{"destination": {"host": host}, "weight": share} for host, share in routes]
    rule = {"timeout": "3s", "route": many if weighted else [{"destination": {"host": "mocka"}}]}
    lane, base = _run({"spec": {"http": [rule]}}, LANE)["spec"]["http"]
    assert base == rule
    assert lane["timeout"] == "3s"
    assert not [
        route
        for route in lane["route"]
        if route["destination"]["host"].startswith("mocka") and route["destination"].get("subset") != "canary"
    ]
    if len(lane["route"]) > 1:
        assert sum(route["weight"] for route in lane["route"]) == 100


def _run(data: Obj, strategy: Obj) -> Any:
    script = shipped("VirtualService", "networking.istio.io")
    assert script is not None
    return Sandbox(lambda line: None).run(script.source, script_input(data, Contribution("mocka", NS, strategy)))


# -- a world that loses writes


class Chaos:
    """Random users and Rollouts, random failures of our writes; knows what is the user's in the end."""

    def __init__(self, seed: int, *, admission: bool = False) -> None:
        self.random = random.Random(seed)
        self.admission = admission
        self.stage = Stage()
        self.vs, self.dr = virtual_service()["spec"], destination_rule()["spec"]
        self.stage.put(VIRTUAL_SERVICE, virtual_service())
        self.stage.put(DESTINATION_RULE, destination_rule())
        for name in ("tr-a", "tr-b"):
            self.stage.put(TRAFFIC_ROUTING, traffic_routing(name))
        self.stage.world.before_write = self._fail
        self.stage.world.after_write = self._look
        self.calm = False

    def act(self) -> None:
        self.random.choice([self.hold, self.release, self.edit, self.apply_again, self.change_strategy, self.wait])()

    def hold(self) -> None:
        name = self.random.choice("ab")
        if f"{PROGRESSING_FINALIZER}r{name}" not in self._finalizers(name):
            self.stage.hold(f"r{name}", f"tr-{name}")

    def release(self) -> None:
        name = self.random.choice("ab")
        self.stage.release(f"r{name}", f"tr-{name}")

    def edit(self) -> None:
        """With our additions in place: a new timeout on whatever rule of the user's leads to the base subset."""
        timeout = f"{self.random.randint(1, 9)}s"
        live = copy.deepcopy(self.stage.spec(VIRTUAL_SERVICE, "vs-mocka"))
        for rule in live["http"]:
            if rule["route"][0]["destination"]["subset"] == "version-base":
                rule["timeout"] = timeout
        self.vs["http"][0]["timeout"] = timeout
        self.write(live)

    def apply_again(self) -> None:
        """The manifest, edited or not, over whatever is there."""
        if self.random.random() < 0.5:
            self.vs["hosts"] = ["mocka", self.random.choice("xyz")]
        self.write(copy.deepcopy(self.vs))

    def write(self, spec: Any) -> None:
        """Past our webhook, or through it: then whose routes were in it are so still, and no others."""
        old = self.stage.get(VIRTUAL_SERVICE, "vs-mocka")
        new = old | {"spec": spec}
        if self.admission:
            new = run_at_once(keep(INLINE, old, new, self.stage.world.view()))[0] or new
            assert wishes_in(new) == wishes_in(old)
            assert ("canary" in str(new["spec"])) is bool(wishes_in(old))
        self.stage.put(VIRTUAL_SERVICE, new)

    def change_strategy(self) -> None:
        strategy = self.random.choice(
            [LANE | {"weight": None}, {"matches": None, "weight": self.random.randint(0, 100)}]
        )
        self.stage.edit(TRAFFIC_ROUTING, f"tr-{self.random.choice('ab')}", {"strategy": strategy})

    def wait(self) -> None:
        self.stage.world.clock.advance(self.random.choice([0.5, 5]))

    async def reconcile_a_little(self) -> None:
        """Some reconcilers look at some objects; a failure ends the pass, as a crash or an API error does."""
        for _ in range(self.random.randint(1, 4)):
            controller = self.random.choice(self.stage.controllers)
            for obj in self.stage.world.list(controller.primary):
                key = Key(NS, obj["metadata"]["name"])
                answer = controller.reconcile(self.stage.world.view(), key, self.stage.world.now())
                outcome = await answer if asyncio.iscoroutine(answer) else answer
                try:
                    self.stage.world.apply(outcome)  # type: ignore[arg-type]
                except (Crash, ApiError):
                    continue

    async def end(self) -> None:
        self.calm = True
        for name in "ab":
            self.stage.release(f"r{name}", f"tr-{name}")
        await self.stage.settle(seconds=60)

    def _finalizers(self, name: str) -> list[str]:
        return list(self.stage.get(TRAFFIC_ROUTING, f"tr-{name}")["metadata"].get("finalizers", []))

    def _fail(self, effect: Effect) -> None:
        self._must_be_confirmed_before(effect)
        if not self.calm and self.random.random() < 0.3:
            raise self.random.choice([Crash(), Conflict("somebody was faster")])

    def _must_be_confirmed_before(self, effect: Effect) -> None:
        reason = getattr(effect, "reason", "")
        if isinstance(effect, Patch) and effect.kind == VIRTUAL_SERVICE and reason == "put the routes in":
            assert self._acked(DESTINATION_RULE, "dr-mocka")
        if isinstance(effect, Patch) and effect.kind == DESTINATION_RULE and "spec" in effect.patch:
            assert reason == "put the routes in" or self._acked(VIRTUAL_SERVICE, "vs-mocka")

    def _acked(self, kind: Kind, name: str) -> bool:
        obj = self.stage.get(kind, name)
        return not tells(obj) or obj["status"]["observedGeneration"] == generation_of(obj)

    def _look(self, effect: Effect) -> None:
        """After each write: a route to the canary only where the subset is, and never Healthy with routes in."""
        if self.stage.has_route():
            assert self.stage.has_subset(), effect
        for name in ("tr-a", "tr-b"):
            memory = annotations_of(self.stage.get(VIRTUAL_SERVICE, "vs-mocka")).get(ADDED, "")
            if f'"{name}/mocka"' in memory:
                assert self.stage.phase(name) not in ("Healthy", "Initial", "None"), effect


def wishes_in(obj: Obj) -> Any:
    memory = recall(obj)
    return dict(memory.wishes) if memory else {}


@pytest.mark.parametrize("admission", [False, True], ids=["unadmitted", "admitted"])
@pytest.mark.parametrize("seed", range(60))
async def test_after_any_mixture_of_edits_releases_and_lost_writes_only_the_users_part_is_left(
    seed: int, admission: bool
) -> None:
    chaos = Chaos(seed, admission=admission)
    for _ in range(12):
        chaos.act()
        await chaos.reconcile_a_little()
    await chaos.end()
    stage = chaos.stage
    assert [stage.phase("tr-a"), stage.phase("tr-b")] == ["Healthy", "Healthy"]
    assert stage.spec(VIRTUAL_SERVICE, "vs-mocka") == chaos.vs
    assert stage.spec(DESTINATION_RULE, "dr-mocka") == chaos.dr
    for kind, name in ((VIRTUAL_SERVICE, "vs-mocka"), (DESTINATION_RULE, "dr-mocka")):
        assert not {ORIGINAL, ADDED} & annotations_of(stage.get(kind, name)).keys()
    assert await stage.settles_without_writing()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_single_write_leads_to_the_same_end(after: bool) -> None:
    calm = await _flow(None, after)
    points = 0
    while True:
        crashed = await _flow(points, after)
        if crashed is None:
            break
        assert crashed == calm, points
        points += 1
    assert points >= 10


async def _flow(crash_at: int | None, after: bool) -> Any:
    """Hold, edit, release; the controller dies at its n-th write and starts again. None: it made fewer writes."""
    stage = await Stage().usual().settle()
    count, crashed = itertools.count(), []

    def die(effect: Effect) -> None:
        ours = getattr(effect, "kind", None) == TRAFFIC_ROUTING or getattr(effect, "subresource", "") == ""
        if ours and crash_at is not None and not crashed and next(count) == crash_at:
            crashed.append(effect)
            raise Crash

    async def settle() -> None:
        try:
            await stage.settle()
        except Crash:
            stage.restart()
            await stage.settle()

    setattr(stage.world, "after_write" if after else "before_write", die)
    stage.hold("r")
    await settle()
    edited = copy.deepcopy(stage.spec(VIRTUAL_SERVICE, "vs-mocka"))
    edited["http"][-1]["timeout"] = "7s"
    stage.edit(VIRTUAL_SERVICE, "vs-mocka", edited)
    await settle()
    assert (stage.has_route(), stage.active_for()) == (True, ["r"])
    stage.release("r")
    await settle()
    return stage.world.dump() if crash_at is None or crashed else None
