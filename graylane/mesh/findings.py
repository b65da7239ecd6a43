"""What is wrong with a configuration object, in Istio's own message codes.

Pure. In: an object, the fields we act on, what exists. Out: `Finding`s, which become `status.validationMessages`.
An object is accepted all the same: what it asks for and cannot be had is said here, by name, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graylane.model.meta import Obj

_DOCS = "https://istio.io/latest/docs/reference/config/analysis"
_NAMES = {
    "IST0101": "ReferencedResourceNotFound",
    "IST0106": "SchemaValidationError",
    "IST0109": "ConflictingMeshGatewayVirtualServiceHosts",
    "IST0110": "ConflictingSidecarWorkloadSelectors",
    "IST0111": "MultipleSidecarsWithoutWorkloadSelectors",
    "IST0112": "VirtualServiceDestinationPortSelectorRequired",
    "IST0116": "DeploymentAssociatedToMultipleServices",
    "IST0118": "PortNameIsNotUnderNamingConvention",
    "IST0130": "VirtualServiceUnreachableRule",
    "IST0131": "VirtualServiceIneffectiveMatch",
    "IST0132": "VirtualServiceHostNotFoundInGateway",
    "IST0133": "SchemaWarning",
    "IST0137": "DeploymentConflictingPorts",
    "IST0140": "IngressRouteRulesNotAffected",
    "IST0145": "ConflictingGateways",
    "IST0151": "EnvoyFilterUsesRelativeOperation",
    "IST0152": "EnvoyFilterUsesReplaceOperationIncorrectly",
    "IST0153": "EnvoyFilterUsesAddOperationIncorrectly",
    "IST0154": "EnvoyFilterUsesRemoveOperationIncorrectly",
    "IST0155": "EnvoyFilterUsesRelativeOperationWithProxyVersion",
    "IST0162": "GatewayPortNotDefinedOnService",
    "GRL0001": "FieldNotActedOn",
    "GRL0002": "RefusedByProxy",
    "GRL0003": "NotAccepted",
    "GRL0004": "CodeFailed",
    "GRL0005": "DestinationPortNotCalled",
    "GRL0006": "EnvoyEnded",
    "GRL0101": "LanePromiseBroken",
    "GRL0102": "LaneNotProved",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`level` is ERROR, WARNING or INFO."""

    code: str
    level: str
    message: str

    def to_json(self) -> Obj:
        """An entry of `status.validationMessages`: Istio's `AnalysisMessageBase`, and the sentence itself."""
        message: Obj = {"type": {"code": self.code, "name": _NAMES[self.code]}, "level": self.level}
        if self.code.startswith("IST"):
            message["documentationUrl"] = documentation(self.code)
        return message | {"message": self.message}


def documentation(code: str) -> str:
    """Where Istio explains a code of its own; "" for ours."""
    return f"{_DOCS}/{code.lower()}/" if code.startswith("IST") else ""


def not_found(what: str, name: str) -> Finding:
    return Finding("IST0101", "ERROR", f"Referenced {what} not found: {name!r}")


def invalid(why: str) -> Finding:
    return Finding("IST0106", "ERROR", f"Schema validation error: {why}")


def doubtful(why: str) -> Finding:
    return Finding("IST0133", "WARNING", f"Schema validation warning: {why}")


def no_workloads(selector: Mapping[str, str]) -> Finding:
    return not_found("selector", ",".join(f"{name}={value}" for name, value in sorted(selector.items())))


_OTHER_PROTOCOL = "is taken with another protocol"


def conflict(port: int, holder: str) -> Finding:
    return Finding("IST0145", "ERROR", f"Conflict with gateway {holder}: port {port} {_OTHER_PROTOCOL}")


def is_of_port(message: str) -> bool:
    """Whether a conflict's sentence is about the port as a whole, not about a host on it."""
    return message.endswith(_OTHER_PROTOCOL)


def host_conflict(port: int, host: str, holder: str) -> Finding:
    return Finding("IST0145", "ERROR", f"Conflict with gateway {holder}: host {host} on port {port} is taken")


def for_gateways(field: str) -> Finding:
    why = f"{field} is for gateways, and for pods that spec.workloadSelector selects; other pods go on in plain text"
    return Finding("IST0133", "WARNING", f"Schema validation warning: {why}, as with Istio")


def one_locality(field: str) -> Finding:
    why = f"all endpoints are of one locality here, so {field} has no effect: a retry goes to any other of them"
    return Finding("IST0133", "WARNING", f"Schema validation warning: {why}")


def unsupported(path: str) -> Finding:
    return Finding("GRL0001", "ERROR", f"{path} is not acted on by this mesh; remove it or run this object on Istio")


def refused(reason: str) -> Finding:
    return Finding(
        "GRL0002", "ERROR", f"Envoy refused what this object asks for; the last good state is kept: {reason}"
    )


def failed(why: str) -> Finding:
    return Finding("GRL0004", "ERROR", f"Its code failed on a request, which went on without it: {why}")


def ended(why: str) -> Finding:
    return Finding("GRL0006", "WARNING", why)


def left_out(why: str) -> Finding:
    return Finding("GRL0006", "ERROR", f"Left out until it is edited: {why}")


Shape = Mapping[str, Any]


def unknown_fields(value: Any, shape: Any, path: str) -> Iterable[str]:
    """Paths under `value` that `shape` does not name.

    A shape is `...` (anything goes below), a mapping (these fields), a one-item list (a list of that), or a tuple (one
    of these texts).
    """
    if shape is ... or value is None:
        return
    if isinstance(shape, tuple):
        if value not in shape:
            yield f"{path} {value}"
    elif isinstance(shape, list):
        for entry in value if isinstance(value, list) else ():
            yield from unknown_fields(entry, shape[0], f"{path}[]")
    elif isinstance(value, Mapping):
        for name, below in value.items():
            where = f"{path}.{name}"
            if name in shape:
                yield from unknown_fields(below, shape[name], where)
            elif below not in (None, "", [], {}, False):
                yield where
