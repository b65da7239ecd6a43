"""What is wrong with a chain is found, and nothing is found in a chain with which nothing is wrong."""

from __future__ import annotations

import pytest

from graylane.mesh.prove.words import curl, lines

from .chains import FAULTS, chain, faulty


@pytest.mark.parametrize("block", range(10))
def test_nothing_is_found_in_a_hundred_good_chains(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        proof = chain(seed).scene.prove()
        assert proof.holds, (seed, lines(proof))
        assert proof.canaries


@pytest.mark.parametrize("number", range(4 * len(FAULTS)), ids=lambda number: FAULTS[number % len(FAULTS)].__name__)
def test_every_seeded_fault_is_found(number: int) -> None:
    seed, found = faulty(number)
    assert chain(seed).scene.prove().holds
    proof = found.scene.prove()
    assert proof.complete
    assert proof.failures, seed
    for failure in proof.failures:
        assert curl(failure.last)
