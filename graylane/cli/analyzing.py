"""Reads manifests or a cluster once and prints what the analyzers and the proof find.

Shell. In: a question, a scope. Out: text or a document on stdout; `CheckFailed` when there is an error.
"""

from __future__ import annotations

import contextlib
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from graylane.chain.requests import Dye, DyeHeader
from graylane.cli import manifests
from graylane.cli.connect import connect
from graylane.cli.exits import CheckFailed
from graylane.cli.lines import line_of
from graylane.cli.manifests import Manifest
from graylane.cli.options import Format, Scope
from graylane.cli.output import dump, emit
from graylane.cli.reading import read
from graylane.cli.strictness import judged, served
from graylane.cli.written import by_origin, listed
from graylane.errors import Forbidden, UserError
from graylane.mesh.analyzers.everything import Message, analysed, ordered
from graylane.mesh.analyzers.kubernetes import ASKED, with_translations
from graylane.mesh.analyzers.lanes import broken
from graylane.mesh.explain.reading import KINDS, Lists, inputs_of, view_of
from graylane.mesh.findings import Finding
from graylane.mesh.prove.imagine import imagined
from graylane.mesh.prove.lane import Lane, lane_of
from graylane.mesh.prove.proof import Proof
from graylane.mesh.prove.walk import prove
from graylane.mesh.prove.words import lines
from graylane.model import kinds
from graylane.model.meta import Obj, name_of, namespace_of

_WIDTH = 80
_READ = tuple(dict.fromkeys((*KINDS, kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.ROLLOUT)))


@dataclass(frozen=True, slots=True)
class Question:
    files: tuple[Path, ...] = ()
    lanes: tuple[str, ...] = ()
    everywhere: bool = False

    def dyes(self) -> list[Dye]:
        return [_dye(text) for text in self.lanes]


def _dye(text: str) -> Dye:
    """`name=value`, and `name=value,name=value` for a lane that needs several headers."""
    parts = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and value for name, _, value in parts):
        raise UserError(f"--lane {text}: not NAME=VALUE; type e.g. --lane my-request-id=canary")
    return Dye(tuple(DyeHeader(name.strip().lower(), value) for name, _, value in parts))


@dataclass(frozen=True, slots=True)
class _Read:
    """What the analyzers look at: `whole` for Istio's findings, `running` for proofs; `refused` by an API server."""

    whole: Lists
    running: Lists
    namespace: str
    where: str
    refused: tuple[Message, ...] = ()
    written: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)

    def reference(self, message: Message) -> str:
        manifest = next((each for (_, origin), each in self.written.items() if origin == message.origin), None)
        if manifest is None or manifest.node is None:
            return ""
        return f"{manifest.file}:{line_of(manifest.node, message.finding.message)}"


async def show(question: Question, scope: Scope, form: Format) -> None:
    dyes = question.dyes()
    found = _of_files(question, scope.namespace) if question.files else await _of_cluster(question, scope)
    proofs = [prove(view_of(found.running), inputs_of(found.running), _lane(found.running, dye)) for dye in dyes]
    _tell(found, proofs, form)


def _lane(lists: Lists, dye: Dye) -> Lane:
    return lane_of(view_of(lists), inputs_of(lists), dye)


def _tell(found: _Read, proofs: list[Proof], form: Format) -> None:
    of_lanes = [message for proof in proofs for message in broken(proof)]
    everything = ordered([*_once(found.refused, analysed(found.whole, found.namespace)), *of_lanes])
    if form is Format.TEXT:
        emit(
            [*_text(found, everything), *_held(proofs)] or [f"No validation issues found when analyzing {found.where}."]
        )
    else:
        print(dump([each.to_json(found.reference(each)) for each in everything], form), flush=True)
    errors = sum(each.finding.level == "ERROR" for each in everything)
    if errors:
        raise CheckFailed(f"{errors} {'errors' if errors > 1 else 'error'} found when analyzing {found.where}")


def _once(refused: tuple[Message, ...], analysed: tuple[Message, ...]) -> Iterator[Message]:
    """Of a field that both the API server and Istio refuse, Istio's word."""
    told = {(each.origin, _field(each)) for each in analysed}
    yield from (each for each in refused if (each.origin, _field(each)) not in told)
    yield from analysed


def _field(message: Message) -> str:
    return message.finding.message.removeprefix("Schema validation error: ").partition(": ")[0]


def _text(read: _Read, messages: tuple[Message, ...]) -> Iterator[str]:
    """Folded for a reader; one line each for a program, as `istioctl` prints them."""
    for message in messages:
        line = message.at(read.reference(message))
        folded = textwrap.wrap(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
        yield from folded if sys.stdout.isatty() else [line]
        for number, request in enumerate(message.request, 1):
            yield f"    {number} {request}"


def _held(proofs: list[Proof]) -> Iterator[str]:
    for proof in proofs:
        if not proof.failures:
            yield from lines(proof)


async def _of_cluster(question: Question, scope: Scope) -> _Read:
    async with connect(scope) as (client, found):
        lists = await read(client, _READ)  # of all namespaces, because references reach across them
        with contextlib.suppress(Forbidden):  # who may not read the Gateway API's objects is told of the others
            lists |= await read(client, ASKED)
    namespace = "" if question.everywhere else found
    return _Read(lists, lists, namespace, f"namespace {namespace}" if namespace else "all namespaces")


def _of_files(question: Question, namespace: str) -> _Read:
    written = by_origin(manifests.read(list(question.files)), namespace or "default")
    shown = "" if question.everywhere else namespace
    known = served(each.object for each in written.values())
    verdicts = {key: judged(known, each.object) for key, each in written.items()}
    told = [_message(written[key].object, finding) for key, verdict in verdicts.items() for finding in verdict.findings]
    lists = with_translations(listed(each.object for key, each in written.items() if verdicts[key].sound))
    whole, running = imagined(lists, every_gateway=False), imagined(lists)
    refused = tuple(each for each in told if shown in ("", each.namespace))
    return _Read(whole, running, shown, "the given manifests", refused, written)


def _message(obj: Obj, finding: Finding) -> Message:
    return Message(obj["kind"], namespace_of(obj), name_of(obj), finding)
