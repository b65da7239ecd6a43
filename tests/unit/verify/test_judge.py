"""What was seen beside what was predicted: the scenario under release, with sightings as proxies would tell them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml
from chain.scene import Scene, base, release

from graylane.chain.match import Request
from graylane.chain.seen import Headers, Linked, SeenHop
from graylane.cli.layout import WIDTH
from graylane.cli.verify_text import Summary, lines
from graylane.mesh.explain.reading import KINDS, inputs_of
from graylane.mesh.explain.scene import scene_of
from graylane.mesh.ledger.links import linked
from graylane.mesh.verify.judge import Fits, Judge, Judged, Sent, unobserved
from graylane.mesh.verify.report import Report, document, report
from graylane.testing import meshes

DYED: Headers = (("my-request-id", "canary"),)
CLIENT = "127.0.0.1:40000"
ADDRESSES = {
    "mocka-base-pod": "10.0.0.1",
    "mockb-base-pod": "10.0.0.2",
    "mocka-base-x7k2p-pod": "10.0.1.1",
    "mockb-base-x7k2p-pod": "10.0.1.2",
}
GATEWAY = "127.0.0.1_30080"

DROPS = """
kind: EnvoyFilter
metadata: {name: drops, namespace: default}
spec:
  workloadSelector: {labels: {app: mocka}}
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: SIDECAR_INBOUND}
    patch:
      operation: INSERT_FIRST
      value:
        name: drops
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          inline_code: 'function envoy_on_request(handle) handle:headers():remove("my-request-id") end'
"""


def released(*apps: str) -> Scene:
    scene = base()
    scene.put(meshes.gateway_service(30080))
    scene.put({"kind": "Pod"} | meshes.gateway_pod("127.20.0.1", "127.0.0.1"))
    for app in apps:
        release(scene, app, f"rollouts-{app[-1]}")
    return scene


def judge_of(scene: Scene, *more: dict[str, Any]) -> Judge:
    """`more` are objects that only the mesh reads."""
    lists: dict[Any, list[Any]] = {kind: [] for kind in KINDS}
    by_name = {kind.kind: kind for kind in KINDS}
    for (name, _), obj in scene.objects.items():
        if name in by_name:
            lists[by_name[name]].append(obj)
    for obj in more:
        lists[by_name[obj["kind"]]].append(obj)
    return Judge(scene_of(inputs_of(lists)), scene.observed(), frozenset({"my-request-id"}))


def at_gateway(pod: str, headers: Headers = (), cluster: str = "outbound|8000|canary|mocka.default") -> SeenHop:
    return hop(1, GATEWAY, "istio-system/istio-ingressgateway", "mocka", pod, headers, cluster)


def at_mocka(caller: str, pod: str, headers: Headers = (), subset: str = "canary") -> SeenHop:
    listener = f"{ADDRESSES[caller]}_15001"
    found = hop(2, listener, f"default/{caller}", "mockb:8000", pod, headers, f"outbound|8000|{subset}|mockb.default")
    return replace(found, gateway=False, client="", at=10.1, seconds=0.1)


def hop(number: int, listener: str, caller: str, host: str, pod: str, headers: Headers, cluster: str) -> SeenHop:
    return SeenHop(
        number=number,
        at=10.0,
        seconds=0.5,
        id=f"id-{number}",
        client=CLIENT,
        listener=listener,
        caller=caller,
        gateway=True,
        method="GET",
        authority=host,
        path="/",
        virtual_host="",
        rule="",
        route="r",
        cluster=f"{cluster}.svc.cluster.local" if cluster else "",
        upstream=f"{ADDRESSES[pod]}:8000" if pod else "",
        pod=f"default/{pod}" if pod else "",
        code=200,
        flags="",
        details="via_upstream",
        headers=headers,
        passed=headers,
    )


def judged(scene: Scene, *hops: SeenHop, headers: Headers = DYED) -> list[Judged]:
    sent = Sent(headers == DYED, Request("mocka", headers=headers), CLIENT)
    found: list[Linked] = list(linked(hops))
    return list(judge_of(scene).judge(sent, found))


def short(found: list[Judged]) -> list[tuple[str, str, str, str]]:
    return [(each.path[-1], each.fits.value, each.predicted, each.seen) for each in found]


def test_a_dyed_request_that_canaries_serve_at_each_hop_agrees() -> None:
    found = judged(
        released("mocka", "mockb"),
        at_gateway("mocka-base-x7k2p-pod", DYED),
        at_mocka("mocka-base-x7k2p-pod", "mockb-base-x7k2p-pod", DYED),
    )
    assert short(found) == [("mocka", "agrees", "canary", "canary"), ("mockb", "agrees", "canary", "canary")]
    assert report(found).agrees


def test_a_service_that_drops_the_header_is_named_and_no_rule_is_blamed() -> None:
    found = judged(
        released("mocka", "mockb"),
        at_gateway("mocka-base-x7k2p-pod", DYED),
        at_mocka("mocka-base-x7k2p-pod", "mockb-base-pod", subset="version-base"),
    )
    assert short(found)[1] == ("mockb", "header lost", "canary", "base")
    (trouble,) = report(found).troubles
    assert str(trouble) == "mocka receives my-request-id, its call to mockb lacks it (1 of 1 requests)"


def test_a_lost_header_is_told_even_where_nobody_would_have_noticed() -> None:
    found = judged(
        released("mocka"),
        at_gateway("mocka-base-x7k2p-pod", DYED),
        at_mocka("mocka-base-x7k2p-pod", "mockb-base-pod", subset="version-base"),
    )
    assert short(found)[1] == ("mockb", "header lost", "base", "base")
    assert not report(found).agrees


def test_a_request_that_goes_elsewhere_than_the_rules_say_differs() -> None:
    found = judged(
        released("mocka"),
        at_gateway("mocka-base-pod", DYED, "outbound|8000|version-base|mocka.default"),
        at_mocka("mocka-base-pod", "mockb-base-pod", DYED, "version-base"),
    )
    assert short(found)[0] == ("mocka", "differs", "canary", "base")
    assert [str(each) for each in report(found).troubles] == [
        "mocka, dyed requests: predicted canary, seen base (1 of 1 requests)"
    ]


def test_an_error_of_the_proxy_is_no_answer_of_the_predicted_pod() -> None:
    failed = replace(at_gateway("mocka-base-x7k2p-pod", DYED), code=503, flags="UF", details="upstream_reset")
    found = judged(released("mocka"), failed)
    assert short(found) == [("mocka", "differs", "canary", "503 UF")]


def test_an_error_of_the_service_itself_is_its_own_affair() -> None:
    failed = replace(at_gateway("mocka-base-x7k2p-pod", DYED), code=502)
    assert judged(released("mocka"), failed)[0].fits is Fits.AGREES


def test_a_predicted_refusal_agrees_when_it_is_the_one_that_was_seen() -> None:
    scene = released()
    scene.get("VirtualService", "vs-mocka")["spec"]["hosts"] = ["shop.example.com"]
    refused = replace(at_gateway("", (), ""), code=404, flags="NR", details="route_not_found", route="")
    assert short(judged(scene, refused)) == [("mocka", "agrees", "404 NR", "404 NR")]
    assert short(judged(scene, replace(refused, code=503, flags="UH")))[0][1] == "differs"


def test_what_an_envoyfilter_made_of_the_request_is_what_the_rules_are_asked_about() -> None:
    scene = released("mocka", "mockb")
    edge: Headers = (("agent", "pc"),)
    sent = Sent(True, Request("mocka", headers=edge), CLIENT)
    hops = [
        at_gateway("mocka-base-x7k2p-pod", DYED),
        at_mocka("mocka-base-x7k2p-pod", "mockb-base-x7k2p-pod", DYED),
    ]
    found = list(judge_of(scene).judge(sent, list(linked(hops))))
    assert [each.fits for each in found] == [Fits.AGREES, Fits.AGREES]


def test_where_a_filter_hides_what_a_service_received_that_is_said_and_nobody_is_blamed() -> None:
    judge = judge_of(released("mocka", "mockb"), yaml.safe_load(DROPS))
    hops = [
        replace(at_gateway("mocka-base-x7k2p-pod", DYED), passed=()),
        at_mocka("mocka-base-x7k2p-pod", "mockb-base-pod", subset="version-base"),
    ]
    found = report(judge.judge(Sent(True, Request("mocka", headers=DYED), CLIENT), list(linked(hops))))
    assert found.agrees
    assert [(each.sentence, each.certain) for each in found.troubles] == [
        (
            "what mocka receives of a lane's headers is not known, "
            "since EnvoyFilter default/drops may change it on its way in",
            False,
        )
    ]


def test_two_lines_of_one_header_are_told_of_as_one_and_agree_as_two() -> None:
    twice: Headers = (("my-request-id", "canary,base"),)
    found = judged(
        released("mocka", "mockb"),
        at_gateway("mocka-base-x7k2p-pod", twice),
        at_mocka("mocka-base-x7k2p-pod", "mockb-base-x7k2p-pod", DYED),
    )
    assert [each.fits for each in found] == [Fits.AGREES, Fits.AGREES]


def test_a_call_that_never_came_and_a_request_nobody_told_of_are_said() -> None:
    (_, missing) = judged(released(), at_gateway("mocka-base-pod", (), "outbound|8000|version-base|mocka.default"))
    assert (missing.path, missing.fits) == (("mocka", "mockb"), Fits.NOT_SEEN)
    (nothing,) = judged(released())
    assert nothing.fits is Fits.NOT_SEEN
    sentences = [each.sentence for each in report([missing, nothing]).troubles]
    assert sentences == [
        "mocka is configured to call mockb; no such call was seen",
        "no proxy told of a request for mocka",
    ]


def test_calls_among_other_peoples_requests_are_not_claimed() -> None:
    mine = at_gateway("mocka-base-pod", (), "outbound|8000|version-base|mocka.default")
    other = replace(mine, number=3, id="id-3", client="127.0.0.1:50000")
    call = at_mocka("mocka-base-pod", "mockb-base-pod", (), "version-base")
    found = judged(released(), mine, other, call, headers=())
    assert [each.fits for each in found] == [Fits.AGREES, Fits.CANNOT_TELL]
    told = report(found)
    assert [trouble.certain for trouble in told.troubles] == [False]
    assert not told.agrees  # nothing at all could be told about mockb
    assert report([*found, replace(found[1], fits=Fits.AGREES)]).agrees


def both(*dyed_hops: SeenHop) -> Report:
    scene = released("mocka", "mockb")
    plain = judged(
        scene,
        at_gateway("mocka-base-pod", (), "outbound|8000|version-base|mocka.default"),
        at_mocka("mocka-base-pod", "mockb-base-pod", (), "version-base"),
        headers=(),
    )
    return report([*judged(scene, *dyed_hops), *plain])


def test_the_table_shows_both_kinds_beside_their_prediction_in_80_columns() -> None:
    lossy = both(
        at_gateway("mocka-base-x7k2p-pod", DYED),
        at_mocka("mocka-base-x7k2p-pod", "mockb-base-pod", subset="version-base"),
    )
    text = lines(lossy, Summary("127.0.0.1:30080", DYED, 1))
    assert text == [
        "gateway 127.0.0.1:30080   1 dyed (my-request-id: canary), 1 plain",
        "hop      dyed: predicted  seen      plain: predicted  seen",
        "mocka    canary           canary 1  base              base 1  ok",
        "└ mockb  canary           base 1    base              base 1  !",
        "! mocka receives my-request-id, its call to mockb lacks it (1 of 1 requests)",
        "Predicted from the objects as stored when the first request was sent.",
    ]
    assert [hop["dyed"]["fits"] for hop in document(lossy)["hops"]] == [{"agrees": 1}, {"header lost": 1}]
    long = replace(lossy, rows=tuple(replace(row, path=("n" * 90, "m" * 90)) for row in lossy.rows))
    assert max(map(len, lines(long, Summary("g" * 60, DYED, 1, ("x-long-header-name",))))) <= WIDTH


def test_headers_that_nothing_looks_at_are_named() -> None:
    scene = judge_of(released("mocka")).scene
    sent: Headers = (("my-request-id", "canary"), ("x-tenant", "t"))
    assert unobserved(scene, GATEWAY, sent) == ("x-tenant",)
