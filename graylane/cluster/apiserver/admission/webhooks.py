"""Admission by the webhooks that Mutating- and ValidatingWebhookConfiguration objects name.

Shell (network, through `Caller`). In: a change under review. Out: the object as webhooks changed it, or a refusal.

Mutating webhooks are called one after the other, in the order of their configurations' names, each seeing what the one
before made of the object; validating ones all at once, on the final object.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace

import orjson

from graylane.cluster.apiserver.admission import conditions, review
from graylane.cluster.apiserver.admission.caller import Caller, Unreachable
from graylane.cluster.apiserver.admission.chain import Admitted
from graylane.cluster.apiserver.admission.rules import Subject, wants
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.store import Store
from graylane.cluster.apiserver.subresources import scale
from graylane.errors import ApiError, BadRequest, Invalid, Unclassified
from graylane.errors import InternalError as ServerError
from graylane.model.kinds import MUTATING_WEBHOOK, VALIDATING_WEBHOOK
from graylane.model.meta import Key, Obj, labels_of, namespace_of
from graylane.model.patches import json_patch

log = logging.getLogger(__name__)

_DEFAULT_TIMEOUT = 10
_HARMLESS = ("None", "NoneOnDryRun")
_EXEMPT = ("admissionregistration.k8s.io",)  # a broken webhook must not prevent its own removal


class Webhooks:
    """Implements `chain.Admission`."""

    def __init__(self, store: Store, caller: Caller) -> None:
        self._store = store
        self._caller = caller

    async def mutate(self, call: Call, admitted: Admitted) -> Obj:
        obj = admitted.obj
        left: list[tuple[Obj, Obj | None]] = []  # each webhook, and the object as it left it
        for webhook in self._interested(str(MUTATING_WEBHOOK), call, admitted):
            obj = await self._changed(webhook, call, replace(admitted, obj=obj))
            left.append((webhook, obj))
        for webhook, seen in left:  # once more, for those who want to know what became of it
            if seen is not obj and webhook.get("reinvocationPolicy") == "IfNeeded":
                obj = await self._changed(webhook, call, replace(admitted, obj=obj))
        return obj if obj is not None else admitted.old or {}

    async def _changed(self, webhook: Obj, call: Call, admitted: Admitted) -> Obj | None:
        """The object as the webhook leaves it; the same one when it changes nothing."""
        obj, changes = admitted.obj, await self._ask(webhook, call, admitted)
        if obj is None or not changes:
            return obj
        if call.target.subresource != "scale":
            return _patched(obj, changes, webhook["name"])
        return scale.applied(call, obj, _patched(scale.shown(call, obj), changes, webhook["name"]))

    async def validate(self, call: Call, admitted: Admitted) -> None:
        webhooks = list(self._interested(str(VALIDATING_WEBHOOK), call, admitted))
        if webhooks:
            await asyncio.gather(*(self._ask(webhook, call, admitted) for webhook in webhooks))

    def _interested(self, configurations: str, call: Call, admitted: Admitted) -> Iterator[Obj]:
        entries = self._store.entries(configurations)
        if not entries or call.resource.group in _EXEMPT:
            return
        subject = subject_of(self._store, call, admitted)
        for entry in entries:
            for webhook in entry.obj.get("webhooks") or []:
                if wants(webhook, subject):
                    yield webhook

    async def _ask(self, webhook: Obj, call: Call, admitted: Admitted) -> list[Obj]:
        """The webhook's patch. Raises its refusal, or its failure when `failurePolicy` is Fail."""
        if call.options.dry_run and webhook.get("sideEffects") not in _HARMLESS:
            raise BadRequest(f'admission webhook "{webhook["name"]}" does not support dry run')
        question = question_of(call, admitted)
        obj, old = admitted.obj, admitted.old
        if call.target.subresource == "scale":  # a kind of its own, whatever it is the scale of
            obj, old = (each and scale.shown(call, each) for each in (obj, old))
            question = replace(question, kind=scale.SCALE.kind, kind_version=scale.SCALE.api_version)
        asked = review.ask(question, obj, old)
        try:
            if not conditions.hold(webhook, asked["request"]):
                return []
        except conditions.Undecided as error:
            return _failed(webhook, error)
        body = orjson.dumps(asked)
        timeout = float(webhook.get("timeoutSeconds") or _DEFAULT_TIMEOUT)
        try:
            answer = await self._caller.call(webhook["clientConfig"], body, timeout)
            verdict = review.verdict(answer, question.uid)
        except (Unreachable, review.BadAnswer) as error:
            return _failed(webhook, error)
        for warning in verdict.warnings:
            call.warn(warning)
        if not verdict.allowed:
            raise _refusal(webhook["name"], verdict)
        return verdict.patch


def subject_of(store: Store, call: Call, admitted: Admitted) -> Subject:
    """The change, as rules look at it."""
    resource = call.resource
    return Subject(
        operation=admitted.operation,
        group=resource.group,
        version=resource.version,
        plural=resource.plural,
        subresource=call.target.subresource,
        namespaced=resource.namespaced,
        namespace_labels=_namespace_labels(store, call, admitted),
        obj=admitted.obj,
        old=admitted.old,
    )


def _namespace_labels(store: Store, call: Call, admitted: Admitted) -> dict[str, str] | None:
    if call.resource.store == "namespaces":
        return labels_of(admitted.obj or admitted.old or {})
    if not call.resource.namespaced:
        return None
    namespace = store.get("namespaces", Key("", call.key.namespace))
    return labels_of(namespace.obj) if namespace else {}


def question_of(call: Call, admitted: Admitted) -> review.Question:
    return review.Question(
        uid=str(uuid.uuid4()),
        operation=str(admitted.operation),  # CEL knows texts, not enums
        api_version=call.resource.api_version,
        kind=call.resource.kind,
        plural=call.resource.plural,
        subresource=call.target.subresource,
        namespace=namespace_of(admitted.obj or admitted.old or {}),
        user=call.user.info(),
        dry_run=call.options.dry_run,
        options=_options(call),
    )


def _options(call: Call) -> Obj:
    """What the client asked for besides."""
    query = call.request.query
    said: Obj = {name: query.text(name) for name in ("fieldManager", "fieldValidation") if query.text(name)}
    return said | ({"dryRun": ["All"]} if call.options.dry_run else {})


def _failed(webhook: Obj, error: Exception) -> list[Obj]:
    if webhook.get("failurePolicy", "Fail") == "Ignore":
        log.warning("Ignoring a failed admission webhook", extra={"webhook": webhook["name"], "error": str(error)})
        return []
    raise ServerError(f'Internal error occurred: failed calling webhook "{webhook["name"]}": {error}')


def _refusal(name: str, verdict: review.Verdict) -> ApiError:
    why = verdict.message or verdict.reason
    text = f'admission webhook "{name}" denied the request{f": {why}" if why else " without explanation"}'
    status = {"message": text, "reason": verdict.reason}
    return ApiError.from_status(status, verdict.code) if verdict.reason else Unclassified(text, code=verdict.code)


def _patched(obj: Obj, operations: list[Obj], name: str) -> Obj:
    try:
        return json_patch(obj, operations)
    except (BadRequest, Invalid) as error:
        raise ServerError(f'Internal error occurred: webhook "{name}": {error.message}') from error
