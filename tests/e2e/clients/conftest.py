"""One API server as a process of its own, for clients that block the thread they run in or bring their own process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.clients.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    with serving(directory):
        yield Cluster.of(directory)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[None]:
    """Until the block is left."""
    command = [sys.executable, "-m", "graylane.testing.api.serve", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("ready")
            yield
        finally:
            process.terminate()


@pytest.fixture
def ns(cluster: Cluster) -> str:
    """A namespace of the test's own."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.post("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture
def group(cluster: Cluster) -> str:
    """A group with a kind Widget (`graylane.testing.api.objects.widget_crd`) of the test's own."""
    return cluster.define_widgets(f"g{uuid.uuid4().hex[:8]}.example.com")
