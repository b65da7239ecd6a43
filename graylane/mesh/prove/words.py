"""A proof in words: what holds, and for what does not a request to try it with.

Pure. In: a `Proof`. Out: lines, and `curl` commands.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator

from graylane.mesh.prove.proof import Failure, Proof, Step

WIDTH = 80


def curl(step: Step) -> str:
    """The request of one hop as typed: at a gateway from outside, else from the pod that sends it."""
    request = step.request
    parts = ["curl"]
    if request.method != "GET":
        parts += ["-X", request.method]
    for name, value in request.headers:
        parts += ["-H", f"{name}: {value}" if value else f"{name};"]
    if not step.at_gateway:
        namespace, _, name = step.caller.removeprefix("pod ").partition("/")
        return f"kubectl -n {namespace} exec {name} -- {shlex.join([*parts, _url(request.authority, request.path)])}"
    address, _, port = step.listener.rpartition("_")
    if request.scheme == "https":
        parts += ["-k", "--connect-to", f"::{address}:{port}"]
        return shlex.join([*parts, f"https://{request.authority}{request.path}"])
    where = address if port == "80" else f"{address}:{port}"
    if request.authority != where:
        parts += ["-H", f"Host: {request.authority}"]
    return shlex.join([*parts, _url(where, request.path)])


def _url(authority: str, path: str) -> str:
    return f"http://{authority}{path}"


def sentence(failure: Failure) -> str:
    """`hop 2, VirtualService default/vs-mockb http[0]: a plain request reaches a canary: it reaches …`."""
    decided = failure.last.rule or "the Service itself, no rule"
    return f"hop {failure.hop}, {decided}: {failure.claim}: {failure.says}"


def lines(proof: Proof) -> list[str]:
    verdict = _verdict(proof)
    return [*textwrap.wrap(f"lane {proof.lane}: {verdict}", WIDTH), *_failures(proof)]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _verdict(proof: Proof) -> str:
    tried = f"{_counted(proof.requests, 'kind')} of requests at {_counted(proof.hops, 'hop')}"
    unsure = ""
    if proof.not_evaluated:
        unsure = f"; what {', '.join(proof.not_evaluated)} may change before is not known here"
    if proof.failures:
        return f"{len(proof.failures)} of the promises broken among {tried}{unsure}"
    if not proof.complete:
        return f"not proved: there are more kinds of requests than the {proof.requests} that were tried{unsure}"
    canary = "" if proof.canaries else "; no canary is ready, so dyed requests go where plain ones go"
    return f"holds for {tried}{canary}{unsure}"


def _failures(proof: Proof) -> Iterator[str]:
    for failure in proof.failures:
        yield from textwrap.wrap(sentence(failure), WIDTH, initial_indent="  ", subsequent_indent="    ")
        for number, step in enumerate(failure.trail, 1):
            yield f"    {number} {curl(step)}"
