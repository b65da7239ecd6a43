"""Reads manifests or a cluster once and prints what the analyzers and the proof find.

Shell. In: a question, a scope. Out: text or a document on stdout; `CheckFailed` when there is an error.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graylane.chain.requests import Dye, DyeHeader
from graylane.cli import manifests
from graylane.cli.connect import connect
from graylane.cli.exits import CheckFailed
from graylane.cli.options import Format, Scope
from graylane.cli.output import dump, emit
from graylane.cli.reading import read
from graylane.errors import UserError
from graylane.mesh.analyzers.everything import Message, analysed, ordered
from graylane.mesh.analyzers.lanes import broken
from graylane.mesh.explain.reading import KINDS, Lists, inputs_of, view_of
from graylane.mesh.prove.imagine import imagined
from graylane.mesh.prove.lane import Lane, lane_of
from graylane.mesh.prove.proof import Proof
from graylane.mesh.prove.walk import prove
from graylane.mesh.prove.words import lines
from graylane.model import kinds
from graylane.model.kinds import Kind
from graylane.model.meta import Obj

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


async def show(question: Question, scope: Scope, form: Format) -> None:
    dyes = question.dyes()
    whole: Lists
    running: Lists
    if question.files:
        lists, places = _of_files(list(question.files), scope.namespace or "default")
        namespace, where = "" if question.everywhere else scope.namespace, "the given manifests"
        whole, running = imagined(lists, every_gateway=False), imagined(lists)
    else:
        async with connect(scope) as (client, found):
            lists = await read(client, _READ)  # of all namespaces, because references reach across them
        namespace, places = "" if question.everywhere else found, {}
        where = f"namespace {namespace}" if namespace else "all namespaces"
        whole, running = lists, lists
    proofs = [prove(view_of(running), inputs_of(running), _lane(running, dye)) for dye in dyes]
    _tell(analysed(whole, namespace), proofs, places, where, form)


def _lane(lists: Lists, dye: Dye) -> Lane:
    return lane_of(view_of(lists), inputs_of(lists), dye)


def _tell(found: tuple[Message, ...], proofs: list[Proof], places: dict[str, str], where: str, form: Format) -> None:
    everything = ordered([*found, *(message for proof in proofs for message in broken(proof))])
    if form is Format.TEXT:
        emit([*_text(everything), *_held(proofs)] or [f"No validation issues found when analyzing {where}."])
    else:
        print(dump([each.to_json(places.get(each.origin, "")) for each in everything], form), flush=True)
    errors = sum(each.finding.level == "ERROR" for each in everything)
    if errors:
        raise CheckFailed(f"{errors} {'errors' if errors > 1 else 'error'} found when analyzing {where}")


def _text(found: tuple[Message, ...]) -> Iterator[str]:
    """Folded for a reader; one line each for a program, as `istioctl` prints them."""
    for message in found:
        folded = textwrap.wrap(str(message), _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
        yield from folded if sys.stdout.isatty() else [str(message)]
        for number, request in enumerate(message.request, 1):
            yield f"    {number} {request}"


def _held(proofs: list[Proof]) -> Iterator[str]:
    for proof in proofs:
        if not proof.failures:
            yield from lines(proof)


def _of_files(paths: list[Path], namespace: str) -> tuple[Lists, dict[str, str]]:
    """Objects without a namespace get the option's, else `default`; kinds that play no part are passed over."""
    known = {(kind.group, kind.kind): kind for kind in vars(kinds).values() if isinstance(kind, Kind)}
    lists: dict[Kind, list[Obj]] = {}
    places: dict[str, str] = {}
    for manifest in manifests.read(paths):
        group = manifest.object["apiVersion"].rpartition("/")[0]
        kind = known.get((group, manifest.object["kind"]))
        if kind is None:
            continue
        meta = dict(manifest.object["metadata"])
        if kind.namespaced:
            meta.setdefault("namespace", namespace)
        lists.setdefault(kind, []).append({**manifest.object, "metadata": meta})
        places[f"{kind.kind} {meta.get('namespace', '')}/{meta['name']}"] = manifest.place
    return lists, places
