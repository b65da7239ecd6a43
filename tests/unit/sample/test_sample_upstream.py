"""Where the sample service connects to, and what it asks for there."""

from __future__ import annotations

import pytest

from graylane.sample.upstream import plan_route

PROXY = {"http_proxy": "http://127.20.0.3:15001", "no_proxy": "127.0.0.1,localhost,.internal"}


def test_without_a_proxy_the_upstream_is_called_directly() -> None:
    route = plan_route("http://mockb:8000/x", {})
    assert (route.host, route.port, route.target, route.authority) == ("mockb", 8000, "/x", "mockb:8000")


def test_through_a_proxy_the_request_line_carries_the_whole_url() -> None:
    route = plan_route("http://mockb:8000", PROXY)
    assert (route.host, route.port, route.target) == ("127.20.0.3", 15001, "http://mockb:8000/")


def test_port_80_is_left_out_of_the_authority() -> None:
    assert plan_route("http://mockb/", PROXY).target == "http://mockb/"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "db.internal", "internal"])
def test_exempt_hosts_are_called_directly(host: str) -> None:
    assert plan_route(f"http://{host}:81/", PROXY).host == host


def test_a_longer_name_is_not_exempt_by_its_ending_alone() -> None:
    assert plan_route("http://notlocalhost/", PROXY).host == "127.20.0.3"


@pytest.mark.parametrize("url", ["https://mockb/", "mockb:8000", "http://", "http://mockb:x/"])
def test_an_url_it_cannot_call_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match=url.replace("/", ".")):
        plan_route(url, {})
