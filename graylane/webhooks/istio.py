"""Refuses Istio objects as istiod's own webhook would, and warns where it would.

Pure. In: an admission request about an object of Istio's. Out: yes, with warnings, or every error there is with its
field path; and the configuration that makes an API server ask. Meant for a cluster without istiod.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from graylane.chain.validation.checks import Report
from graylane.chain.validation.judging import GROUPS, judge
from graylane.errors import BadRequest
from graylane.kit.cache import View
from graylane.model.kinds import VALIDATING_WEBHOOK
from graylane.model.meta import Obj
from graylane.webhooks.review import ALLOWED, AdmissionResponse

VALIDATE_ISTIO = "/validate-istio-io"
_PLURALS = {
    "networking.istio.io": (
        *("virtualservices", "destinationrules", "gateways", "envoyfilters", "serviceentries", "sidecars"),
        "workloadentries",
    ),
    "security.istio.io": ("authorizationpolicies", "peerauthentications", "requestauthentications"),
}
assert tuple(_PLURALS) == GROUPS


def validator(further: Callable[[Obj], Report] = lambda _: Report()) -> Callable[[Obj, View], AdmissionResponse]:
    """`further` is what a mesh has to say besides, of an object that is not refused already."""

    def validate(request: Obj, _: View) -> AdmissionResponse:
        obj, old = request.get("object"), request.get("oldObject")
        if request.get("operation") not in ("CREATE", "UPDATE") or not isinstance(obj, dict):
            return ALLOWED
        if isinstance(old, dict) and obj.get("spec") == old.get("spec"):
            return ALLOWED  # metadata alone changes: finalizers must go even from what an older version let in
        report = judge(obj)
        more = Report() if report.errors else further(obj)
        errors, warnings = report.errors + more.errors, tuple(dict.fromkeys(report.warnings + more.warnings))
        return AdmissionResponse(error=BadRequest(_told(errors)) if errors else None, warnings=warnings)

    return validate


def _told(errors: list[str]) -> str:
    if len(errors) == 1:
        return f"configuration is invalid: {errors[0]}"
    return f"configuration is invalid: {len(errors)} errors occurred: {'; '.join(errors)}"


def configuration(base_url: str, ca_bundle: bytes) -> Obj:
    """Fails open: what is wrong with an object is told in its status as well."""
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "resources": list(names), "operations": ["CREATE", "UPDATE"]}
        for group, names in _PLURALS.items()
    ]
    webhook = {
        "name": "validation.istio.io",
        "clientConfig": {"url": base_url + VALIDATE_ISTIO, "caBundle": base64.b64encode(ca_bundle).decode()},
        "rules": rules,
        "failurePolicy": "Ignore",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": VALIDATING_WEBHOOK.api_version,
        "kind": VALIDATING_WEBHOOK.kind,
        "metadata": {"name": "graylane-istio-validation"},
        "webhooks": [webhook],
    }
