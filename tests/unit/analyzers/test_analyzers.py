"""Istio's messages that matter for releases are found where they should be; a good configuration is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from graylane.cli import manifests
from graylane.cli.written import by_origin, listed
from graylane.mesh.analyzers.everything import analysed
from graylane.mesh.prove.imagine import imagined

from .cases import CASES, GOOD, TO_B, one, patch

EXAMPLES = Path(__file__).parents[3] / "examples" / "end-to-end-canary"


def found(tmp_path: Path, *texts: str) -> dict[str, list[tuple[str, str, str]]]:
    """By code: level, origin and message."""
    (tmp_path / "all.yaml").write_text("\n---\n".join(texts))
    written = by_origin(manifests.read([tmp_path / "all.yaml"]), "default")
    lists = listed(each.object for each in written.values())
    by_code: dict[str, list[tuple[str, str, str]]] = {}
    for each in analysed(imagined(lists, every_gateway=False)):
        by_code.setdefault(each.finding.code, []).append((each.level, each.origin, each.finding.message))
    return by_code


def test_a_good_configuration_is_left_alone(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD) == {}
    files = [path.read_text() for path in sorted(EXAMPLES.glob("0[1-6]*.yaml"))]
    assert found(tmp_path, *files) == {}


@pytest.mark.parametrize(
    ("code", "level", "origin", "says", "text"), CASES, ids=[f"{row[0]} {row[3]}" for row in CASES]
)
def test_it_is_found_with_istios_code_and_level(
    tmp_path: Path, code: str, level: str, origin: str, says: str, text: str
) -> None:
    told = found(tmp_path, GOOD, text)
    assert [each for each in told.get(code, []) if each[:2] == (level, origin) and says in each[2]], told


def test_priority_or_order_settles_a_filters_place(tmp_path: Path) -> None:
    merge = "applyTo: CLUSTER, patch: {operation: MERGE, value: {}}"
    assert "IST0151" not in found(tmp_path, GOOD, patch(merge, "priority: 5, "))


def test_two_that_nobody_sees_together_do_not_clash(tmp_path: Path) -> None:
    document = yaml.safe_load(
        one("VirtualService", f"{{hosts: [b], exportTo: ['.'], http: [{{{TO_B}}}]}}").strip("-\n")
    )
    document["metadata"]["namespace"] = "elsewhere"
    document["spec"]["hosts"] = ["b.default.svc.cluster.local"]
    other = GOOD.replace("  hosts: [b]\n", "  hosts: [b]\n  exportTo: [default]\n")
    assert "IST0109" not in found(tmp_path, other, yaml.safe_dump(document))
    assert "IST0109" in found(tmp_path, GOOD, yaml.safe_dump(document))


def test_a_mesh_config_that_cannot_be_read_is_found_and_one_that_can_be_holds(tmp_path: Path) -> None:
    def config(text: str) -> str:
        meta = {"name": "istio", "namespace": "istio-system"}
        return yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"mesh": text}})

    (told,) = found(tmp_path, GOOD, config("connectTimeout: soon"))["IST0106"]
    assert told[:2] == ("Error", "ConfigMap istio-system/istio")
    assert "mesh.connectTimeout 'soon' must be a duration above 0" in told[2]
    assert found(tmp_path, GOOD, config("connectTimeout: 1s")) == {}
