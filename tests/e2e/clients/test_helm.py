"""Helm through `helm-sdkpy`: a small chart with a definition, installed, upgraded, rolled back and uninstalled.

Helm brings Go's runtime, which wants a process of its own: each test hands its steps to a Python that has nothing else.
The rollback is the one that Helm does itself after an upgrade that failed: the library's `Rollback` (up to 0.1.32)
stops at "wait strategy not set" before it asks any server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
import yaml

from graylane.testing.api.objects import widget_crd
from tests.e2e.clients.cluster import INSTALL, Cluster

pytest.importorskip("helm_sdkpy", reason=INSTALL)

pytestmark = pytest.mark.e2e

STEPS = """
import asyncio, json, sys
import helm_sdkpy as helm

async def main(namespace, kubeconfig, steps):
    config = helm.Configuration(namespace=namespace, kubeconfig=kubeconfig)
    results = []
    for name, arguments in steps:
        try:
            results.append(await getattr(helm, name)(config).run(**arguments))
        except helm.HelmError as error:
            results.append({"error": str(error)})
    print("RESULT" + json.dumps(results))

asyncio.run(main(*json.loads(sys.argv[1])))
"""

MAP = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-settings
  labels: {app.kubernetes.io/managed-by: {{ .Release.Service }}}
data:
  colour: {{ .Values.colour | quote }}
  version: {{ .Capabilities.KubeVersion.Version | quote }}
"""

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {app: web}
  ports:
  {{- range .Values.ports }}
  - {name: p{{ . }}, port: {{ . }}}
  {{- end }}
"""

HOOK = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
"""


def chart(directory: Path, group: str) -> Path:
    """The smallest chart that has all that matters: a definition, an object of it, values, a hook, a capability."""
    custom = f"""
apiVersion: {group}/v1
kind: Widget
metadata: {{name: {{{{ .Release.Name }}}}}}
spec: {{size: {{{{ .Values.size }}}}}}
"""
    files = {
        "Chart.yaml": yaml.safe_dump({"apiVersion": "v2", "name": "small", "version": "1.0.0"}),
        "values.yaml": yaml.safe_dump({"colour": "red", "ports": [80], "size": 1}),
        "crds/widgets.yaml": yaml.safe_dump(widget_crd(group)),
        "templates/map.yaml": MAP,
        "templates/service.yaml": SERVICE,
        "templates/hook.yaml": HOOK,
        "templates/widget.yaml": custom,
    }
    for name, text in files.items():
        path = directory / "small" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory / "small"


class Helm:
    def __init__(self, cluster: Cluster, namespace: str, home: Path) -> None:
        self._cluster, self._namespace, self._home = cluster, namespace, home

    def run(self, *steps: tuple[str, dict[str, Any]]) -> list[Any]:
        """What each step answered."""
        asked = json.dumps([self._namespace, self._cluster.kubeconfig, steps])
        done = subprocess.run(
            [sys.executable, "-c", STEPS, asked],
            env={**os.environ, "HOME": str(self._home)},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: list[Any] = json.loads(done.stdout.rpartition("RESULT")[2])
        return found


def step(name: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    return name, arguments


@pytest.fixture
def helm(cluster: Cluster, ns: str, tmp_path: Path) -> Helm:
    return Helm(cluster, ns, tmp_path)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return chart(tmp_path, f"g{uuid.uuid4().hex[:8]}.example.com")


def present(cluster: Cluster, path: str) -> bool:
    try:
        cluster.get(path)
    except HTTPError as error:
        return error.code != 404
    return True


@pytest.mark.parametrize("server_side", [False, True], ids=["client-side", "server-side"])
def test_a_release_lives_and_dies(helm: Helm, small: Path, cluster: Cluster, ns: str, server_side: bool) -> None:
    core = f"/api/v1/namespaces/{ns}"
    where = {"release_name": "web", "chart_path": str(small)}
    group = yaml.safe_load((small / "crds/widgets.yaml").read_text())["spec"]["group"]

    def data() -> Any:
        return cluster.get(f"{core}/configmaps/web-settings")["data"]

    (installed,) = helm.run(step("Install", **where, server_side_apply=server_side, timeout=30))
    assert "error" not in installed, installed
    assert data()["colour"] == "red"
    assert data()["version"].startswith("v1.")
    assert present(cluster, f"{core}/configmaps/web-hook")
    assert cluster.get(f"/apis/{group}/v1/namespaces/{ns}/widgets/web")["spec"]["size"] == 1

    values = {"colour": "green", "ports": [80, 81], "size": 2}
    (upgraded,) = helm.run(step("Upgrade", **where, values=values, server_side_apply=server_side, timeout=30))
    assert "error" not in upgraded, upgraded
    assert data()["colour"] == "green"
    assert [port["port"] for port in cluster.get(f"{core}/services/web")["spec"]["ports"]] == [80, 81]
    assert cluster.get(f"/apis/{group}/v1/namespaces/{ns}/widgets/web")["spec"]["size"] == 2

    broken = {"values": {"colour": "blue", "size": 0}, "rollback_on_failure": True}
    failed, history = helm.run(
        step("Upgrade", **where, **broken, server_side_apply=server_side, timeout=30),
        step("History", release_name="web"),
    )
    assert "spec.size" in failed["error"]
    assert [entry["version"] for entry in history] == [1, 2, 3, 4]
    assert history[-1]["info"]["description"] == "Rollback to 2"
    assert data()["colour"] == "green"
    assert [port["port"] for port in cluster.get(f"{core}/services/web")["spec"]["ports"]] == [80, 81]

    removed, left = helm.run(step("Uninstall", release_name="web", timeout=30), step("List", all=True))
    assert "error" not in removed, removed
    assert not left
    assert not present(cluster, f"{core}/configmaps/web-settings")
    assert present(cluster, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}")


def test_a_release_that_the_server_refuses_fails_with_its_words(helm: Helm, small: Path) -> None:
    where = {"release_name": "web", "chart_path": str(small)}
    (refused,) = helm.run(step("Install", **where, values={"size": 0}, timeout=30))
    assert "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1" in refused["error"]
