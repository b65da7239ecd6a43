"""Answers ConversionReviews about Rollouts and BatchReleases, and says in the CRD where to ask.

Pure. In: a review's `request`, or a CRD. Out: the `response`, all objects or none; or the CRD with its webhook named.
"""

from __future__ import annotations

import base64
from typing import Any

import orjson

from graylane.errors import BadRequest, GraylaneError
from graylane.model.kinds import BATCH_RELEASE
from graylane.model.meta import Obj, dig
from graylane.model.versions import batchrelease, rollout

CONVERT = "/convert"
_REVIEW_VERSIONS = ("apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1")


def convert_review(body: bytes) -> Obj:
    """The whole answer. Raises `BadRequest` for what is no ConversionReview."""
    try:
        review: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    request = dig(review, "request") if isinstance(review, dict) else None
    version = review.get("apiVersion") if isinstance(review, dict) else None
    if not isinstance(request, dict) or not request.get("uid") or version not in _REVIEW_VERSIONS:
        raise BadRequest("a ConversionReview (v1) with a request and its uid is expected")
    return {"apiVersion": version, "kind": "ConversionReview", "response": _response(request)}


def _response(request: Obj) -> Obj:
    wanted = str(request.get("desiredAPIVersion", ""))
    try:
        converted = [_convert(obj, wanted) for obj in request.get("objects") or ()]
    except GraylaneError as error:
        return {"uid": request["uid"], "result": {"status": "Failed", "message": str(error)}}
    return {"uid": request["uid"], "convertedObjects": converted, "result": {"status": "Success"}}


def _convert(obj: Obj, wanted: str) -> Obj:
    """Which kinds the CRDs of ours let the webhook be asked about."""
    convert = batchrelease.convert if obj.get("kind") == BATCH_RELEASE.kind else rollout.convert
    return convert(obj, wanted)


def converting(crd: Obj, base_url: str, ca_bundle: bytes) -> Obj:
    """The CRD for a cluster whose API server cannot convert by itself. `ca_bundle` is PEM."""
    client = {"url": base_url + CONVERT, "caBundle": base64.b64encode(ca_bundle).decode()}
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]}
    return crd | {"spec": crd["spec"] | {"conversion": {"strategy": "Webhook", "webhook": webhook}}}
