"""`graylane analyze` of manifests: what it prints, for people and programs, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graylane.cli.root import run

EXAMPLES = Path(__file__).parents[3] / "examples" / "end-to-end-canary"
LANE = "my-request-id=canary"

BY_HAND = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web, version: v1}}, spec: {containers: [{name: x, image: y}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v2}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web, version: v2}}, spec: {containers: [{name: x, image: y}]}}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - match: [{headers: {x-lane: {exact: blue}}}]
    route: [{destination: {host: web, subset: v2}}]
  - route: [{destination: {host: web, subset: v1}}]
"""
ROUTING = """---
apiVersion: rollouts.kruise.io/v1alpha1
kind: TrafficRouting
metadata: {name: web}
spec:
  objectRef: [{service: web, customNetworkRefs: []}]
  strategy: {matches: [{headers: [{type: RegularExpression, name: x-lane, value: 'blue.*'}]}]}
"""


def shipped() -> list[str]:
    return [argument for path in sorted(EXAMPLES.glob("0[1-6]*.yaml")) for argument in ("-f", str(path))]


def test_a_good_configuration_ends_with_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", *shipped()]) == 0
    assert capsys.readouterr().out == "No validation issues found when analyzing the given manifests.\n"


def test_an_error_is_one_line_and_ends_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text(BY_HAND.replace("subset: v2}", "subset: v3}"))
    assert run(["analyze", "-f", str(tmp_path)]) == 1
    told = capsys.readouterr()
    origin = f"VirtualService default/web {tmp_path / 'bad.yaml'}:33"
    wanted = f"Error [IST0101] ({origin}) Referenced host+subset in destinationrule not found: 'web+v3'"
    assert told.out.splitlines() == [wanted]
    assert told.err == "graylane: 1 error found when analyzing the given manifests\n"


def test_a_document_has_the_fields_of_istioctl_and_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(BY_HAND.replace("subset: v2}", "subset: v3}"))
    assert run(["analyze", "-f", str(tmp_path / "bad.yaml"), "-o", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["code"], found["level"], found["origin"]) == ("IST0101", "Error", "VirtualService default/web")
    assert found["reference"] == f"{tmp_path / 'bad.yaml'}:33"
    assert found["documentationUrl"].endswith("/ist0101/")


WRONG = {
    "an unknown field": ("selector: {app: web}", "selectors: {app: web}", "IST0106", 'unknown field "spec.selectors"'),
    "one deep in a list": ("exact: blue", "exct: blue", "IST0106", '"spec.http[0].match[0].headers.x-lane.exct"'),
    "another type": (
        "name: http, port: 80",
        "name: http, port: x",
        "IST0106",
        "cannot unmarshal string",
    ),
    "a version that is not served": ("apps/v1", "apps/v1beta1", "IST0106", 'no matches for kind "Deployment"'),
    "a map for a list": ("hosts: [web]", "hosts: {web: x}", "IST0106", "spec.hosts"),
}


@pytest.mark.parametrize(("good", "bad", "code", "says"), WRONG.values(), ids=WRONG)
def test_what_an_api_server_would_refuse_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], good: str, bad: str, code: str, says: str
) -> None:
    text = BY_HAND.replace(good, bad, 1)
    (tmp_path / "bad.yaml").write_text(text)
    assert run(["analyze", "-f", str(tmp_path), "-o", "log"]) == 1
    line = next(number for number, each in enumerate(text.splitlines(), 1) if bad in each)
    told = [each for each in capsys.readouterr().out.splitlines() if f"[{code}]" in each and says in each]
    assert len(told) == 1
    assert f"bad.yaml:{line})" in told[0]


BROKEN = {
    "a port without a number": ("{name: http, port: 80}", "{name: http}", 1, "spec.ports[0].port: "),
    "a hole in a list": ("ports: [{name: http, port: 80}]", "ports: [null]", 1, "spec.ports[0]: Invalid value: null"),
    "an object within itself": ("selector: {app: web}", "selector: &a {app: *a}", 2, "not what JSON can say"),
    "a route to nowhere": ("route: [{destination: {host: web, subset: v1}}]", "route: [{}]", 1, "destination"),
    "no list of hosts": ("hosts: [web]", "hosts: null", 1, "hosts"),
}


@pytest.mark.parametrize(("good", "bad", "code", "says"), BROKEN.values(), ids=BROKEN)
def test_manifests_that_are_broken_are_told_so_and_are_no_defect_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], good: str, bad: str, code: int, says: str
) -> None:
    assert good in BY_HAND
    (tmp_path / "bad.yaml").write_text(BY_HAND.replace(good, bad))
    assert run(["analyze", "-f", str(tmp_path)]) == code
    told = capsys.readouterr()
    assert says in told.out + told.err


def test_kinds_of_crds_among_the_manifests_are_judged_by_these(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = "{type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}"
    crd = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: widgets.example.com}}
spec:
  group: example.com
  scope: Namespaced
  names: {{kind: Widget, plural: widgets, singular: widget}}
  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {spec}}}}}]
"""
    widget = "\n---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 1, colour: red}\n"
    (tmp_path / "all.yaml").write_text(crd + widget)
    assert run(["analyze", "--filename", str(tmp_path)]) == 1
    assert 'all.yaml:15) Schema validation error: unknown field "spec.colour"' in capsys.readouterr().out
    (tmp_path / "all.yaml").write_text(widget)
    assert run(["analyze", "--filename", str(tmp_path)]) == 0


def test_a_lane_made_by_hand_is_proved_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web.yaml").write_text(BY_HAND)
    assert run(["analyze", "-f", str(tmp_path), "--lane", "x-lane=blue"]) == 0
    assert "lane x-lane:blue: holds for" in capsys.readouterr().out
    rule = "  - match: [{uri: {prefix: /pay}}]\n    route: [{destination: {host: web, subset: v2}}]\n  http:\n"
    moved = BY_HAND.replace("  http:\n", "  http:\n" + rule.replace("  http:\n", ""))
    (tmp_path / "web.yaml").write_text(moved)
    assert run(["analyze", "-f", str(tmp_path), "--lane", "x-lane=blue", "-o", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["code"], found["origin"]) == ("GRL0101", "Lane x-lane:blue")
    assert "a plain request reaches a canary" in found["message"]
    assert found["request"][0].endswith("curl http://web/pay")


def test_a_lane_may_need_several_headers_or_go_by_an_expression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = "headers: {x-lane: {exact: blue}, x-team: {exact: pay}}"
    (tmp_path / "web.yaml").write_text(BY_HAND.replace("headers: {x-lane: {exact: blue}}", headers))
    assert run(["analyze", "-f", str(tmp_path), "--lane", "x-lane=blue,x-team=pay"]) == 0
    assert "lane x-lane:blue x-team:pay: holds for" in capsys.readouterr().out
    assert run(["analyze", "-f", str(tmp_path), "--lane", "x-lane=blue"]) == 1
    (tmp_path / "web.yaml").write_text(BY_HAND + ROUTING)
    capsys.readouterr()
    run(["analyze", "-f", str(tmp_path), "--lane", "x-lane=blue-7"])
    assert "lane x-lane~blue.*" in capsys.readouterr().out


@pytest.mark.parametrize("lane", ["x-lane", "=blue", "x-lane=", "x-lane=blue,"])
def test_a_lane_is_a_name_and_a_value(lane: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", *shipped(), "--lane", lane]) == 2
    assert "--lane my-request-id=canary" in capsys.readouterr().err


def test_the_scenarios_lane_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", *shipped(), "--lane", LANE]) == 0
    assert "lane my-request-id:canary: holds for" in capsys.readouterr().out
