"""How the kinds that Graylane only stores are printed: devices, CSI, flow control, certificates, mutating policies.

Pure. In: objects and now. Out: cells. Most columns are one field each, so a kind is a row of where to find them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.schema.printers.columns import NONE, Printer, age, columns, count
from graylane.cluster.apiserver.schema.printers.config import UNSET, created
from graylane.model.meta import Obj, dig, name_of

Cell = Callable[[Obj], Any]


def _at(path: str, otherwise: Any = "") -> Cell:
    steps = path.split(".")
    return lambda obj: dig(obj, *steps, default=otherwise)


def _printer(heads: str, *cells: Cell, age_at: int = -1) -> Printer:
    """Name first; `age_at` says where among the columns the age is, last by default."""
    names = heads.split()

    def row(obj: Obj, now: datetime) -> list[Any]:
        found = [name_of(obj), *(cell(obj) for cell in cells)]
        found.insert(age_at if age_at > 0 else len(found), age(obj, now))
        return found

    return Printer(columns(*names), row)


def _claim_state(obj: Obj) -> str:
    states = [state for state, is_so in _STATES.items() if is_so(obj)]
    return ",".join(states) or "pending"


_STATES: dict[str, Callable[[Obj], bool]] = {
    "deleted": lambda obj: "deletionTimestamp" in obj["metadata"],
    "allocated": lambda obj: dig(obj, "status", "allocation") is not None,
    "reserved": lambda obj: bool(dig(obj, "status", "reservedFor")),
}


def _request_state(obj: Obj) -> str:
    """Approved or denied, and what has been issued since."""
    conditions = {found.get("type") for found in dig(obj, "status", "conditions", default=[])}
    state = "Denied" if "Denied" in conditions else "Approved" if "Approved" in conditions else "Pending"
    failed = ",Failed" if "Failed" in conditions else ""
    return state + failed + (",Issued" if dig(obj, "status", "certificate") else "")


def _lifetime(obj: Obj) -> str:
    seconds = dig(obj, "spec", "expirationSeconds")
    return NONE if seconds is None else f"{seconds}s"


def _service(obj: Obj) -> str:
    service = dig(obj, "spec", "service")
    return f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"


def _available(obj: Obj) -> str:
    for found in dig(obj, "status", "conditions", default=[]):
        if found.get("type") == "Available":
            reason = found.get("reason") or ""
            return "True" if found.get("status") == "True" else f"{found.get('status')} ({reason})"
    return ""


def _dangling(obj: Obj) -> str:
    found = [c.get("status") for c in dig(obj, "status", "conditions", default=[]) if c.get("type") == "Dangling"]
    return str(found[0]) if found else "?"


def _parent(obj: Obj) -> str:
    ref = dig(obj, "spec", "parentRef", default={})
    return "/".join(str(ref[name]) for name in ("resource", "namespace", "name") if ref.get(name))


def _param_kind(obj: Obj) -> str:
    kind = dig(obj, "spec", "paramKind")
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET


def _param_ref(obj: Obj) -> str:
    ref = dig(obj, "spec", "paramRef")
    return "/".join(str(ref[name]) for name in ("namespace", "name") if ref.get(name)) if ref else UNSET


def _audiences(obj: Obj) -> str:
    return ",".join(str(each.get("audience", "")) for each in dig(obj, "spec", "tokenRequests", default=[])) or UNSET


def _joined(path: str) -> Cell:
    inner = _at(path, [])
    return lambda obj: ",".join(map(str, inner(obj) or ()))


_AGE = _printer("Name string:Age")
_RESOURCE, _STORAGE, _FLOW = "resource.k8s.io", "storage.k8s.io", "flowcontrol.apiserver.k8s.io"
_QUEUES = "spec.limited.limitResponse.queuing"
PRINTERS = {
    (_RESOURCE, "DeviceClass"): _AGE,
    (_RESOURCE, "ResourceClaimTemplate"): _AGE,
    (_RESOURCE, "ResourceClaim"): _printer("Name State Age", _claim_state),
    (_RESOURCE, "ResourceSlice"): _printer(
        "Name Node Driver Pool Age", _at("spec.nodeName"), _at("spec.driver"), _at("spec.pool.name")
    ),
    (_STORAGE, "CSIDriver"): _printer(
        "Name boolean:AttachRequired boolean:PodInfoOnMount boolean:StorageCapacity TokenRequests "
        "boolean:RequiresRepublish Modes Age",
        _at("spec.attachRequired", True),
        _at("spec.podInfoOnMount", False),
        _at("spec.storageCapacity", False),
        _audiences,
        _at("spec.requiresRepublish", False),
        _joined("spec.volumeLifecycleModes"),
    ),
    (_STORAGE, "CSINode"): _printer("Name integer:Drivers Age", lambda obj: count(dig(obj, "spec", "drivers"))),
    (_STORAGE, "CSIStorageCapacity"): Printer(columns("Name", "date:Created At"), created),
    (_STORAGE, "VolumeAttachment"): _printer(
        "Name Attacher PV Node boolean:Attached Age",
        _at("spec.attacher"),
        _at("spec.source.persistentVolumeName"),
        _at("spec.nodeName"),
        _at("status.attached", False),
    ),
    (_STORAGE, "VolumeAttributesClass"): _printer("Name DriverName Age", _at("driverName")),
    (_FLOW, "FlowSchema"): _printer(
        "Name PriorityLevel MatchingPrecedence DistinguisherMethod Age MissingPL",
        _at("spec.priorityLevelConfiguration.name"),
        _at("spec.matchingPrecedence", 0),
        _at("spec.distinguisherMethod.type", NONE),
        _dangling,
        age_at=4,
    ),
    (_FLOW, "PriorityLevelConfiguration"): _printer(
        "Name Type NominalConcurrencyShares Queues HandSize QueueLengthLimit Age",
        _at("spec.type"),
        _at("spec.limited.nominalConcurrencyShares", NONE),
        *(_at(f"{_QUEUES}.{name}", NONE) for name in ("queues", "handSize", "queueLengthLimit")),
    ),
    ("node.k8s.io", "RuntimeClass"): _printer("Name Handler Age", _at("handler")),
    ("networking.k8s.io", "IPAddress"): Printer(
        columns("Name", "ParentRef"), lambda obj, _: [name_of(obj), _parent(obj)]
    ),
    ("networking.k8s.io", "ServiceCIDR"): _printer("Name CIDRs Age", _joined("spec.cidrs")),
    ("apiregistration.k8s.io", "APIService"): _printer("Name Service Available Age", _service, _available),
    ("certificates.k8s.io", "CertificateSigningRequest"): _printer(
        "Name Age SignerName Requestor RequestedDuration Condition",
        _at("spec.signerName", NONE),
        _at("spec.username"),
        _lifetime,
        _request_state,
        age_at=1,
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): _printer(
        "Name integer:Mutations ParamKind Age", lambda obj: count(dig(obj, "spec", "mutations")), _param_kind
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): _printer(
        "Name PolicyName ParamRef Age", _at("spec.policyName"), _param_ref
    ),
}
