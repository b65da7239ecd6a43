"""Every shipped script does what the cases beside it say: object + strategy → object, or an error."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.trafficrouting.cases import Outcome, differences, read_case
from graylane.trafficrouting.lua.sandbox import Sandbox, ScriptFailed
from graylane.trafficrouting.lua.script import LuaError, Script
from graylane.trafficrouting.providers.custom import Contribution, script_input
from graylane.trafficrouting.scripts import config_map_key, data_key, find, shipped

DOCUMENT = Path(__file__).parents[3] / "docs" / "lua.md"
SCRIPTS = Path(__file__).parents[3] / "graylane" / "trafficrouting" / "scripts"
CASES = sorted(SCRIPTS.glob("*/*/cases/*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_a_script_gives_what_its_case_expects(path: Path) -> None:
    case = read_case(path.read_text(), path.name)
    script = shipped(path.parents[1].name, path.parents[2].name)
    assert script is not None
    assert differences(case, run(script, case.obj)) == []


def run(script: Script, obj: dict[str, Any]) -> Outcome:
    try:
        return Sandbox(lambda line: None).run(script.source, obj)
    except ScriptFailed as failed:
        return LuaError(script.name, failed.line, failed.message)


def test_every_script_has_cases() -> None:
    assert {path.parent for path in SCRIPTS.rglob("*.lua")} == {path.parents[1] for path in CASES}


def test_a_script_in_the_config_map_replaces_ours() -> None:
    key = data_key("VirtualService", "networking.istio.io")
    assert key == "lua.traffic.routing.VirtualService.networking.istio.io"
    found = find({"data": {key: "return obj.data"}}, "VirtualService", "networking.istio.io")
    assert found is not None
    assert found.source == "return obj.data"
    assert found.name == f"ConfigMap {config_map_key()} {key}"


def test_a_kind_without_a_script_anywhere_has_none() -> None:
    assert find({"data": {}}, "ApisixRoute", "apisix.apache.org") is None
    assert find(None, "../..", "networking.istio.io") is None


def test_the_documents_example_does_what_it_says() -> None:
    example = DOCUMENT.read_text().split("```yaml\n")[1].split("```")[0]
    source = yaml.safe_load(example)["data"]["lua.traffic.routing.ApisixRoute.apisix.apache.org"]
    spec = {"http": [{"backends": [{"serviceName": "shop", "servicePort": 80}]}]}
    wish = Contribution("shop", "default", {"weight": 20})
    assert Sandbox(lambda line: None).run(source, script_input({"spec": spec}, wish))["spec"]["http"][0][
        "backends"
    ] == [
        {"serviceName": "shop", "servicePort": 80, "weight": 80},
        {"serviceName": "shop-canary", "servicePort": 80, "weight": 20},
    ]


def test_the_documents_case_holds() -> None:
    script, case = (DOCUMENT.read_text().split("```yaml\n")[number].split("```")[0] for number in (1, -1))
    source = yaml.safe_load(script)["data"]["lua.traffic.routing.ApisixRoute.apisix.apache.org"]
    known = read_case(case, "twenty-percent.yaml")
    assert differences(known, run(Script("apisix.lua", source), known.obj)) == []
