"""The simulator against a real Envoy: random configurations and requests, and every disagreement there ever was.

`make nightly` tries twenty times as many. A disagreement is printed as small as it can be made, in the form in which it
is kept among the goldens.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from graylane.mesh import simulate

from .reality import Asked, Case, case
from .reality_rig import Reality, Seen, reality
from .reality_shrink import kept, minimised

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

GOLDENS = sorted((Path(__file__).parents[1] / "golden" / "mesh" / "reality").glob("*.yaml"))
CASES = int(os.environ.get("GRAYLANE_REALITY_CASES", "50"))
FIRST = int(os.environ.get("GRAYLANE_REALITY_SEED", "0"))
REQUESTS = 40


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def real() -> AsyncIterator[Reality]:
    async with reality() as found:
        yield found


async def test_simulator_and_envoy_agree_on_every_request(real: Reality) -> None:
    for seed in range(FIRST, FIRST + CASES):
        tried = case(seed, REQUESTS)
        wrong = await real.judge(tried)
        if wrong:
            small, found = await minimised(real, Case(tried.objects, [wrong[0].asked]))
            pytest.fail(f"seed {seed}: {found}\n{kept(small, found)}")
    assert real.compared >= CASES * REQUESTS * 0.8  # the others met code


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.stem)
async def test_a_disagreement_of_the_past_is_one_no_more(real: Reality, golden: Path) -> None:
    content = yaml.safe_load(golden.read_text())
    asked = Asked(**{**content["asked"], "headers": tuple(content["asked"].get("headers", {}).items())})
    found = await real.judge(Case(content["objects"], [asked]))
    assert not found
    assert real.last == Seen(**content["seen"])


async def test_a_simulator_that_is_wrong_is_caught_and_the_reason_isolated(
    real: Reality, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "_answers_preflight", lambda *_: False)
    noise = case(1, 0).objects
    golden = yaml.safe_load((GOLDENS[0].parent / "a-preflight-is-answered-for-the-service.yaml").read_text())
    asked = Asked(**{**golden["asked"], "headers": tuple(golden["asked"]["headers"].items())})
    oldest = {"creationTimestamp": "2023-01-01T00:00:00Z"}
    culprit = {**golden["objects"][0], "metadata": {**golden["objects"][0]["metadata"], **oldest}}
    small, found = await minimised(real, Case([*noise, culprit], [asked]))
    assert found is not None
    assert found.seen.status == 200
    assert [obj["metadata"]["name"] for obj in small.objects] == ["vs"]
    assert "corsPolicy" in kept(small, found)
