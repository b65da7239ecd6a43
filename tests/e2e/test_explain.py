"""What `graylane explain` says of a request is what happens to it: asked of a running cluster, beside curl."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graylane.testing.waiting import eventually

from .rig import EXAMPLES, GRAYLANE, Up, started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

DYED = "my-request-id: canary"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with started(tmp_path / "data", "-f", str(EXAMPLES)) as rig:
        yield rig


def graylane(up: Up, line: str) -> subprocess.CompletedProcess[str]:
    command = [*GRAYLANE, *shlex.split(line)]
    return subprocess.run(command, env=up.environment(), capture_output=True, text=True, timeout=90, check=False)


def predicted(up: Up, *headers: str) -> list[tuple[str, str]]:
    """The address and version that answer at each hop."""
    arguments = " ".join(f"--header {shlex.quote(header)}" for header in headers)
    done = graylane(up, f"explain -o json {arguments}")
    assert done.returncode == 0, done.stderr
    found: list[tuple[str, str]] = []
    hops: list[dict[str, Any]] = json.loads(done.stdout)["hops"]
    while hops:
        [hop] = hops
        [destination] = hop["destinations"]
        [pod] = destination["pods"]
        found.append((pod["address"].partition(":")[0], pod["version"]))
        hops = hop["calls"]
    return found


def seen(up: Up, *headers: str) -> list[tuple[str, str]]:
    found = re.findall(r"version: (\w+), ip: ([\d.]+)", up.curl(*headers))
    return [(address, version) for version, address in found]


def plain_served(up: Up) -> bool:
    return len(seen(up)) == 2


async def test_each_hop_is_answered_by_the_pod_that_was_named(up: Up) -> None:
    await eventually(lambda: plain_served(up), 30, "base answers")
    assert predicted(up, DYED) == predicted(up) == seen(up, DYED)
    for app in ("mocka", "mockb"):
        up.kubectl("set", "env", f"deploy/{app}-base", "version=canary")
    assert graylane(up, "status --until paused --timeout 60").returncode == 0
    dyed, plain = predicted(up, DYED), predicted(up)
    assert (dyed, plain) == (seen(up, DYED), seen(up))
    assert ([version for _, version in dyed], [version for _, version in plain]) == (["canary"] * 2, ["base"] * 2)
    text = graylane(up, "explain --header my-request-id=canary").stdout
    assert "VirtualService default/vs-mockb http[0]: header my-request-id" in text
    assert "EnvoyFilter istio-system/http-request-labelling-according-source" in text
    assert "every proxy has confirmed the rules above" in text
    await comes_in_through(up, "mockb")


INBOUND = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: inside, namespace: default}
spec:
  workloadSelector: {labels: {app: APP}}
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
    patch:
      operation: INSERT_FIRST
      value:
        name: lua
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
          inline_code: |
            function envoy_on_response(handle) handle:headers():add("x-inside", "yes") end
"""


async def comes_in_through(up: Up, app: str) -> None:
    """A filter on the inbound side is named at the pods it stands before, and the ledger still knows these pods."""
    before = seen(up, DYED)
    manifest = up.data / "inside.yaml"
    manifest.write_text(INBOUND.replace("APP", app))
    up.kubectl("apply", "-f", str(manifest))
    ready = "-n default --for=condition=Reconciled envoyfilter/inside --timeout=30s"
    up.kubectl("wait", *ready.split())
    assert seen(up, DYED) == before
    text = " ".join(graylane(up, "explain --header my-request-id=canary").stdout.split())
    assert "EnvoyFilter default/inside changes requests there" in text
    verified = graylane(up, "verify --header my-request-id=canary")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_a_refusal_is_the_one_that_envoy_gives(up: Up) -> None:
    await eventually(lambda: plain_served(up), 30, "base answers")
    hosts = {"spec": {"hosts": ["shop.example.com"]}}
    up.kubectl("patch", "virtualservice", "vs-mocka", "--type=merge", "-p", json.dumps(hosts))
    status = f"curl -s -o /dev/null -w '%{{http_code}}' {up.gateway}"
    await eventually(lambda: up.shell(status).stdout == "404", 30, "the gateway forgets other hosts")
    refused = graylane(up, "explain")
    assert refused.returncode == 1
    assert "404 NR route_not_found" in refused.stderr
    assert "send one of these with --host" in refused.stdout
    assert graylane(up, "explain --host shop.example.com").returncode == 0
    assert up.shell(f"{status} -H 'Host: shop.example.com'").stdout == "200"
