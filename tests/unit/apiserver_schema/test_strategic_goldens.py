"""Strategic merges as pairs: live object and patch in, merged object out. Each file is one behaviour, named by it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.cluster.apiserver.patch import strategic
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.errors import ApiError

GOLDEN = sorted((Path(__file__).parents[2] / "golden/apiserver/strategic").glob("*.yaml"))


def schema(kind: str) -> Structural:
    found = Schemas.load().of("" if kind in ("Service", "Pod") else "apps", "v1", kind)
    assert found is not None
    return found


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_merge(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    before = deepcopy(case)
    merged = strategic.apply(case["live"], case["patch"], schema(case["kind"]))
    assert merged == case["expected"]
    assert case == before, "an input was changed"
    assert strategic.apply(merged, case["patch"], schema(case["kind"])) == merged, "the patch is not idempotent"


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"spec": {"$patch": "explode"}}, "unknown patch type: explode"),
        ({"metadata": {"$setElementOrder/finalizers": "a"}}, "invalid patch format of setElementOrder list"),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}, "invalid patch format of primitive list"),
        ({"spec": {"strategy": {"$retainKeys": "type"}}}, "invalid patch format of retainKeys"),
        ({"spec": {"strategy": {"$retainKeys": [], "type": "x"}}}, "invalid patch format of retainKeys"),
        (
            {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}},
            "not contain declared merge key: name",
        ),
        (
            {"metadata": {"finalizers": ["b", "a"], "$setElementOrder/finalizers": ["a", "b"]}},
            "The order in patch list",
        ),
    ],
)
def test_a_patch_that_cannot_be_obeyed_is_refused(patch: dict[str, Any], message: str) -> None:
    live = {"metadata": {"finalizers": ["a"]}, "spec": {"strategy": {}, "template": {"spec": {"containers": []}}}}
    with pytest.raises(ApiError, match=message):
        strategic.apply(live, patch, schema("Deployment"))
