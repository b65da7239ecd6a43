"""AdmissionReview v1: the question sent to a webhook, and the reading of its answer.

Pure. In: a change and the answer's bytes. Out: the review to send; a `Verdict`, or `BadAnswer` when it is none.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import orjson

from graylane.model.meta import Obj, name_of

_LEAST = 400  # a refusal is never a success, whatever its code says
API_VERSION = "admission.k8s.io/v1"


class BadAnswer(Exception):
    """The webhook answered with something that is not an AdmissionReview; `failurePolicy` decides what that means."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`patch` is a list of RFC 6902 operations; `code` and `message` are set when not allowed."""

    allowed: bool
    patch: list[Obj]
    warnings: tuple[str, ...] = ()
    code: int = 400
    message: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """All that a review says besides the objects."""

    uid: str
    operation: str
    api_version: str
    kind: str
    plural: str
    subresource: str
    namespace: str
    user: Obj
    dry_run: bool
    options: Obj = field(default_factory=dict)
    kind_version: str = ""  # of a subresource that is a kind of its own, like Scale


def ask(question: Question, obj: Obj | None, old: Obj | None) -> Obj:
    group, _, version = question.api_version.rpartition("/")
    kind_group, _, kind_version = (question.kind_version or question.api_version).rpartition("/")
    kind = {"group": kind_group, "version": kind_version, "kind": question.kind}
    resource = {"group": group, "version": version, "resource": question.plural}
    subject = obj or old or {}
    request: Obj = {
        "uid": question.uid,
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": name_of(subject),
        "namespace": question.namespace,
        "operation": question.operation,
        "userInfo": question.user,
        "object": obj,
        "oldObject": old,
        "dryRun": question.dry_run,
        "options": {
            "kind": f"{question.operation.capitalize()}Options",
            "apiVersion": "meta.k8s.io/v1",
            **question.options,
        },
    }
    if question.subresource:
        request |= {"subResource": question.subresource, "requestSubResource": question.subresource}
    return {"kind": "AdmissionReview", "apiVersion": API_VERSION, "request": request}


def verdict(body: bytes, uid: str) -> Verdict:
    response = _response(body, uid)
    status = response.get("status") or {}
    return Verdict(
        allowed=bool(response.get("allowed")),
        patch=_patch(response),
        warnings=tuple(str(text) for text in response.get("warnings") or ()),
        code=max(int(status.get("code") or 0), _LEAST),
        message=str(status.get("message") or ""),
        reason=str(status.get("reason") or ""),
    )


def _response(body: bytes, uid: str) -> Obj:
    try:
        review: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"the answer is not JSON: {error}") from None
    response = review.get("response") if isinstance(review, dict) else None
    if not isinstance(response, dict):
        raise BadAnswer("the answer has no response")
    if review.get("apiVersion") != API_VERSION or review.get("kind") != "AdmissionReview":
        raise BadAnswer(f"the answer is not an AdmissionReview of {API_VERSION}")
    if response.get("uid") != uid:
        raise BadAnswer(f"the answer is for {response.get('uid')!r}, not for {uid!r}")
    return response


def _patch(response: Obj) -> list[Obj]:
    patch = response.get("patch")
    if not patch:
        return []
    if response.get("patchType") != "JSONPatch":
        raise BadAnswer(f"patchType {response.get('patchType')!r} is not JSONPatch")
    try:
        operations = orjson.loads(base64.b64decode(patch))
    except ValueError as error:
        raise BadAnswer(f"the patch cannot be read: {error}") from None
    if not isinstance(operations, list):
        raise BadAnswer("the patch is not a list of operations")
    return operations
