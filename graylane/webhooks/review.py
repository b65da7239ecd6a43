"""AdmissionReview v1: what an API server asks, and what it is told.

Pure. In: the request's JSON object. Out: `AdmissionResponse`, and the review that carries it back.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from graylane.errors import ApiError, BadRequest, Invalid
from graylane.model.meta import Obj, dig


@dataclass(frozen=True, slots=True)
class AdmissionResponse:
    """`patch` holds RFC 6902 operations on the submitted object; `error` is why it is refused."""

    patch: tuple[Obj, ...] = ()
    error: ApiError | None = None
    warnings: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.error is None

    def to_review(self, uid: str) -> Obj:
        response: Obj = {"uid": uid, "allowed": self.allowed}
        if self.error is not None:
            status = self.error.to_status()
            response["status"] = {name: status[name] for name in ("status", "message", "reason", "code")}
        if self.patch:
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(orjson.dumps(list(self.patch))).decode()
        if self.warnings:
            response["warnings"] = list(self.warnings)
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


ALLOWED = AdmissionResponse()


def refused(message: str) -> AdmissionResponse:
    """HTTP 422 with our words; the API server puts the webhook's name before them."""
    return AdmissionResponse(error=Invalid(message))


def entry(new: Obj, field: str, name: str, value: str) -> Iterator[Obj]:
    """Sets one label or annotation; creates the map where there is none."""
    present = dig(new, "metadata", field, default={})
    if present.get(name) == value:
        return
    if not present:
        yield {"op": "add", "path": f"/metadata/{field}", "value": {name: value}}
        return
    yield {"op": "add", "path": f"/metadata/{field}/{name.replace('~', '~0').replace('/', '~1')}", "value": value}


def request_of(body: bytes) -> Obj:
    """The `request` of a review. Raises `BadRequest` for anything else."""
    try:
        review: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    request = dig(review, "request") if isinstance(review, dict) else None
    if not isinstance(request, dict) or not request.get("uid"):
        raise BadRequest("an AdmissionReview with a request and its uid is expected")
    return request
