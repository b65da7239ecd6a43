"""What holds for every test.

Properties are judged by what they find, never by how fast a shared machine runs them; and they are `slow`, since they
search whole input spaces: part of `make test`, not of the inner loop `make check`. `make test` tries the same examples
every time, so that it fails for a change and not by chance; `make nightly` (`GRAYLANE_SEARCH=1`) looks for others.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_SEARCH = os.environ.get("GRAYLANE_SEARCH") == "1"

settings.register_profile(
    "graylane", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not _SEARCH
)
settings.load_profile("graylane")

_PROPERTIES = Path(__file__).parent / "properties"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kubeconfig", help="judge the API scenarios by the cluster of this kubeconfig, too")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _PROPERTIES in item.path.parents:
            item.add_marker("slow")
