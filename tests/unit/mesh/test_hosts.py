"""Host names: Istio's rules for short names, wildcards and precedence."""

import pytest

from graylane.chain import hosts
from graylane.mesh import durations


@pytest.mark.parametrize(
    ("host", "full"),
    [
        ("b", "b.shop.svc.cluster.local"),
        ("b.other", "b.other"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("10.0.0.1", "10.0.0.1"),
        ("Example.COM", "example.com"),
    ],
)
def test_a_short_name_is_a_service_next_to_the_one_who_wrote_it(host: str, full: str) -> None:
    assert hosts.resolve(host, "shop", "cluster.local") == full


@pytest.mark.parametrize(
    ("left", "right", "together"),
    [
        ("a.foo.com", "*.foo.com", True),
        ("a.b.foo.com", "*.foo.com", True),
        ("foo.com", "*.foo.com", False),
        ("*", "anything", True),
        ("*.a.foo.com", "*.foo.com", True),
        ("*.bar.com", "*.foo.com", False),
        ("a", "a", True),
        ("a", "b", False),
    ],
)
def test_hosts_match_by_suffix_in_both_directions(left: str, right: str, together: bool) -> None:
    assert hosts.matches(left, right) is together
    assert hosts.matches(right, left) is together


def test_plain_names_come_before_wildcards_and_long_before_short() -> None:
    names = ["*", "*.com", "b.com", "a.com", "*.foo.com", "aa.foo.com"]
    assert sorted(names, key=hosts.specificity) == ["aa.foo.com", "a.com", "b.com", "*.foo.com", "*.com", "*"]


@pytest.mark.parametrize(
    ("name", "full"),
    [("gw", "shop/gw"), ("./gw", "shop/gw"), ("edge/gw", "edge/gw"), ("gw.edge", "edge/gw"), ("mesh", "mesh")],
)
def test_a_gateway_name_is_resolved_like_a_path(name: str, full: str) -> None:
    assert hosts.gateway_name(name, "shop") == full


def test_the_bare_service_name_is_for_its_own_namespace_only() -> None:
    assert "b" in hosts.service_names("b", "shop", "cluster.local", "shop")
    assert "b" not in hosts.service_names("b", "shop", "cluster.local", "other")


@pytest.mark.parametrize(
    ("text", "value"),
    [("5m", 300), ("1h30m", 5400), ("100ms", 0.1), ("2.5s", 2.5), ("0s", 0), ("5", None), ("", None), ("1d", None)],
)
def test_durations_are_read_as_go_reads_them(text: str, value: float | None) -> None:
    assert durations.seconds(text) == (value if value is None else pytest.approx(value))
