"""One ADS conversation, with an Envoy of a few lines: what it takes, what it refuses, what it never misses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from graylane.mesh.inputs import Source
from graylane.mesh.memo import Table
from graylane.mesh.snapshot import Resource, Snapshot, Through, Type, of_bytes
from graylane.mesh.xds.messages import Accepted, Live, Refused, Request, Response
from graylane.mesh.xds.protocol import Session


def cluster(name: str, version: str = "1") -> Resource:
    return of_bytes(Type.CLUSTER, name, f"{name}{version}".encode())


def endpoints(name: str, version: str = "1") -> Resource:
    return of_bytes(Type.ENDPOINTS, name, f"{name}{version}".encode())


def behind(name: str, door: str, version: str = "1") -> Resource:
    """Endpoints that lead through a listener where Envoy has it."""

    def build(doors: Mapping[str, str]) -> Resource:
        return of_bytes(Type.ENDPOINTS, name, " ".join((f"{name}{version}", *doors)).encode())

    return replace(build({}), through=Through(frozenset((door,)), build))


def through(each: Resource) -> set[str]:
    return set(each.body.decode().split()[1:])


def listener(name: str, version: str = "1") -> Resource:
    return of_bytes(Type.LISTENER, name, f"{name}{version}".encode(), frozenset((Source("Gateway", "d", name, 1),)))


def routes(name: str, *clusters: str) -> Resource:
    """A table whose body is the clusters it routes to, for the fake Envoy to check."""
    return of_bytes(Type.ROUTES, name, " ".join(clusters).encode())


def snapshot(serial: int, *resources: Resource) -> Snapshot:
    return Snapshot(serial, {type: Table((r.name, r) for r in resources if r.type is type) for type in Type})


@dataclass
class FakeEnvoy:
    """Takes responses as Envoy does: applies what it accepts resource by resource, subscribes, acknowledges."""

    session: Session = field(default_factory=Session)
    has: dict[Type, dict[str, Resource]] = field(default_factory=lambda: {type: {} for type in Type})
    warm: set[str] = field(default_factory=set)
    refuses: Callable[[Resource], bool] = lambda _: False
    nonces: dict[Type, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    holes: list[str] = field(default_factory=list)
    checks: bool = True

    def connect(self) -> None:
        self.session.receive(Request(Type.CLUSTER))

    def run(self) -> None:
        """Answer until neither side has anything to say."""
        while responses := self.session.pump():
            for response in responses:
                self.take(response)

    def take(self, response: Response) -> None:
        type, before = response.type, self.has[response.type]
        bad = [each.name for each in response.resources if self.refuses(each)]
        good = {each.name: each for each in response.resources if each.name not in bad}
        self.log.append(f"{type.short} {' '.join(sorted(good))}".strip() + (f" !{' '.join(bad)}" if bad else ""))
        self.has[type] = {**before, **good}
        if type.whole:
            kept = {each.name for each in response.resources}
            self.has[type] = {name: each for name, each in self.has[type].items() if name in kept}
        if type is Type.CLUSTER:
            self.warm &= self.has[type].keys()  # one that changes keeps serving as it was until it is warm
        if type is Type.ENDPOINTS:
            self.warm |= good.keys()
        for name in self.has[Type.ROUTES].keys() - self.has[Type.LISTENER].keys():
            del self.has[Type.ROUTES][name]
        self.look_for_holes()
        self.nonces[type] = response.nonce
        reason = "; ".join(f"{name}: no" for name in bad) if bad else None
        self.subscribe(type)
        self.session.receive(Request(type, self.names(type), response.nonce, reason))

    def subscribe(self, type: Type) -> None:
        """New clusters and listeners make Envoy ask for their endpoints and tables."""
        follows = {Type.CLUSTER: Type.ENDPOINTS, Type.LISTENER: Type.ROUTES}.get(type)
        if follows is not None:
            self.session.receive(Request(follows, self.names(follows), self.nonces.get(follows, "")))
        if type is Type.CLUSTER and Type.LISTENER not in self.nonces:
            self.session.receive(Request(Type.LISTENER))

    def names(self, type: Type) -> frozenset[str]:
        source = {Type.ENDPOINTS: Type.CLUSTER, Type.ROUTES: Type.LISTENER}.get(type)
        return frozenset(self.has[source]) if source else frozenset()

    def look_for_holes(self) -> None:
        for table in self.has[Type.ROUTES].values():
            for name in table.body.decode().split() if self.checks else ():
                if name not in self.has[Type.CLUSTER] or name not in self.warm:
                    self.holes.append(f"{table.name} -> {name}")
        for each in self.has[Type.ENDPOINTS].values() if Type.LISTENER in self.nonces else ():
            self.holes += [f"{each.name} -> {door}" for door in through(each) - self.has[Type.LISTENER].keys()]


def envoy(*resources: Resource) -> FakeEnvoy:
    found = FakeEnvoy()
    found.session.publish(snapshot(1, *resources))
    found.connect()
    found.run()
    assert Live(1) in found.session.reports()
    found.log.clear()
    return found


BASE = (cluster("a"), endpoints("a"), listener("l"), routes("l", "a"))


def test_everything_arrives_in_the_order_that_leaves_no_hole() -> None:
    found = FakeEnvoy()
    found.session.publish(snapshot(1, *BASE))
    found.connect()
    found.run()
    assert found.log == ["CDS a", "EDS a", "LDS l", "RDS l"]
    assert found.session.reports() == [Live(1)]
    assert not found.holes


def test_a_new_route_waits_for_its_cluster_and_the_old_cluster_for_the_new_route() -> None:
    found = envoy(*BASE)
    found.session.publish(snapshot(2, cluster("b"), endpoints("b"), listener("l"), routes("l", "b")))
    found.run()
    assert found.log == ["CDS a b", "EDS b", "RDS l", "CDS b"]
    assert found.session.reports() == [Live(2)]
    assert not found.holes


def test_only_what_changed_is_sent() -> None:
    found = envoy(*BASE, listener("m"), routes("m", "a"))
    found.session.publish(snapshot(2, *BASE, listener("m"), routes("m", "a", "a")))
    found.run()
    assert found.log == ["RDS m"]


def test_an_equal_snapshot_is_live_at_once() -> None:
    found = envoy(*BASE)
    found.session.publish(snapshot(2, *BASE))
    found.run()
    assert (found.log, found.session.reports()) == ([], [Live(2)])


def test_a_changed_cluster_is_given_its_endpoints_again() -> None:
    found = envoy(*BASE)
    found.session.publish(snapshot(2, cluster("a", "2"), *BASE[1:]))
    found.run()
    assert found.log == ["CDS a", "EDS a"]
    assert found.session.reports() == [Live(2)]


def test_endpoints_do_not_queue_behind_listeners() -> None:
    found = envoy(*BASE)
    found.session.publish(snapshot(2, cluster("a"), endpoints("a"), listener("l", "2"), routes("l", "a")))
    (held_back,) = found.session.pump()
    found.session.publish(snapshot(3, cluster("a"), endpoints("a", "3"), listener("l", "2"), routes("l", "a")))
    (at_once,) = found.session.pump()
    assert (held_back.type.short, at_once.type.short) == ("LDS", "EDS")


def test_a_refused_listener_is_reported_and_the_rest_goes_on() -> None:
    found = envoy(*BASE)
    found.refuses = lambda each: each.name == "bad"
    found.session.publish(snapshot(2, *BASE, listener("bad"), listener("m"), routes("m", "a")))
    found.run()
    (refused, live) = found.session.reports()
    assert isinstance(refused, Refused)
    assert (refused.resource.name, refused.instead, live) == ("bad", None, Live(2))
    assert "m" in found.has[Type.LISTENER]
    assert "m" in found.has[Type.ROUTES]


def test_a_refused_change_keeps_what_there_was() -> None:
    found = envoy(*BASE)
    found.refuses = lambda each: each.version == listener("l", "2").version
    found.session.publish(snapshot(2, *BASE[:2], listener("l", "2"), BASE[3]))
    found.run()
    (refused, _) = found.session.reports()
    assert isinstance(refused, Refused)
    assert refused.instead is not None
    assert found.has[Type.LISTENER]["l"].version == listener("l").version


def test_of_several_tables_the_culprit_is_found_by_trying_each() -> None:
    found = envoy(*BASE, listener("m"), routes("m", "a"))
    found.refuses = lambda each: each.type is Type.ROUTES and each.body == b"a a"
    found.session.publish(snapshot(2, *BASE[:3], routes("l", "a", "a"), listener("m"), routes("m")))
    found.run()
    refused = [report.resource.name for report in found.session.reports() if isinstance(report, Refused)]
    assert refused == ["l"]
    assert found.has[Type.ROUTES]["m"].body == b""
    assert found.has[Type.ROUTES]["l"].body == b"a"


def test_a_table_envoy_never_had_is_replaced_by_an_empty_one_so_that_its_listener_opens() -> None:
    found = envoy(*BASE)
    found.refuses = lambda each: each.type is Type.ROUTES and each.body == b"a a"
    found.checks = False  # the substitute is a real message, not a list of clusters
    found.session.publish(snapshot(2, *BASE, listener("m"), routes("m", "a", "a")))
    found.run()
    assert "m" in found.has[Type.ROUTES]
    assert Live(2) in found.session.reports()


def test_a_table_that_envoy_has_from_an_earlier_stream_is_not_replaced_by_an_empty_one() -> None:
    found = envoy(*BASE)
    found.session = Session()
    found.refuses = lambda each: each.type is Type.ROUTES and each.body == b"a a"
    for type in (Type.CLUSTER, Type.ENDPOINTS, Type.LISTENER, Type.ROUTES):
        found.session.receive(Request(type, found.names(type), version="1"))
    found.session.publish(snapshot(2, *BASE[:3], routes("l", "a", "a")))
    found.run()
    reports = found.session.reports()
    assert [each.resource.name for each in reports if isinstance(each, Refused)] == ["l"]
    assert Live(2) in reports
    assert found.has[Type.ROUTES]["l"].body == b"a"


def test_a_refused_listener_is_offered_again_and_said_to_be_taken_when_it_is() -> None:
    found = envoy(*BASE)
    found.refuses = lambda each: each.name == "busy"
    found.session.publish(snapshot(2, *BASE, listener("busy")))
    found.run()
    found.session.reports()
    found.session.retry()
    found.run()
    assert found.session.reports() == [Live(2)], "the same refusal is not told twice"
    found.refuses = lambda each: False
    found.session.retry()
    found.run()
    (accepted, _) = found.session.reports()
    assert isinstance(accepted, Accepted)
    assert "busy" in found.has[Type.LISTENER]


def test_a_refused_resource_that_changes_is_sent_again() -> None:
    found = envoy(*BASE)
    found.refuses = lambda each: each.version == listener("n", "1").version
    found.session.publish(snapshot(2, *BASE, listener("n", "1"), routes("n", "a")))
    found.run()
    found.session.publish(snapshot(3, *BASE, listener("n", "2"), routes("n", "a")))
    found.run()
    assert "n" in found.has[Type.LISTENER]


def test_a_cluster_refused_in_every_form_it_takes_is_offered_once_in_each() -> None:
    found = envoy(*BASE)
    told: list[str] = []

    def refuses(each: Resource) -> bool:
        told.extend([each.version] if each.name == "bad" else [])
        assert len(told) <= 8, "offered again and again"
        return each.name == "bad"

    found.refuses = refuses
    for number in range(8):
        found.session.publish(snapshot(2 + number, *BASE, cluster("bad", str(number))))
        found.run()
    assert told == [cluster("bad", str(number)).version for number in range(8)]
    assert found.session.reports()[-1] == Live(9)


def test_what_was_refused_and_comes_back_is_refused_again() -> None:
    """So it is found when of several suspects one after the other is let in."""
    found = envoy(*BASE)
    found.refuses = lambda each: each.version == listener("l", "2").version
    for serial, version in ((2, "2"), (3, "1"), (4, "2")):
        found.session.publish(snapshot(serial, *BASE[:2], listener("l", version), BASE[3]))
        found.run()
    refused = [each.resource.version for each in found.session.reports() if isinstance(each, Refused)]
    assert refused == [listener("l", "2").version] * 2


def test_of_a_copy_of_a_cluster_that_filters_change_the_filters_are_blamed() -> None:
    everybodys, copy = "outbound|80||a.d.svc.cluster.local", "outbound|80||a.d.svc.cluster.local~+1"
    rule, patch = Source("DestinationRule", "d", "a", 1), Source("EnvoyFilter", "d", "f", 1)
    old = replace(cluster(everybodys), sources=frozenset((rule,)))
    found = envoy(*BASE, old, endpoints(everybodys))
    found.refuses = lambda each: each.name == copy
    new = replace(cluster(copy), sources=frozenset((rule, patch)))
    found.session.publish(snapshot(2, *BASE, old, endpoints(everybodys), new, endpoints(copy)))
    found.run()
    (refused,) = [each for each in found.session.reports() if isinstance(each, Refused)]
    assert refused.instead is not None
    assert refused.resource.sources - refused.instead.sources == {patch}


def test_silence_about_clusters_ends_with_the_last_good_ones_and_the_culprit_named() -> None:
    found = envoy(*BASE)
    found.session.publish(snapshot(2, cluster("a", "2"), *BASE[1:], cluster("b"), endpoints("b")))
    (clusters, *_) = found.session.pump()
    assert (clusters.type.short, len(clusters.resources)) == ("CDS", 2)
    found.session.give_up_clusters()
    (again, *_) = found.session.pump()
    assert [each.version for each in again.resources] == [cluster("a").version]
    found.session.receive(Request(Type.CLUSTER, frozenset(), again.nonce, "Error adding cluster(s) b: will not do"))
    (refused,) = found.session.reports()
    assert isinstance(refused, Refused)
    assert refused.resource.name == "b"


def test_answers_to_older_responses_and_new_subscriptions_settle_nothing() -> None:
    found = envoy(*BASE)
    found.session.publish(snapshot(2, *BASE[:3], routes("l", "a", "a")))
    (response,) = found.session.pump()
    found.session.receive(Request(Type.ROUTES, frozenset("l"), "older"))
    assert (found.session.pump(), found.session.reports()) == ([], [])
    found.session.receive(Request(Type.ROUTES, frozenset("l"), response.nonce))
    found.session.pump()
    assert found.session.reports() == [Live(2)]


def test_endpoints_lead_through_a_listener_from_when_envoy_has_it_until_it_goes() -> None:
    direct = (cluster("a"), endpoints("a"), listener("l"), routes("l", "a"))
    found = envoy(*direct)
    found.session.publish(snapshot(2, cluster("a"), behind("a", "x"), *direct[2:], listener("x")))
    found.run()
    assert found.log[:2] == ["LDS l x", "EDS a"]
    assert through(found.has[Type.ENDPOINTS]["a"]) == {"x"}
    found.log.clear()
    found.session.publish(snapshot(3, *direct))
    found.run()
    assert found.log[:2] == ["EDS a", "LDS l"]
    assert not through(found.has[Type.ENDPOINTS]["a"])


def test_endpoints_stay_direct_when_the_listener_before_them_is_refused() -> None:
    found = envoy(*BASE)
    found.refuses = lambda each: each.name == "x"
    found.session.publish(snapshot(2, cluster("a"), behind("a", "x"), *BASE[2:], listener("x")))
    found.run()
    assert not through(found.has[Type.ENDPOINTS]["a"])
    assert [type(each) for each in found.session.reports()] == [Refused, Live]


@st.composite
def worlds(draw: st.DrawFn) -> list[Resource]:
    names = draw(st.sets(st.sampled_from("abcd"), min_size=1))
    found = [cluster(name, draw(st.sampled_from("12"))) for name in names]
    found += [endpoints(name, draw(st.sampled_from("12"))) for name in names]
    doors = draw(st.sets(st.sampled_from("xy")))
    found += [behind("e", "x"), behind("f", "y"), cluster("e"), cluster("f")]
    found += [listener(name, draw(st.sampled_from("12"))) for name in doors]
    for name in draw(st.sets(st.sampled_from("lm"))):
        found += [
            listener(name, draw(st.sampled_from("12"))),
            routes(name, *draw(st.sets(st.sampled_from(sorted(names))))),
        ]
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(worlds(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_whatever_changes_and_however_slow_envoy_is_no_route_ever_misses_its_cluster(
    steps: list[list[Resource]], dice: object
) -> None:
    """Snapshots arrive at any moment of the conversation; in the end Envoy has the last one and never had a hole: no
    route to a cluster it lacks, no endpoint behind a listener it lacks."""
    found = FakeEnvoy()
    found.connect()
    pending: list[Response] = []
    for serial, resources in enumerate(steps, 1):
        found.session.publish(snapshot(serial, *resources))
        for _ in range(dice.randint(0, 6)):  # type: ignore[attr-defined]
            pending += found.session.pump()
            if pending:
                found.take(pending.pop(0))
    while pending or (pending := found.session.pump()):
        found.take(pending.pop(0))
        pending += found.session.pump()
    assert not found.holes
    assert found.session.reports()[-1] == Live(len(steps))
    for type in (Type.CLUSTER, Type.LISTENER):
        expected = {each.name: each.version for each in steps[-1] if each.type is type}
        assert {name: each.version for name, each in found.has[type].items()} == expected
    doors = {each.name for each in steps[-1] if each.type is Type.LISTENER} & {"x", "y"}
    assert set().union(*map(through, found.has[Type.ENDPOINTS].values())) == doors


# -- tables in parts ------------------------------------------------------------------------------------------------


def looking(name: str, *tables: str) -> Resource:
    """A listener whose tables Envoy asks for some time after it has taken it."""
    return replace(listener(name, "+".join(tables)), needs=frozenset(tables))


def said(name: str, text: str, *sources: str) -> Resource:
    return of_bytes(Type.ROUTES, name, text.encode(), frozenset(Source("VirtualService", "d", s, 1) for s in sources))


class LateEnvoy(FakeEnvoy):
    """Asks for tables in `late` only when told to, and for those in `still` as a listener that is being replaced."""

    late: frozenset[str] = frozenset()
    still: frozenset[str] = frozenset()

    def names(self, type: Type) -> frozenset[str]:
        if type is Type.ROUTES:
            needed = frozenset(name for each in self.has[Type.LISTENER].values() for name in each.needs)
            return needed - self.late | self.still
        return super().names(type)

    def take(self, response: Response) -> None:
        held = {name: each for name, each in self.has[Type.ROUTES].items() if name in self.names(Type.ROUTES)}
        super().take(response)
        self.has[Type.ROUTES] = held | {
            each.name: each for each in response.resources if each.type is Type.ROUTES and not self.refuses(each)
        }

    def ask_late(self) -> None:
        self.late = frozenset()
        self.subscribe(Type.LISTENER)
        self.run()


def late(late: frozenset[str] = frozenset()) -> LateEnvoy:
    found = LateEnvoy(checks=False)
    found.late = late
    found.session.receive(Request(Type.CLUSTER))
    return found


def test_a_snapshot_is_live_when_the_tables_of_its_listeners_are_there_though_asked_for_late() -> None:
    found = late(frozenset(("t#0", "t#1")))
    found.session.publish(snapshot(1, looking("l", "t#0", "t#1"), said("t#0", "a"), said("t#1", "b")))
    found.run()
    assert found.session.reports() == []
    found.ask_late()
    assert found.session.reports() == [Live(1)]
    assert found.has[Type.ROUTES].keys() == {"t#0", "t#1"}


def test_of_a_part_that_is_refused_only_what_is_new_to_the_table_is_blamed() -> None:
    found = late()
    needs = looking("l", "t#0", "t#1")
    found.session.publish(snapshot(1, needs, said("t#0", "a", "a"), said("t#1", "b", "b")))
    found.run()
    found.refuses = lambda each: each.body == b"bad"
    found.session.reports()
    found.session.publish(snapshot(2, needs, said("t#0", "a", "a"), said("t#1", "bad", "a", "b", "new")))
    found.run()
    (refused,) = [each for each in found.session.reports() if isinstance(each, Refused)]
    assert refused.instead is not None
    assert {each.name for each in refused.resource.sources - refused.instead.sources} == {"new"}


def test_a_table_that_is_refused_in_its_new_form_is_not_replaced_by_an_empty_one() -> None:
    found = late()
    found.session.publish(snapshot(1, looking("l", "t#0"), said("t#0", "a", "a")))
    found.run()
    found.refuses, found.still = lambda each: each.body == b"bad", frozenset(("t#0",))
    found.session.publish(snapshot(2, looking("l", "t"), said("t", "bad", "a", "new")))
    found.run()
    assert "t" not in found.has[Type.ROUTES]
    (refused,) = [each for each in found.session.reports() if isinstance(each, Refused)]
    assert refused.instead is not None
    assert {each.name for each in refused.resource.sources - refused.instead.sources} == {"new"}
