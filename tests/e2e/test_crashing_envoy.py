"""EnvoyFilters that Envoy accepts and then crashes with: one Envoy after the other, until the culprit is left out."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from graylane.model.meta import condition, dig
from graylane.testing.waiting import eventually

from .rig import EXAMPLES, Up, unstarted

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
TO_NOWHERE = 'require("ffi").cast("int*", 0)[0] = 1'
AT_ONCE = f"{TO_NOWHERE}\nfunction envoy_on_request(h) end"
ON_BOOM = f'function envoy_on_request(h) if h:headers():get(":path") == "/boom" then {TO_NOWHERE} end end'


def says(header: str) -> str:
    return f'function envoy_on_response(h) h:headers():add("{header}", "here") end'


def lua(name: str, code: str, context: str = "GATEWAY") -> str:
    place = {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}}
    value = {"name": name, "typed_config": {"@type": LUA, "inlineCode": code}}
    patch = {"operation": "INSERT_FIRST", "value": value}
    spec = {
        "configPatches": [{"applyTo": "HTTP_FILTER", "match": {"context": context, "listener": place}, "patch": patch}]
    }
    kind = {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter"}
    return yaml.safe_dump({**kind, "metadata": {"name": name, "namespace": "istio-system"}, "spec": spec})


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with unstarted(tmp_path / "data") as rig:
        yield rig


def apply(up: Up, text: str) -> None:
    path = up.data.with_suffix(".yaml")
    path.write_text(text)
    up.kubectl("apply", "-f", str(path))


def state(up: Up, name: str) -> tuple[str, list[str]]:
    """Why an EnvoyFilter is reconciled or not, and the codes of what is said about it."""
    found = json.loads(up.kubectl("get", "envoyfilter", name, "-n", "istio-system", "-o", "json"))
    said: Any = condition(found, "Reconciled") or {}
    messages = dig(found, "status", "validationMessages", default=[])
    return str(said.get("reason")), [dig(each, "type", "code") for each in messages]


def envoy(up: Up) -> dict[str, Any]:
    found = json.loads(up.kubectl("get", "pod", "-n", "istio-system", "-l", "istio=ingressgateway", "-o", "json"))
    return dict(dig(found, "items", 0, "status", "containerStatuses", 0, default={}))


def answers(up: Up, *headers: str) -> bool:
    """Whether the gateway answers, with these headers."""
    said = up.shell(f"curl -si -m 5 {up.gateway}/ || true").stdout.lower()
    return " 200 " in said and all(f"{each}: here" in said for each in headers)


async def test_the_culprit_alone_is_left_out_told_and_still_so_after_a_crash_of_ours(up: Up) -> None:
    up.start("-f", str(EXAMPLES))
    up.kubectl("delete", "envoyfilter", "--all", "-n", "istio-system")
    apply(up, lua("good", says("x-good")))
    await eventually(lambda: answers(up, "x-good"), 30, "the good filter works")

    apply(up, lua("crashes", AT_ONCE))
    await eventually(lambda: state(up, "crashes") == ("LeftOutAfterCrash", ["GRL0006"]), 30, "the culprit is left out")
    await eventually(lambda: answers(up, "x-good"), 30, "all the rest is served")
    assert state(up, "good") == ("Acknowledged", [])
    last = dig(envoy(up), "lastState", "terminated")
    assert (last["exitCode"], "Caught Segmentation fault" in last["message"]) == (139, True)
    events = up.kubectl("get", "events", "-n", "istio-system", "--field-selector=involvedObject.name=crashes")
    assert "LeftOutAfterCrash" in events

    up.kill()
    up.start()
    started = envoy(up)["restartCount"]
    await eventually(lambda: answers(up, "x-good"), 30, "served after a crash of ours")
    assert state(up, "crashes") == ("LeftOutAfterCrash", ["GRL0006"])
    assert envoy(up)["restartCount"] == started

    apply(up, lua("crashes", says("x-mended")))
    await eventually(lambda: answers(up, "x-good", "x-mended"), 30, "an edit ends it")
    assert state(up, "crashes") == ("Acknowledged", [])

    # Now one that only some requests crash in, with a newer one beside it that has nothing to do with them.
    apply(up, lua("crashes", ON_BOOM))
    apply(up, lua("newer", says("x-newer"), "SIDECAR_OUTBOUND"))
    for reason in ("Acknowledged", "LeftOutAfterCrash"):
        up.shell(f"curl -s -m 20 {up.gateway}/boom || true")
        await eventually(lambda told=(reason, ["GRL0006"]): state(up, "crashes") == told, 30, reason)
        await eventually(lambda: answers(up, "x-good"), 30, "it is back")
    up.shell(f"curl -s -m 20 {up.gateway}/boom")
    assert state(up, "newer") == ("Acknowledged", [])

    for _ in range(3):
        pid = await eventually(lambda: pid_of(up), 30, "an Envoy runs")
        os.kill(pid, signal.SIGKILL)
        await eventually(partial(back, up, pid), 30, "a killed Envoy is back")
    assert [state(up, name)[0] for name in ("good", "newer")] == ["Acknowledged"] * 2


def pid_of(up: Up) -> int:
    """Of the Envoy that serves, 0 while there is none."""
    marker = str(up.data / "envoy" / "bootstrap.json").encode()
    for each in up.descendants():
        with contextlib.suppress(OSError):  # it has just ended
            if marker in Path(f"/proc/{each.pid}/cmdline").read_bytes():
                return each.pid
    return 0


def back(up: Up, pid: int) -> bool:
    return answers(up, "x-good") and pid_of(up) not in (0, pid)
