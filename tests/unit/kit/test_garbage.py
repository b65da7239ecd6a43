"""What is there when a process is ready is never looked through for garbage again; what comes later is."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from graylane.kit import garbage


class Ring:
    def __init__(self) -> None:
        self.other = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    gc.enable()


def test_nothing_is_collected_while_a_process_is_being_built() -> None:
    garbage.is_being_built()
    assert not gc.isenabled()


def test_what_was_built_is_out_of_the_collectors_sight_and_what_comes_later_is_not() -> None:
    garbage.is_being_built()
    garbage.is_built()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000, "all that pytest and we have loaded"
    before = sum(isinstance(found, Ring) for found in gc.get_objects())
    Ring()
    assert sum(isinstance(found, Ring) for found in gc.get_objects()) == before + 1
    gc.collect()
    assert sum(isinstance(found, Ring) for found in gc.get_objects()) == before
