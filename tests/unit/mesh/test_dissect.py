"""Which part of an object is named as the one that Envoy refuses, and how many tries that takes."""

from __future__ import annotations

from typing import Any

import pytest

from graylane.mesh.dissect import MOST_TRIES, Part, dissect


def patches(*values: Any) -> Any:
    return {
        "configPatches": [{"applyTo": "CLUSTER", "match": {"context": "ANY"}, "patch": {"value": v}} for v in values]
    }


def leaves(value: Any) -> list[Any]:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if below is None else [leaf for each in below for leaf in leaves(each)]


async def named(spec: Any, *bad: str) -> tuple[str, int]:
    """An Envoy that refuses what has all of `bad` among its leaves."""
    tried = 0

    async def fault(variant: Any) -> str:
        nonlocal tried
        tried += 1
        return "no" if set(bad) <= set(map(str, leaves(variant))) else ""

    found = await dissect(spec, fault)
    return found.path, tried


@pytest.mark.parametrize(
    ("spec", "bad", "path"),
    [
        (patches({"a": 1}, {"b": {"c": "x", "d": 2}}), ["x"], "spec.configPatches[1].patch.value.b.c"),
        (patches({"a": "x"}, {"a": "x"}), ["x"], "spec.configPatches[0].patch.value.a"),
        (patches({"a": "x"}, {"b": 1}, {"c": "y"}), ["x", "y"], "spec.configPatches[0] and spec.configPatches[2]"),
        (patches({"a": "x", "b": "y", "c": 1}), ["x", "y"], "spec.configPatches[0].patch.value"),
        ({"host": "h", "trafficPolicy": {"tls": {"mode": "M", "sni": "s"}}}, ["M", "s"], "spec.trafficPolicy.tls.sni"),
        ({"host": "h", "trafficPolicy": {"tls": {"mode": "M", "sni": "s"}}}, ["M"], "spec.trafficPolicy.tls.mode"),
        (
            {"servers": [{"name": "a"}, {"name": "b", "tls": {"suites": ["u", "v"]}}]},
            ["v"],
            "spec.servers[1].tls.suites[1]",
        ),
        (
            {"http": [{"route": [{"weight": w} for w in "abc"]}]},
            ["a", "c"],
            "spec.http[0].route[0] and spec.http[0].route[2]",
        ),
        ({"hosts": ["x"]}, ["x"], ""),
        ({"http": [{"a": "b"}]}, ["nowhere"], ""),
    ],
)
async def test_the_smallest_part_without_which_nothing_is_refused_is_named(
    spec: Any, bad: list[str], path: str
) -> None:
    assert (await named(spec, *bad))[0] == path


async def test_of_two_faults_the_one_that_is_told_is_found() -> None:
    """Envoy tells of the first alone."""

    async def fault(variant: Any) -> str:
        found = leaves(variant)
        return "no x" if "x" in found else "no y" if "y" in found else ""

    spec = patches({"a": "y"}, {"b": {"c": "x"}})
    assert await dissect(spec, fault) == Part("spec.configPatches[1].patch.value.b.c", "no x")


async def test_a_field_whose_absence_is_another_fault_is_not_named() -> None:
    async def fault(variant: Any) -> str:
        bucket = variant.get("bucket", {"tokens": 1, "every": 50})
        if "tokens" not in bucket:
            return "no tokens"
        return "too often" if bucket.get("every", 0) < 50 else ""

    assert await dissect({"bucket": {"tokens": 1, "every": 1}}, fault) == Part("spec.bucket", "too often")


async def test_of_ten_thousand_entries_one_is_found_in_a_few_tries() -> None:
    spec = {"endpoints": [{"address": str(number), "weight": 1} for number in range(10_000)]}
    path, tried = await named(spec, "7654")
    assert path == "spec.endpoints[7654].address"
    assert tried < 40


async def test_when_it_takes_too_many_tries_what_is_known_by_then_is_named() -> None:
    spec = {"trafficPolicy": {f"f{number}": number for number in range(MOST_TRIES)}}
    assert await named(spec, str(MOST_TRIES - 1)) == ("spec.trafficPolicy", MOST_TRIES)
