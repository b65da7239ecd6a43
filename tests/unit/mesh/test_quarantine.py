"""Who is kept out when Envoy refuses a resource, and for how long."""

from __future__ import annotations

from dataclasses import replace

from graylane.mesh import read
from graylane.mesh.inputs import Inputs, Source, VirtualService
from graylane.mesh.quarantine import Quarantine
from graylane.mesh.snapshot import Resource, Type, of_bytes


def service(name: str, generation: int = 1) -> VirtualService:
    metadata = {"name": name, "namespace": "d", "generation": generation}
    return read.virtual_service({"metadata": metadata, "spec": {"hosts": [name]}}, "cluster.local")


def inputs(*services: VirtualService) -> Inputs:
    return Inputs(virtual_services=services)


def table(*services: VirtualService) -> Resource:
    return of_bytes(Type.ROUTES, "t", b"", frozenset(each.source for each in services))


def kept(found: Inputs) -> list[tuple[str, int]]:
    return [(each.source.name, each.source.generation) for each in found.virtual_services]


def test_a_single_suspect_is_guilty_and_replaced_by_what_last_worked() -> None:
    quarantine, old, new, other = Quarantine(), service("a"), service("a", 2), service("b")
    quarantine.live(inputs(old, other))
    assert quarantine.refused(table(new, other), table(old, other), "bad")
    assert quarantine.guilty == {new.source: "bad"}
    assert kept(quarantine.admitted(inputs(new, other))) == [("a", 1), ("b", 1)]


def test_a_culprit_that_never_worked_is_left_out() -> None:
    quarantine, new = Quarantine(), service("a")
    quarantine.refused(table(new), None, "bad")
    assert kept(quarantine.admitted(inputs(new, service("b")))) == [("b", 1)]


def test_the_snapshot_that_was_refused_does_not_count_as_what_last_worked() -> None:
    quarantine, old, new = Quarantine(), service("a"), service("a", 2)
    quarantine.live(inputs(old))
    quarantine.refused(table(new), table(old), "bad")
    quarantine.live(inputs(new))
    assert kept(quarantine.admitted(inputs(new))) == [("a", 1)]


def test_a_changed_object_gets_another_chance() -> None:
    quarantine, bad, mended = Quarantine(), service("a"), service("a", 2)
    quarantine.refused(table(bad), None, "bad")
    assert kept(quarantine.admitted(inputs(mended))) == [("a", 2)]
    assert quarantine.guilty == {}


def test_an_object_that_is_made_anew_has_no_past() -> None:
    quarantine, bad = Quarantine(), service("a")
    quarantine.refused(table(bad), None, "bad")
    quarantine.refused(table(service("b"), service("c")), None, "bad")
    quarantine.forget("VirtualService", bad.source.key)
    quarantine.forget("VirtualService", service("b").source.key)
    assert kept(quarantine.admitted(inputs(service("a"), service("b"), service("c")))) == [("a", 1), ("b", 1)]


def test_several_suspects_are_held_back_and_let_in_one_at_a_time() -> None:
    quarantine = Quarantine()
    found = [service(name) for name in "abc"]
    everything = inputs(*found)
    quarantine.refused(table(*found), None, "bad")
    tried: list[list[tuple[str, int]]] = []
    guilty = found[1].source
    while quarantine.held:
        admitted = quarantine.admitted(everything)
        tried.append(kept(admitted))
        sources = {each.source for each in admitted.virtual_services}
        if guilty in sources:
            quarantine.refused(table(*admitted.virtual_services), table(found[0]), "bad")
        quarantine.live(admitted)
        if len(tried) > 6:
            break
    assert quarantine.guilty == {guilty: "bad"}
    assert kept(quarantine.admitted(everything)) == [("a", 1), ("c", 1)]
    assert tried[0] == []


MAKERS = ("ServiceEntry", "Gateway", "VirtualService", "DestinationRule")


def of_kind(kind: str, name: str = "a") -> Source:
    return Source(kind, "d", name, 1)


def judged(sources: set[Source], bad: Source) -> tuple[dict[Source, str], list[frozenset[Source]]]:
    """Who is guilty in the end where `bad` shows only beside all others, as when a mesh starts; whom it held back."""
    quarantine, held = Quarantine(), []
    everything = inputs(*(replace(service("any"), source=source) for source in sources))
    for _ in range(20):
        found = quarantine.admitted(everything)
        admitted = {each.source for each in found.configs}
        held.append(quarantine.held)
        makers = {source for source in sources - {bad} if source.kind != "EnvoyFilter"}
        if bad in admitted and makers <= admitted:
            quarantine.refused(of_bytes(Type.ROUTES, "t", b"", frozenset(admitted)), None, "bad")
        elif not quarantine.live(found):
            break
    return quarantine.guilty, held


def test_at_a_start_the_filter_that_is_refused_costs_no_gateway() -> None:
    filters = {of_kind("EnvoyFilter", name) for name in ("bad", "good", "other")}
    sources = {of_kind(kind) for kind in MAKERS} | filters
    guilty, held = judged(sources, of_kind("EnvoyFilter", "bad"))
    assert guilty == {of_kind("EnvoyFilter", "bad"): "bad"}
    assert frozenset().union(*held) <= filters


def test_who_changes_what_others_make_is_let_in_after_them() -> None:
    sources = {of_kind(kind) for kind in MAKERS}
    guilty, _ = judged(sources, of_kind("DestinationRule"))
    assert guilty == {of_kind("DestinationRule"): "bad"}


def test_what_was_on_its_way_with_the_culprit_in_it_accuses_nobody_else() -> None:
    quarantine, bad, good, worse = Quarantine(), service("bad"), service("good"), service("worse")
    assert quarantine.refused(table(bad), None, "bad")
    assert not quarantine.refused(table(bad, good, worse), None, "bad")
    assert kept(quarantine.admitted(inputs(bad, good, worse))) == [("good", 1), ("worse", 1)]
    assert quarantine.refused(table(good, worse), table(good), "worse")
    assert quarantine.guilty == {bad.source: "bad", worse.source: "worse"}


def test_a_refusal_nobody_new_is_part_of_asks_for_no_compilation() -> None:
    quarantine, old = Quarantine(), service("a")
    assert not quarantine.refused(table(old), table(old), "out of memory")
    found = inputs(old)
    assert quarantine.admitted(found) is found
    assert isinstance(replace(found).virtual_services[0].source, Source)


def test_what_cannot_be_compiled_is_found_among_what_is_new() -> None:
    quarantine, old, good, bad = Quarantine(), service("old"), service("good"), service("bad")
    quarantine.live(inputs(old))
    assert quarantine.failed(inputs(old, good, bad), "KeyError")
    assert kept(quarantine.admitted(inputs(old, good, bad))) == [("old", 1)]
    for _ in range(4):  # until each of the two has been let in once
        tried = quarantine.admitted(inputs(old, good, bad))
        if bad in tried.virtual_services:
            assert quarantine.failed(tried, "KeyError")
        elif not quarantine.live(tried):
            break
    assert kept(quarantine.admitted(inputs(old, good, bad))) == [("old", 1), ("good", 1)]
    assert quarantine.guilty == {bad.source: "KeyError"}
