"""Istio's routing semantics on live traffic: rules as users write them, real Envoy, real requests.

Numbers are those of the list of behaviours the rows come from; `town.py` is where it all happens.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import yaml

from graylane.chain.match import Request
from graylane.mesh.encode.shards import HEADER, KEYS
from graylane.mesh.simulate import from_pod
from graylane.model.meta import Obj
from graylane.testing import meshes
from graylane.testing.sampling import everyone, likely
from graylane.testing.waiting import eventually

from .test_mesh_filters import envoy_filter
from .town import Town, to, vs

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


# -- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["b", "b.shop", "b.shop.svc", "b.shop.svc.cluster.local", "B", "10.96.0.10"])
async def test_1_to_5_a_service_is_reached_by_every_name_it_has(town: Town, name: str) -> None:
    await town.push()
    assert await town.who(f"http://{name}:8000/") in ("v1", "v2")


async def test_4_a_service_sees_its_name_as_the_client_spelled_it(town: Town) -> None:
    await town.push()
    assert '"host":"B:8000"' in await town.raw("GET http://B:8000/ HTTP/1.1\nHost: B:8000\nConnection: close\n\n")


async def test_3_the_short_name_means_nothing_in_another_namespace(town: Town) -> None:
    await town.push()
    assert await town.who("http://b.shop:8000/", "stranger") in ("v1", "v2")
    assert await town.who("http://b:8000/", "stranger") == 503


async def test_7_and_8_what_is_no_service_is_passed_through(town: Town) -> None:
    await town.push()
    assert await town.who(f"http://{town.address(6)}:8000/") == "c"
    answer = await town.ask("http://b:7777/")
    assert answer.status == 503
    assert "DNS" in answer.text


async def test_9_a_full_name_with_a_trailing_dot_is_another_name(town: Town) -> None:
    await town.push()
    assert await town.who("http://b.shop.svc.cluster.local.:8000/") == 503


async def test_10_and_11_the_uri_of_a_request_wins_over_its_host_and_loses_its_user(town: Town) -> None:
    await town.have(vs(to("v2")))
    answer = await town.raw("GET http://b:8000/p HTTP/1.1\nHost: other.example\nConnection: close\n\n")
    assert '"by":"v2"' in answer
    assert '"host":"b:8000"' in answer
    answer = await town.raw("GET http://me:secret@b:8000/p HTTP/1.1\nHost: b\nConnection: close\n\n")
    assert '"host":"b:8000"' in answer


async def test_http_1_0_clients_are_served(town: Town) -> None:
    await town.have(vs(to("v2")))
    assert '"by":"v2"' in await town.raw("GET http://b:8000/ HTTP/1.0\n\n")


async def test_12_a_host_that_is_no_service_is_routed_on_port_80(town: Town) -> None:
    await town.have(vs(to("v2"), host="bookinfo.example"))
    assert await town.who("http://bookinfo.example/") == "v2"
    assert await town.who("http://bookinfo.example:8080/") == 503


async def test_a_port_80_service_needs_no_port_in_its_url(town: Town) -> None:
    await town.push()
    assert await town.who("http://c/") == "c"


async def test_connect_tunnels_are_routed_like_other_requests(town: Town) -> None:
    await town.have(vs(to("v2")))
    reader, writer = await asyncio.open_connection(town.address(2), 15001)
    writer.write(b"CONNECT b:8000 HTTP/1.1\r\nhost: b:8000\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"GET / HTTP/1.1\r\nhost: b:8000\r\nconnection: close\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b'"by":"v2"'), 30)
    writer.close()


async def test_17_a_fragment_is_cut_off_before_anything_is_matched(town: Town) -> None:
    compiled = await town.have(vs(to("v2", ", match: [{uri: {exact: /p}}]") + to("v1")))
    answer = await town.raw("GET http://b:8000/p#here HTTP/1.1\nHost: b:8000\nConnection: close\n\n")
    assert '"by":"v2"' in answer
    decision = from_pod(compiled.plan, town.address(2), Request("b:8000", "/p#here"))
    assert "|v2|" in str(decision.outcome)


# -- matching -------------------------------------------------------------------------------------------------------

MATCHES = [
    ("13 exact path", "{uri: {exact: /a}}", {"path": "/a"}, {"path": "/a/"}),
    ("13 exact path has no query", "{uri: {exact: /a}}", {"path": "/a?x"}, {"path": "/A"}),
    ("14 prefix is of text, not of segments", "{uri: {prefix: /pre}}", {"path": "/prefixed"}, {"path": "/pr"}),
    ("15 regex matches all of it", "{uri: {regex: '/re/[0-9]+'}}", {"path": "/re/1"}, {"path": "/re/1/x"}),
    ("15 regex as RE2 spells it", r"{uri: {regex: '/x(?i)y|/[[:digit:]]+\z'}}", {"path": "/xY"}, {"path": "/XY"}),
    ("15 regex of some length", "{uri: {regex: '/([a-z]{20}){10}'}}", {"path": "/" + "a" * 200}, {"path": "/a"}),
    ("16 case ignored", "{uri: {exact: /CI}, ignoreUriCase: true}", {"path": "/ci"}, {"path": "/cj"}),
    ("17 dots normalised", "{uri: {exact: /exact}}", {"path": "/./exact"}, {"path": "/x/exact"}),
    ("17 dots climb no higher", "{uri: {prefix: /pre}}", {"path": "/../pre"}, {"path": "/pre/.."}),
    ("18 header exact", "{headers: {X-Lane: {exact: V}}}", {"x-lane": "V"}, {"x-lane": "v"}),
    ("19 header prefix", "{headers: {x-lane: {prefix: can}}}", {"x-lane": "canary"}, {"x-lane": "xcan"}),
    ("19 header regex", "{headers: {x-lane: {regex: 'c.*y'}}}", {"x-lane": "canary"}, {"x-lane": "canaryx"}),
    ("20 header present", "{headers: {x-lane: {}}}", {"x-lane": "any"}, {}),
    ("20 header present, empty", "{headers: {x-lane: {}}}", {"x-lane": ""}, {}),
    ("20 header regex star", "{headers: {x-lane: {regex: '*'}}}", {"x-lane": "any"}, {}),
    ("21 without header", "{withoutHeaders: {x-lane: {exact: c}}}", {"x-lane": "d"}, {"x-lane": "c"}),
    ("21 without header, absent", "{withoutHeaders: {x-lane: {exact: c}}}", {}, {"x-lane": "c"}),
    ("22 without presence", "{withoutHeaders: {x-lane: {}}}", {}, {"x-lane": "c"}),
    (
        "23 conditions hold together",
        "{uri: {prefix: /a}, headers: {x: {exact: '1'}}}",
        {"path": "/a", "x": "1"},
        {"x": "1"},
    ),
    ("24 first query value", "{queryParams: {v: {exact: '1'}}}", {"path": "/?v=1&v=2"}, {"path": "/?v=2&v=1"}),
    ("24 query has case", "{queryParams: {v: {exact: a}}}", {"path": "/?v=a"}, {"path": "/?v=A"}),
    ("25 query present, empty", "{queryParams: {v: {}}}", {"path": "/?v="}, {"path": "/?V="}),
    ("25 query present", "{queryParams: {v: {}}}", {"path": "/?v"}, {"path": "/?w"}),
    ("27 authority", "{authority: {exact: 'b:8000'}}", {}, {"url": "http://b.shop:8000"}),
    (
        "36 cookie",
        "{headers: {cookie: {regex: '^(.*?;)?(user=dev)(;.*)?$'}}}",
        {"cookie": "a=1;user=dev"},
        {"cookie": "user=x"},
    ),
]


@pytest.mark.parametrize(("match", "hit", "miss"), [row[1:] for row in MATCHES], ids=[row[0] for row in MATCHES])
async def test_a_match_decides(town: Town, match: str, hit: dict[str, str], miss: dict[str, str]) -> None:
    await town.have(vs(to("v2", f", match: [{match}]") + to("v1")))
    for request, expected in ((hit, "v2"), (miss, "v1")):
        headers = {name: value for name, value in request.items() if name not in ("path", "url")}
        url = request.get("url", "http://b:8000") + request.get("path", "/")
        assert await town.who(url, **headers) == expected


async def test_27_an_authority_has_the_port_that_the_client_wrote(town: Town) -> None:
    await town.have(vs(to("v2", ", match: [{authority: {exact: c}}]") + to("v1"), host="c"))
    assert await town.who("http://c/") == "v2"
    assert await town.who("http://c.shop/") == "v1"


async def test_26_method_match(town: Town) -> None:
    await town.have(vs(to("v2", ", match: [{method: {exact: POST}}]") + to("v1")))
    assert (await town.ask("http://b:8000/", method="POST")).json["by"] == "v2"
    assert await town.who() == "v1"


async def test_28_a_port_match_leaves_other_ports_alone(town: Town) -> None:
    await town.have(vs("- {match: [{port: 8000}], route: [{destination: {host: c, port: {number: 80}}}]}", host="two"))
    assert {await town.who("http://two:8000/") for _ in range(6)} == {"c"}
    await everyone(lambda: town.who("http://two:9000/"), {"v1", "v2"})


async def test_46_and_47_a_destination_without_port_means_the_only_one_or_the_one_asked_for(town: Town) -> None:
    first = "- {match: [{uri: {prefix: /2}}], route: [{destination: {host: two}}]}\n"
    await town.have(vs(first + "- {route: [{destination: {host: c}}]}", gateways=["mesh", "gw"]))
    assert await town.who("http://b:8000/2") in ("v1", "v2")
    assert await town.who("http://b:8000/") == 503  # c has no port 8000, and a sidecar does not ask for another
    answer = await town.enter(host="b.shop.svc.cluster.local")
    assert answer.json["by"] == "c"
    await town.have(vs("- {route: [{destination: {host: two}}]}", host="elsewhere.example"))
    assert await town.who("http://elsewhere.example/") == 503


async def test_29_and_30_first_rule_wins_and_no_rule_is_404(town: Town) -> None:
    await town.have(vs(to("v1", ", match: [{uri: {prefix: /a}}]") + to("v2", ", match: [{uri: {prefix: /ab}}]")))
    assert await town.who("http://b:8000/ab") == "v1"
    assert await town.who("http://b:8000/x") == 404


async def test_31_to_33_rules_may_tell_clients_apart(town: Town) -> None:
    await town.have(vs(to("v2", ", match: [{sourceLabels: {tier: front}}]") + to("v1")))
    assert await town.who("http://b.shop:8000/") == "v2"
    assert await town.who("http://b.shop:8000/", "stranger") == "v1"
    await town.have(vs(to("v2", ", match: [{sourceNamespace: elsewhere}]") + to("v1")))
    assert await town.who("http://b.shop:8000/") == "v1"
    assert await town.who("http://b.shop:8000/", "stranger") == "v2"


async def test_32_a_virtual_service_for_others_only_leaves_default_routing(town: Town) -> None:
    await town.have(vs(to("v2", ", match: [{sourceLabels: {app: nobody}}]")))
    await everyone(town.who, {"v1", "v2"})


async def test_34_and_35_mesh_and_gateway_are_bound_separately(town: Town) -> None:
    await town.have(
        vs(to("v2", ", match: [{gateways: [gw]}]") + to("v1"), gateways=["gw", "mesh"]),
    )
    full = "b.shop.svc.cluster.local"
    assert (await town.enter(host=full)).json["by"] == "v2"
    assert await town.who() == "v1"
    await town.have(vs(to("v1")))
    assert (await town.enter(host=full)).status == 404


# -- weights, destinations ------------------------------------------------------------------------------------------


async def test_37_to_39_weights_are_shares_of_their_sum(town: Town) -> None:
    split = (
        "- route: [{destination: {host: b, subset: v1}, weight: 90}, {destination: {host: b, subset: v2}, weight: 10}]"
    )
    await town.have(vs(split))
    seen = [await town.who() for _ in range(400)]
    assert seen.count("v1") in likely(400, 0.9)
    assert seen.count("v1") + seen.count("v2") == 400
    await town.have(vs(split.replace("90", "0")))
    assert {await town.who() for _ in range(20)} == {"v2"}


async def test_40_a_single_destination_gets_everything_whatever_its_weight(town: Town) -> None:
    await town.have(vs("- route: [{destination: {host: b, subset: v2}, weight: 10}]"))
    assert {await town.who() for _ in range(20)} == {"v2"}


async def test_42_a_missing_subset_costs_its_share_only(town: Town) -> None:
    there, lacking = (
        "{destination: {host: b, subset: v1}, weight: 50}",
        "{destination: {host: b, subset: v8}, weight: 50}",
    )
    await town.have(vs(f"- route: [{there}, {lacking}]"))
    seen = [await town.who() for _ in range(200)]
    assert set(seen) == {"v1", 503}
    assert seen.count(503) in likely(200, 0.5)


async def test_45_short_destinations_mean_services_next_to_the_rule(town: Town) -> None:
    await town.have(vs("- route: [{destination: {host: c}}]", host="front.example"))
    assert await town.who("http://front.example/", "stranger") == "c"


async def test_49_a_destination_that_is_no_service_is_503(town: Town) -> None:
    await town.have(vs("- route: [{destination: {host: nobody}}]"))
    answer = await town.ask("http://b:8000/")
    assert (answer.status, answer.text) == (503, "")


async def test_48_a_subset_without_pods_is_503(town: Town) -> None:
    await town.have(vs(to("none")))
    answer = await town.ask("http://b:8000/")
    assert (answer.status, answer.text) == (503, "no healthy upstream")


async def test_50_a_subset_defined_later_works_without_further_ado(town: Town) -> None:
    compiled = await town.have(vs(to("later")))
    assert await town.who() == 503
    (source,) = [each for each in compiled.plan.findings if each.kind == "VirtualService"]
    assert [each.code for each in compiled.plan.findings[source]] == ["IST0101"]
    rule = town.cluster.get("DestinationRule", "b")
    subsets = [*rule["spec"]["subsets"], {"name": "later", "labels": {"version": "v2"}}]
    town.cluster.apply({**rule, "spec": {**rule["spec"], "subsets": subsets}})
    await town.push()
    assert await town.who() == "v2"


async def test_51_and_52_endpoints_follow_readiness(town: Town) -> None:
    await town.push()
    town.cluster.not_ready = {"b-v1"}
    await town.push()
    assert {await town.who() for _ in range(20)} == {"v2"}
    town.cluster.not_ready = {"b-v1", "b-v2"}
    await town.push()
    assert await town.who() == 503
    town.cluster.not_ready = set()
    await town.push()
    await everyone(town.who, {"v1", "v2"})


# -- rewrite, redirect, direct response, headers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "path", "seen"),
    [
        ("{match: [{uri: {prefix: /v1}}], rewrite: {uri: /}}", "/v1/x", "//x"),
        ("{match: [{uri: {prefix: /v1/}}], rewrite: {uri: /}}", "/v1/x", "/x"),
        ("{match: [{uri: {exact: /e}}], rewrite: {uri: /new}}", "/e?q=1", "/new?q=1"),
        (
            "{match: [{uri: {regex: '/s/.*'}}],"
            " rewrite: {uriRegexRewrite: {match: '^/s/(.*)/(.*)$', rewrite: '/\\2/\\1'}}}",
            "/s/1/2",
            "/2/1",
        ),
    ],
)  # fmt: skip
async def test_53_to_55_paths_are_rewritten(town: Town, rule: str, path: str, seen: str) -> None:
    rule = rule[:-1] + ", route: [{destination: {host: b, subset: v1}}]}"
    await town.have(vs(f"- {rule}\n"))
    assert (await town.ask(f"http://b:8000{path}")).json["path"] == seen


async def test_56_the_authority_is_rewritten(town: Town) -> None:
    await town.have(vs(to("v1", ", rewrite: {authority: other.example}")))
    answer = await town.ask("http://b:8000/")
    assert answer.json["host"] == "other.example"
    assert dict(answer.json["headers"])["x-envoy-original-host"] == "b:8000"


async def test_57_and_58_redirects(town: Town) -> None:
    await town.have(
        vs(
            "- {match: [{uri: {exact: /a}}], redirect: {uri: /b}}\n"
            "- {match: [{uri: {exact: /c}}], redirect: {scheme: https, port: 8443, redirectCode: 308}}\n"
            "- {match: [{uri: {exact: /d}}], redirect: {authority: rd, redirectCode: 302}}\n"
        )
    )
    answer = await town.ask("http://b:8000/a?x=1")
    assert (answer.status, answer.headers["location"]) == (301, "http://b:8000/b?x=1")
    answer = await town.ask("http://b:8000/c")
    assert (answer.status, answer.headers["location"]) == (308, "https://b:8443/c")
    answer = await town.ask("http://b:8000/d")
    assert (answer.status, answer.headers["location"]) == (302, "http://rd/d")


async def test_59_a_derived_port_80_is_not_written(town: Town) -> None:
    redirect = "- redirect: {authority: rd.example, derivePort: FROM_REQUEST_PORT}"
    await town.have(vs(redirect, host="c"), vs(redirect, name="other"))
    assert (await town.ask("http://c/p")).headers["location"] == "http://rd.example/p"
    assert (await town.ask("http://b:8000/p")).headers["location"] == "http://rd.example:8000/p"


async def test_60_and_61_direct_responses(town: Town) -> None:
    body = "x" * 5000
    headers = "headers: {response: {set: {x-r: '1'}}}"
    await town.have(vs(f"- {{directResponse: {{status: 418, body: {{string: {body}}}}}, {headers}}}\n"))
    answer = await town.ask("http://b:8000/")
    assert (answer.status, answer.text, answer.headers["x-r"]) == (418, body, "1")
    assert not town.rig.refused


async def test_62_to_65_header_edits_and_their_levels(town: Town) -> None:
    one = ", headers: {request: {set: {x-a: route, x-b: route}, remove: [x-gone]}, response: {set: {x-r: 'yes'}}}"
    await town.have(
        vs(
            "- {route: [{destination: {host: b, subset: v1}, headers: {request: {set: {x-a: dest}}}}]" + one + "}\n",
        )
    )
    answer = await town.ask("http://b:8000/", x_gone="1", x_b="client")
    sent = dict(answer.json["headers"])
    assert (sent["x-a"], sent["x-b"], "x-gone" in sent) == ("dest", "route", False)
    assert answer.headers["x-r"] == "yes"
    weighted = (
        "{destination: {host: b, subset: v1}, weight: 1, headers: {request: {set: {x-a: dest}, add: {x-c: dest}}}}"
    )
    both = ", headers: {request: {set: {x-a: route}, add: {x-c: route}}}"
    await town.have(vs(f"- {{route: [{weighted}, {weighted}]{both}}}\n"))
    headers = (await town.ask("http://b:8000/")).json["headers"]
    assert [value for name, value in headers if name == "x-a"] == ["route"]
    assert [value for name, value in headers if name == "x-c"] == ["dest", "route"]


async def test_66_host_in_headers_means_the_authority(town: Town) -> None:
    await town.have(
        vs("- route: [{destination: {host: b, subset: v1}, headers: {request: {set: {Host: dest.example}}}}]\n")
    )
    assert (await town.ask("http://b:8000/")).json["host"] == "dest.example"


async def test_66_the_authority_of_the_route_beats_the_destinations(town: Town) -> None:
    dest = "{destination: {host: b, subset: v1}, headers: {request: {set: {Host: dest.example}}}}"
    await town.have(vs(f"- {{route: [{dest}], headers: {{request: {{set: {{':authority': route.example}}}}}}}}\n"))
    assert (await town.ask("http://b:8000/")).json["host"] == "route.example"


async def test_67_response_headers_are_set_and_removed_but_for_the_proxys_own(town: Town) -> None:
    edits = "{response: {set: {x-r: '1'}, remove: [x-envoy-upstream-service-time, server]}}"
    await town.have(vs(to("v1", f", headers: {edits}")))
    answer = await town.ask("http://b:8000/")
    assert answer.headers["x-r"] == "1"
    assert "x-envoy-upstream-service-time" not in answer.headers
    assert answer.headers["server"] == "istio-envoy"


async def test_68_header_values_are_format_strings(town: Town) -> None:
    edits = "{request: {set: {x-from: '%REQ(x-user)%', x-share: '90%%'}}}"
    await town.have(vs(to("v1", f", headers: {edits}")))
    sent = dict((await town.ask("http://b:8000/", x_user="ann")).json["headers"])
    assert (sent["x-from"], sent["x-share"]) == ("ann", "90%")


# -- resilience -----------------------------------------------------------------------------------------------------


async def test_69_and_70_timeouts(town: Town) -> None:
    await town.have(vs(to("v1", ", timeout: 100ms, retries: {attempts: 0}")))
    assert await town.who("http://b:8000/?held=1") == 504
    await town.have(vs(to("v1")))
    answer = await town.ask("http://b:8000/?wait=0.2")
    assert answer.status == 200
    assert "x-envoy-expected-rq-timeout-ms" not in dict(answer.json["headers"])


@pytest.mark.parametrize(
    ("retries", "status", "attempts"),
    [
        ("", 503, 3),
        ("", 500, 1),
        (", retries: {attempts: 0}", 503, 1),
        (", retries: {attempts: 3, retryOn: 5xx}", 500, 4),
        (", retries: {attempts: 2, retryOn: '418,reset'}", 418, 3),
        (", retries: {attempts: 2, retryOn: '418,reset'}", 503, 1),
    ],
)
async def test_71_to_75_retries(town: Town, retries: str, status: int, attempts: int) -> None:
    await town.have(vs(to("v1", retries)))
    assert await town.who(f"http://b:8000/?status={status}") == status
    assert len(town.seen["v1"]) == attempts


async def test_71_a_retry_that_succeeds_is_all_the_client_sees(town: Town) -> None:
    await town.have(vs(to("v1")))
    answer = await town.ask("http://b:8000/?status=503&until=3")
    assert (answer.status, dict(answer.json["headers"])["x-envoy-attempt-count"]) == (200, "3")


@pytest.mark.parametrize(("on", "attempts"), [("connect-failure", 1), ("5xx", 3)])
async def test_76_a_try_that_takes_too_long_is_repeated_only_if_asked_for(town: Town, on: str, attempts: int) -> None:
    await town.have(vs(to("v1", f", retries: {{attempts: 2, perTryTimeout: 200ms, retryOn: {on}}}")))
    assert await town.who("http://b:8000/?held=1") == 504
    assert len(town.seen["v1"]) == attempts


async def test_77_a_refused_connection_is_tried_on_another_host(town: Town) -> None:
    town.cluster.pods[3]["status"]["podIP"] = town.address(99)  # nobody listens there
    await town.push()
    assert {await town.who() for _ in range(10)} == {"v2"}


async def test_81_a_fault_for_some_requests_leaves_the_others_alone(town: Town) -> None:
    fault = (
        ", match: [{headers: {end-user: {exact: jason}}}], fault: {abort: {httpStatus: 500, percentage: {value: 100}}}"
    )
    await town.have(vs(to("v1", fault) + to("v1")))
    assert await town.who(end_user="jason") == 500
    assert await town.who(end_user="ann") == "v1"


async def test_78_to_80_faults(town: Town) -> None:
    await town.have(vs(to("v1", ", fault: {abort: {httpStatus: 418, percentage: {value: 100}}}")))
    answer = await town.ask("http://b:8000/")
    assert (answer.status, answer.text) == (418, "fault filter abort")
    assert not town.seen["v1"]
    await town.have(vs(to("v1", ", fault: {abort: {httpStatus: 418}}")))
    assert await town.who() == "v1"
    await town.have(vs(to("v1", ", timeout: 100ms, fault: {delay: {fixedDelay: 200ms, percentage: {value: 100}}}")))
    start = asyncio.get_running_loop().time()
    assert await town.who() == "v1"
    assert asyncio.get_running_loop().time() - start >= 0.1  # half: Envoy counts from when it last looked at the clock


async def test_85_and_86_mirrors(town: Town) -> None:
    await town.have(vs(to("v1", ", mirror: {host: b, subset: v2}")))
    assert await town.who() == "v1"
    await eventually(lambda: town.seen["v2"], 30, "the copy arrived")
    assert town.seen["v2"][0]["headers"]["Host"] == "b-shadow:8000"
    town.seen["v2"].clear()
    await town.have(vs(to("v1", ", mirror: {host: b, subset: v2}, mirrorPercentage: {value: 0}")))
    assert await town.who() == "v1"
    assert not town.seen["v2"]


async def test_85_a_mirror_that_fails_is_not_felt(town: Town) -> None:
    for mirror in ("{host: b, subset: none}", "{host: b, subset: undefined}", "{host: nobody}"):
        await town.have(vs(to("v1", f", mirror: {mirror}")))
        assert await town.who() == "v1"


async def test_86_half_of_the_requests_are_mirrored(town: Town) -> None:
    await town.have(vs(to("v1", ", mirror: {host: b, subset: v2}, mirrorPercentage: {value: 50}")))
    for _ in range(200):
        assert await town.who() == "v1"
    await eventually(lambda: len(town.seen["v2"]) in likely(200, 0.5), 30)


async def test_several_mirrors_get_their_copies(town: Town) -> None:
    mirrors = "[{destination: {host: b, subset: v2}}, {destination: {host: c, port: {number: 80}}}]"
    await town.have(vs(to("v1", f", mirrors: {mirrors}")))
    assert await town.who() == "v1"
    await eventually(lambda: town.seen["v2"] and town.seen["c"])


async def test_87_cors(town: Town) -> None:
    await town.have(vs(to("v1", ", corsPolicy: {allowOrigins: [{exact: 'http://a'}], allowMethods: [GET]}")))
    asked = {"access_control_request_method": "GET"}
    answer = await town.ask("http://b:8000/", method="OPTIONS", origin="http://a", **asked)
    assert answer.headers["access-control-allow-origin"] == "http://a"
    assert not town.seen["v1"]
    await town.ask("http://b:8000/", method="OPTIONS", origin="http://z", **asked)
    assert len(town.seen["v1"]) == 1


async def test_cors_answers_are_complete_and_what_does_not_match_may_be_kept_back(town: Town) -> None:
    policy = "allowOrigins: [{prefix: 'http://a'}], allowMethods: [GET, PUT], allowHeaders: [x-a], exposeHeaders: [x-b]"
    policy = f"{{{policy}, maxAge: 24h, allowCredentials: true, unmatchedPreflights: IGNORE}}"
    await town.have(vs(to("v1", f", corsPolicy: {policy}")))
    asked = {"access_control_request_method": "PUT"}
    answer = await town.ask("http://b:8000/", method="OPTIONS", origin="http://a.example", **asked)
    assert {
        name: answer.headers[f"access-control-{name}"] for name in ("allow-methods", "allow-headers", "max-age")
    } == {
        "allow-methods": "GET,PUT",
        "allow-headers": "x-a",
        "max-age": "86400",
    }
    assert answer.headers["access-control-allow-credentials"] == "true"
    answer = await town.ask("http://b:8000/", origin="http://a.example")
    assert answer.headers["access-control-expose-headers"] == "x-b"
    town.seen["v1"].clear()
    await town.ask("http://b:8000/", method="OPTIONS", origin="http://z", **asked)
    assert not town.seen["v1"]


async def test_a_grpc_status_may_be_injected(town: Town) -> None:
    await town.have(vs(to("v1", ", fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}")))
    answer = await town.ask("http://b:8000/", content_type="application/grpc")
    assert answer.headers["grpc-status"] == "14"


# -- several objects ------------------------------------------------------------------------------------------------


async def test_88_in_the_mesh_the_older_of_two_wins_entirely(town: Town) -> None:
    await town.have(vs(to("v2", ", match: [{uri: {prefix: /a}}]"), name="z-older"), vs(to("v1"), name="a-younger"))
    assert await town.who("http://b:8000/a") == "v2"
    assert await town.who() == 404
    town.cluster.delete("VirtualService", "z-older")
    await town.push()
    assert await town.who() == "v1"


async def test_89_and_90_at_a_gateway_two_are_merged_with_catch_alls_last(town: Town) -> None:
    await town.have(
        vs(to("v1"), name="older", gateways=["gw"], host="*"),
        vs(to("v2", ", match: [{uri: {prefix: /two}}]") + to("v2"), name="younger", gateways=["gw"], host="*"),
    )
    assert (await town.enter("/two")).json["by"] == "v2"
    assert (await town.enter("/one")).json["by"] == "v1"


async def test_91_and_105_the_more_specific_host_is_tried_at_a_gateway_on_any_port(town: Town) -> None:
    await town.have(
        vs(to("v1"), name="wide", gateways=["gw"], host="*.example.com"),
        vs(to("v2"), name="narrow", gateways=["gw"], host="a.example.com"),
    )
    assert (await town.enter(host="a.example.com")).json["by"] == "v2"
    assert (await town.enter(host="x.example.com")).json["by"] == "v1"
    assert (await town.enter(host="a.example.com:8443")).json["by"] == "v2"  # 105: any port
    assert (await town.enter(host="example.com")).status == 404


async def test_92_a_gateway_may_admit_one_namespace_only(town: Town) -> None:
    gateway = town.cluster.get("Gateway", "gw")
    gateway["spec"]["servers"][0]["hosts"] = ["other/*"]
    await town.have(vs(to("v1"), gateways=["gw"], host="*"))
    assert (await town.enter()).status == 404


async def test_93_a_private_virtual_service_is_not_for_a_gateway_elsewhere(town: Town) -> None:
    await town.have(vs(to("v1"), host="*", gateways=["gw"], exportTo=["."]))
    assert (await town.enter()).status == 404


async def test_94_a_private_virtual_service_is_for_its_namespace(town: Town) -> None:
    await town.have(vs(to("v2"), exportTo=["."]))
    assert {await town.who() for _ in range(10)} == {"v2"}
    await everyone(lambda: town.who("http://b.shop:8000/", "stranger"), {"v1", "v2"})


async def test_95_and_96_delegates(town: Town) -> None:
    root = "- {match: [{uri: {prefix: /api}}], delegate: {name: inner}}\n"
    root += "- {match: [{uri: {prefix: /gone}}], delegate: {name: no}}\n"
    inner = {
        "kind": "VirtualService",
        "metadata": {"name": "inner"},
        "spec": {
            "http": yaml.safe_load(
                to("v2", ", match: [{uri: {prefix: /api/v1}}]") + to("v2", ", match: [{uri: {prefix: /x}}]")
            )
        },
    }
    await town.have(vs(root + to("v1"), gateways=["gw"], host="*"), yaml.safe_dump(inner))
    assert (await town.enter("/api/v1/a")).json["by"] == "v2"
    assert (await town.enter("/x")).json["by"] == "v1"
    assert (await town.enter("/gone")).json["by"] == "v1"


async def test_a_delegates_rules_take_over_what_they_do_not_say_themselves(town: Town) -> None:
    edits = "headers: {request: {set: {x-from: root}}}"
    root = f"- {{match: [{{uri: {{prefix: /api}}}}], delegate: {{name: inner, namespace: elsewhere}}, {edits}}}\n"
    own = ", match: [{uri: {prefix: /api/own}}], headers: {request: {set: {x-from: inner}}}"
    rules = to("v2", own).replace("host: b", "host: b.shop.svc.cluster.local")
    rules += "- {route: [{destination: {host: c.shop.svc.cluster.local, port: {number: 80}}}]}\n"
    inner = {"kind": "VirtualService", "metadata": {"name": "inner", "namespace": "elsewhere"}}
    await town.have(vs(root), yaml.safe_dump({**inner, "spec": {"http": yaml.safe_load(rules)}}))
    for path, by, said in (("/api/own", "v2", "inner"), ("/api/x", "c", "root")):
        answer = await town.ask(f"http://b:8000{path}")
        assert (answer.json["by"], dict(answer.json["headers"])["x-from"]) == (by, said)
    assert await town.who("http://b:8000/") == 404
    hidden = {**inner, "spec": {"exportTo": ["."], "http": yaml.safe_load(rules)}}
    await town.have(yaml.safe_dump(hidden))
    assert await town.who("http://b:8000/api/x") in ("v1", "v2")  # nothing is left of the root, so it is as if absent


async def test_102_https_redirect(town: Town) -> None:
    gateway = town.cluster.get("Gateway", "gw")
    gateway["spec"]["servers"][0] |= {"hosts": ["safe.example"], "tls": {"httpsRedirect": True}}
    await town.push()
    answer = await town.enter("/p", host="safe.example")
    assert (answer.status, answer.headers["location"]) == (301, "https://safe.example/p")


async def test_104_a_gateway_port_is_opened_on_the_services_target_port(town: Town) -> None:
    await town.have(vs(to("v1"), gateways=["gw"], host="*"))
    assert (await town.rig.get(f"http://{town.address(1)}:8080/")).json["by"] == "v1"


async def test_a_thousand_virtual_services_and_as_many_rules_are_served(town: Town) -> None:
    def rule(number: int) -> Obj:
        route = [{"destination": {"host": "b", "subset": "v2" if number == 999 else "v1"}}]
        return {"match": [{"uri": {"exact": f"/{number}"}}], "route": route}

    def service(name: str, *rules: Obj, **spec: Any) -> Obj:
        return {"kind": "VirtualService", "metadata": {"name": name}, "spec": {"http": list(rules), **spec}}

    each = [service(f"v{number}", rule(number), hosts=["*"], gateways=["gw"]) for number in range(1000)]
    found = [*each, service("mesh", *map(rule, range(1000)), hosts=["b"])]
    town.cluster.objects += [meshes.created(obj, "shop") for obj in found]
    await town.push()
    assert [(await town.enter(f"/{number}")).json["by"] for number in (0, 500, 999)] == ["v1", "v1", "v2"]
    assert [await town.who(f"http://b:8000/{number}") for number in (0, 500, 999, 1000)] == ["v1", "v1", "v2", 404]


# -- tables in parts ------------------------------------------------------------------------------------------------


async def test_a_host_is_found_in_its_part_however_it_is_spelled(town: Town) -> None:
    names = [f"{word}{number}.example" for word in ("cart-", "Orders", "x", "a-b-", "9") for number in range(12)]
    names += ["10.1.2.3", "10.1.2.4", "7.example", "-.example"]
    rule = yaml.safe_load(vs(to("v1"), host="placeholder"))
    rule["spec"] |= {"hosts": [name.lower() for name in names], "http": [{"directResponse": {"status": 418}}]}
    await town.have(yaml.safe_dump(rule))
    for name in names:
        for spelled in (name.lower(), name.upper(), name.swapcase()):
            assert await town.who(f"http://{spelled}/") == 418
    assert await town.who("http://cart-12.example/") == 503


async def test_the_name_of_a_part_is_nothing_that_clients_set_or_services_get(town: Town) -> None:
    await town.have(vs(to("v1", ", mirror: {host: b, subset: v2}")))
    for key in KEYS:
        answer = await town.ask("http://b:8000/", **{HEADER: key})
        assert (answer.status, answer.json["by"]) == (200, "v1")
        assert HEADER not in dict(answer.json["headers"])
    await eventually(lambda: town.seen["v2"], 30, "the copies arrived")
    assert not any(HEADER in map(str.lower, each["headers"]) for each in town.seen["v2"])


async def test_a_filter_that_changes_a_requests_host_has_it_routed_by_the_new_one(town: Town) -> None:
    code = """function envoy_on_request(handle)
      if handle:headers():get("x-to") then handle:headers():replace(":authority", handle:headers():get("x-to")) end
    end"""
    await town.have(vs(to("v2")), envoy_filter(code, context="SIDECAR_OUTBOUND"))
    for name in ("b:8000", "c", "two.shop:8000", "B.shop:8000"):
        answer = await town.rig.get("http://10.9.9.9/", proxy=f"http://{town.address(2)}:15001", headers={"x-to": name})
        assert answer.status == 200


# -- distribution ---------------------------------------------------------------------------------------------------


async def test_118_one_bad_table_does_not_hold_the_others_back(town: Town) -> None:
    await town.have(vs(to("v1"), host="*", gateways=["gw"]), vs(to("v1"), name="mesh"))
    await town.have(
        vs(to("v2"), host="*", gateways=["gw"]),
        vs(to("v2", ", match: [{uri: {regex: '(?=x)'}}]"), name="mesh"),
    )
    tables = {each.resource.name.partition("#")[0] for each in town.rig.refused}
    assert tables == {"http_proxy/shop", "http_proxy/elsewhere"}
    assert (await town.enter()).json["by"] == "v2"
    assert await town.who() == "v1"


async def test_43_and_117_after_the_acknowledgement_no_answer_is_old(town: Town) -> None:
    for turn in range(20):
        wanted = ("v1", "v2")[turn % 2]
        await town.have(vs(to(wanted)))
        assert {await town.who() for _ in range(5)} == {wanted}


async def test_44_subsets_come_and_go_under_load_without_a_failure(town: Town) -> None:
    """A subset and the route to it appear in one step, then vanish in one step, again and again."""
    rule = town.cluster.get("DestinationRule", "b")
    base = {**rule["spec"], "subsets": rule["spec"]["subsets"][:1]}
    seen: list[str | int] = []
    running = True

    async def load() -> None:
        while running:
            seen.append(await town.who())

    await town.have(vs(to("v1")))
    clients = [asyncio.create_task(load()) for _ in range(4)]
    for turn in range(40):
        lane = turn % 2 == 0
        town.cluster.apply({**rule, "spec": rule["spec"] if lane else base})
        await town.have(vs(to("v2") if lane else to("v1")))
    running = False
    await asyncio.gather(*clients)
    assert set(seen) == {"v1", "v2"}
    assert len(seen) > 100
