"""Sends a trial's requests, asks the mesh what its proxies saw of them, and prints what came of it.

Shell. In: a trial, a scope. Out: text or a document on stdout; `CheckFailed` when something seen was not predicted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graylane.chain import observed
from graylane.chain.match import Request
from graylane.chain.requests import Dye
from graylane.chain.seen import NO_LEDGER, Headers, Linked, linked_from_json
from graylane.cli.connect import connect
from graylane.cli.exits import CheckFailed, Refused
from graylane.cli.options import Format, Scope
from graylane.cli.output import dump, emit
from graylane.cli.probing import send
from graylane.cli.reading import read
from graylane.cli.verify_text import Summary, lines
from graylane.client import ApiClient
from graylane.errors import UserError
from graylane.kit import istiod
from graylane.kit.cache import View
from graylane.mesh.compile.listeners import ListenerSpec
from graylane.mesh.explain.reading import KINDS, inputs_of
from graylane.mesh.explain.scene import Scene, scene_of
from graylane.mesh.explain.walk import Asked, entrance
from graylane.mesh.verify.judge import Judge, Sent, unobserved
from graylane.mesh.verify.report import document, report
from graylane.model.kinds import TRAFFIC_ROUTING

_ALL_KINDS = tuple(dict.fromkeys((*KINDS, *observed.KINDS)))
_LATEST_SECONDS = 5.0
_BATCH = 50
_NO_LEDGER = (
    "the mesh of this cluster does not tell what its proxies see ({why}); "
    "`graylane verify` needs the mesh of `graylane up`, `graylane explain` does not"
)
_OFF = (
    "the ledger of requests is off (graylane up --ledger=off), which `graylane verify` needs: "
    "stop the cluster and start it with --ledger=on, or ask `graylane explain` for what is predicted"
)
_NO_DYE = (
    "no TrafficRouting in namespace {namespace} says by an exact header what marks a lane; "
    "type e.g. --header my-request-id=canary"
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What to send, as typed."""

    headers: Headers = ()
    path: str = "/"
    host: str = ""
    port: int = 0
    count: int = 10


async def verify(trial: Trial, scope: Scope, form: Format) -> None:
    async with connect(scope) as (client, namespace):
        lists = await read(client, _ALL_KINDS)
        view, scene = observed.observed({kind: lists[kind] for kind in observed.KINDS}), scene_of(inputs_of(lists))
        dye = trial.headers or _dye(view, namespace)
        spec = _gateway(scene, trial)
        taken = await _ledger(client, {})
        judge = Judge(scene, view, scene.plan.inputs.lanes | {name for name, _ in dye})
        sent = await _send(trial, spec, (dye, ()))
        found = await _seen(client, judge, sent, int(taken["taken"]))
    result = report(judged for each in sent for judged in judge.judge(each, found))
    if form is Format.TEXT:
        emit(lines(result, Summary(f"{spec.address}:{spec.port}", dye, trial.count, unobserved(scene, spec.name, dye))))
    else:
        print(dump(document(result), form), flush=True)
    if not result.agrees:
        raise CheckFailed("; ".join(str(each) for each in result.troubles if each.certain) or "nothing could be told")


async def trace(client: ApiClient, dye: Headers) -> list[Linked]:
    """One dyed request through the gateway, with all that was called for it, as proxies saw it."""
    lists = await read(client, _ALL_KINDS)
    view, scene = observed.observed({kind: lists[kind] for kind in observed.KINDS}), scene_of(inputs_of(lists))
    trial = Trial(dye, count=1)
    spec = _gateway(scene, trial)
    judge = Judge(scene, view, scene.plan.inputs.lanes | {name for name, _ in dye})
    taken = int((await _ledger(client, {}))["taken"])
    return await _seen(client, judge, await _send(trial, spec, (dye,)), taken)


def _dye(view: View, namespace: str) -> Headers:
    """The first lane's own; an expression cannot be sent."""
    for item in view.list(TRAFFIC_ROUTING, namespace):
        for dye in Dye.all_of(item):
            if not any(header.regex for header in dye.headers):
                return tuple((header.name, header.value) for header in dye.headers)
    raise UserError(_NO_DYE.format(namespace=namespace))


def _gateway(scene: Scene, trial: Trial) -> ListenerSpec:
    spec = entrance(scene, Asked(trial.host, port=trial.port))
    if spec is not None and any(chain.tls for chain in spec.chains):
        raise Refused(
            f"the gateway speaks TLS at {spec.address}:{spec.port}, `graylane verify` plain HTTP; "
            "name a port that does too, e.g. --port 80"
        )
    if spec is None:
        where = f"port {trial.port} of the gateway" if trial.port else "the gateway"
        raise UserError(f"nothing listens at {where}: create a Gateway, or correct its selector or port")
    return spec


async def _send(trial: Trial, spec: ListenerSpec, kinds: Sequence[Headers]) -> list[Sent]:
    """One after the other: what a pod calls meanwhile was called for the one that it answers."""
    authority = trial.host or (spec.address if spec.port == 80 else f"{spec.address}:{spec.port}")
    sent: list[Sent] = []
    for _ in range(trial.count):
        for headers in kinds:
            request = Request(authority, trial.path, headers=headers)
            probe = await send(spec.address, spec.port, request)
            sent.append(Sent(bool(headers), request, probe.client))
    return sent


async def _seen(client: ApiClient, judge: Judge, sent: Sequence[Sent], taken: int) -> list[Linked]:
    """Asks until all that is expected was told of; what never is, is not worth more than a moment."""
    found: list[Linked] = []
    for start in range(0, len(sent), _BATCH):
        batch = sent[start : start + _BATCH]
        deadline = asyncio.get_running_loop().time() + _LATEST_SECONDS
        while True:
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            told = await _ledger(client, {"client": ",".join(each.client for each in batch)}, taken, min(1.0, left))
            known = linked_from_json(told["requests"])
            if told["taken"] == taken or not left or all(judge.complete(each, known) for each in batch):
                break
            taken = int(told["taken"])
        found += known
    return found


async def _ledger(client: ApiClient, params: dict[str, str], after: int = -1, wait: float = 0.0) -> Any:
    """The answer of the one mesh there is. Raises `Refused` where it keeps no ledger."""
    asked = {**params, "after": str(after), "wait": f"{wait:g}"}
    answers = await istiod.ask(client, "/debug/ledger/requests", asked)
    told = next((answer for answer in answers if isinstance(answer.value, dict)), None)
    if told is None:
        why = answers[0].error if answers else "there is no pod with label app=istiod in namespace istio-system"
        raise Refused(_NO_LEDGER.format(why=why))
    if told.value == NO_LEDGER:
        raise Refused(_OFF)
    return told.value
