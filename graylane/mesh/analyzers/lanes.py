"""Broken promises of a lane as findings beside Istio's.

Pure. In: a `Proof`. Out: `Message`s with the requests that show it.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.mesh.analyzers.everything import Message
from graylane.mesh.findings import Finding
from graylane.mesh.prove.proof import Proof
from graylane.mesh.prove.words import curl, sentence


def broken(proof: Proof) -> Iterator[Message]:
    for failure in proof.failures:
        requests = tuple(map(curl, failure.trail))
        yield Message("Lane", "", str(proof.lane), Finding("GRL0101", "ERROR", sentence(failure)), requests)
    if not proof.complete and not proof.failures:
        text = f"there are more kinds of requests than the {proof.requests} that were tried"
        yield Message("Lane", "", str(proof.lane), Finding("GRL0102", "WARNING", f"not proved: {text}"))
