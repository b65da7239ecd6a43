"""`@kubernetes/client-node`: objects, watches, an informer and custom objects, from JavaScript.

The package is taken from `GRAYLANE_NODE_MODULES`, else installed once into the environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.cluster import Cluster

pytestmark = pytest.mark.e2e

NODE = shutil.which("node")
SCRIPT = Path(__file__).with_name("client_node.mjs")


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder that `node_modules` is in."""
    if NODE is None:
        pytest.skip("node is not installed")
    if given := os.environ.get("GRAYLANE_NODE_MODULES"):
        return Path(given)
    home = Path(sys.prefix) / "client-node"  # ours, whoever else tests on this machine
    if not (home / "tried").exists():
        home.mkdir(exist_ok=True)
        (home / "tried").touch()
        with contextlib.suppress(subprocess.TimeoutExpired):
            _install(home)
    if not (home / "node_modules" / "@kubernetes" / "client-node").exists():
        pytest.skip("@kubernetes/client-node cannot be installed here")
    return home


def _install(home: Path) -> None:
    major = int(subprocess.check_output([str(NODE), "--version"], text=True).lstrip("v").partition(".")[0])
    package = f"@kubernetes/client-node@^{2 if major >= 24 else 1}"  # version 2 needs a newer node than many have
    (home / "package.json").write_text("{}")
    if npm := shutil.which("npm"):
        subprocess.run([npm, "install", "--no-audit", "--no-fund", package], cwd=home, timeout=90, check=False)


def run(modules: Path, cluster: Cluster, scenario: str, *arguments: str) -> Any:
    """What one scenario of the script answered. Modules are found from where the script lies."""
    script = modules / "scenarios.mjs"
    script.write_bytes(SCRIPT.read_bytes())
    done = subprocess.run(
        [str(NODE), str(script), scenario, *arguments],
        env={**os.environ, "KUBECONFIG": cluster.kubeconfig},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_object_lives_and_dies(modules: Path, cluster: Cluster, ns: str) -> None:
    assert run(modules, cluster, "objects", ns) == {
        "created": {"a": "1"},
        "twice": [409, "AlreadyExists"],
        "merged": {"a": "1", "b": "2"},
        "stale": [409, "Conflict"],
        "applied": {"a": "1", "b": "2", "c": "3"},
        "missing": [404, "NotFound"],
    }


def test_lists_are_selected_and_paged(modules: Path, cluster: Cluster, ns: str) -> None:
    assert run(modules, cluster, "lists", ns) == {"selected": ["b"], "pages": [["a", "b"], ["c"]]}


def test_a_watch_follows_and_goes_on_where_it_stopped(modules: Path, cluster: Cluster, ns: str) -> None:
    assert run(modules, cluster, "watch", ns) == ["ADDED", "MODIFIED", "DELETED"]


def test_an_informer_keeps_a_cache(modules: Path, cluster: Cluster, ns: str) -> None:
    assert run(modules, cluster, "informer", ns) == {
        "events": ["add first", "add second", "delete first"],
        "left": ["second"],
    }


def test_custom_objects(modules: Path, cluster: Cluster, ns: str, group: str) -> None:
    assert run(modules, cluster, "custom", ns, group) == {
        "colour": "red",
        "size": 5,
        "wrong": [422, "Invalid"],
        "generic": "Widget",
    }
