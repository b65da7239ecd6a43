"""What a route asks of a request: rows 13 to 36 of the behaviours Istio documents, without Envoy."""

from typing import Any

import pytest

from graylane.chain.match import Expression, Request, normal_path, regex_fault, route_match


def ask(match: dict[str, Any], path: str = "/", method: str = "GET", **headers: str) -> bool:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return route_match(match).accepts(Request("b:8000", path, method, headers=named))


@pytest.mark.parametrize(
    ("uri", "path", "hit"),
    [
        ({"exact": "/a"}, "/a", True),
        ({"exact": "/a"}, "/a/", False),
        ({"exact": "/a"}, "/A", False),
        ({"exact": "/a"}, "/a?x", True),
        ({"prefix": "/pre"}, "/prefixed", True),
        ({"regex": "/re/[0-9]+"}, "/re/1", True),
        ({"regex": "/re/[0-9]+"}, "/re/1/x", False),
        ({"exact": "/exact"}, "/./exact", True),
        ({"prefix": "/pre"}, "/../pre", True),
    ],
)
def test_paths_are_matched_without_query_and_as_a_whole(uri: dict[str, str], path: str, hit: bool) -> None:
    assert ask({"uri": uri}, path) is hit


def test_case_is_ignored_only_when_asked() -> None:
    assert ask({"uri": {"exact": "/CI"}, "ignoreUriCase": True}, "/ci")
    assert not ask({"uri": {"exact": "/CI"}}, "/ci")


@pytest.mark.parametrize(
    ("condition", "value", "hit"),
    [
        ({"exact": "V"}, "V", True),
        ({"exact": "V"}, "v", False),
        ({"prefix": "can"}, "canary", True),
        ({"regex": "c.*y"}, "canary", True),
        ({"regex": "c.*"}, "xc", False),
        ({}, "", True),
        ({"regex": "*"}, "anything", True),
    ],
)
def test_header_values_are_matched_exactly_as_written(condition: dict[str, str], value: str, hit: bool) -> None:
    assert ask({"headers": {"X-Lane": condition}}, x_lane=value) is hit


def test_an_absent_header_matches_nothing_but_without_headers() -> None:
    assert not ask({"headers": {"x-lane": {}}})
    assert not ask({"headers": {"x-lane": {"exact": ""}}})
    assert ask({"withoutHeaders": {"x-lane": {}}})
    assert ask({"withoutHeaders": {"x-lane": {"exact": "canary"}}})
    assert not ask({"withoutHeaders": {"x-lane": {"exact": "canary"}}}, x_lane="canary")
    assert ask({"withoutHeaders": {"x-lane": {"exact": "canary"}}}, x_lane="other")


def test_only_the_first_occurrence_of_a_query_parameter_counts() -> None:
    assert ask({"queryParams": {"v": {"exact": "1"}}}, "/?v=1&v=2")
    assert not ask({"queryParams": {"v": {"exact": "2"}}}, "/?v=1&v=2")
    assert ask({"queryParams": {"v": {}}}, "/?v")


def test_conditions_of_one_match_hold_together() -> None:
    match = {"uri": {"prefix": "/a"}, "method": {"exact": "POST"}, "headers": {"x": {"exact": "1"}}}
    assert ask(match, "/a", "POST", x="1")
    assert not ask(match, "/a", "GET", x="1")
    assert not ask(match, "/a", "POST", x="2")


@pytest.mark.parametrize(
    ("path", "normal"),
    [("/a/b", "/a/b"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/..", "/"), ("//a", "//a"), ("/a/..", "/")],
)
def test_paths_are_normalised_as_the_proxies_do(path: str, normal: str) -> None:
    assert normal_path(path) == normal


@pytest.mark.parametrize("pattern", ["(?=x)", "(?!x)", "(?<=x)y", r"(a)\1", "("])
def test_patterns_re2_refuses_are_told(pattern: str) -> None:
    assert regex_fault(pattern)


@pytest.mark.parametrize("pattern", ["a.*", r"\(", "(?i)x", r"[0-9]+\.[a-z]"])
def test_patterns_re2_takes_are_not_complained_about(pattern: str) -> None:
    assert not regex_fault(pattern)


def test_a_regex_that_only_re2_can_read_is_no_error_of_the_request() -> None:
    match = route_match({"headers": {"user": {"regex": r"\pL+"}}})
    assert not match.accepts(Request("b", headers=(("user", "ann"),)))


def test_a_value_known_by_its_expression_meets_that_expression_and_presence_alone() -> None:
    request = Request("b", headers=(("uid", Expression("^9")),))
    wanted = ({"regex": "^9"}, {}, {"regex": "^9.*"}, {"exact": "^9"}, {"prefix": "^"})
    found = [route_match({"headers": {"uid": block}}).accepts(request) for block in wanted]
    assert found == [True, True, False, False, False]
