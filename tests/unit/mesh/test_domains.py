"""Which virtual host a name belongs to: as Envoy chooses, by an index that forgets tables nobody has any more."""

from __future__ import annotations

import gc

import pytest

from graylane.mesh import domains
from graylane.mesh.simulate import choose_host
from graylane.mesh.table import RouteTable, VirtualHost


def table(*names: str, ignore_port: bool = False) -> RouteTable:
    return RouteTable("t", "t", tuple(VirtualHost(name, (name,), ()) for name in names), frozenset(), ignore_port)


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        (("*", "a.b.c", "*.b.c"), "a.b.c", "a.b.c"),
        (("*", "*.c", "*.b.c"), "a.b.c", "*.b.c"),
        (("*", "*.c", "*.b.c"), "a.x.c", "*.c"),
        (("*", "*.b.c"), "b.c", "*"),
        (("*", "*.b.c"), ".b.c", "*"),
        (("*.b.c",), "b.c", None),
        (("*-b.c", "*.c"), "a-b.c", "*-b.c"),
        (("A.B",), "a.b", "A.B"),
        (("a.b",), "A.b", "a.b"),
        (("a.b",), "a.b:80", None),
        (("a.b:80",), "a.b:80", "a.b:80"),
        ((), "a", None),
    ],
)
def test_exact_names_come_first_then_the_longest_wildcard(
    names: tuple[str, ...], asked: str, found: str | None
) -> None:
    host = choose_host(table(*names), asked)
    assert (host.name if host else None) == found


def test_a_table_may_ignore_ports() -> None:
    host = choose_host(table("a.b", ignore_port=True), "a.b:8080")
    assert host is not None


def test_an_index_goes_with_its_table() -> None:
    gone = table("a.b")
    choose_host(gone, "a.b")
    before = len(domains._KNOWN)
    del gone
    gc.collect()
    assert len(domains._KNOWN) < before
