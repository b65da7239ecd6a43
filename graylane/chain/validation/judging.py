"""The one way in: what is wrong with an object, whatever its kind.

Pure. In: an object as written. Out: a `Report`. Kinds that are not Istio's are passed with an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graylane.chain.validation import destinationrules, envoyfilters, gateways, others, virtualservices
from graylane.chain.validation.checks import Block, Report, block, entries
from graylane.chain.validation.reach import unreachable
from graylane.model.meta import Obj, name_of, namespace_of

GROUPS = ("networking.istio.io", "security.istio.io")
_CHECKS: Mapping[str, Callable[[Report, Block], None]] = {
    "VirtualService": virtualservices.check,
    "DestinationRule": destinationrules.check,
    "EnvoyFilter": envoyfilters.check,
    "ServiceEntry": others.check_service_entry,
    "WorkloadEntry": others.check_workload_entry,
    "PeerAuthentication": others.check_peer_authentication,
}
KINDS = (*_CHECKS, "Gateway", "Sidecar")


def judge(obj: Obj, *, reach: bool = True) -> Report:
    """`reach` False leaves out which rules of a VirtualService are never used, for who asks that by itself."""
    report = Report()
    if str(obj.get("apiVersion", "")).partition("/")[0] not in GROUPS:
        return report
    kind, spec = str(obj.get("kind", "")), block(obj.get("spec"))
    if kind == "Gateway":
        gateways.check(report, spec, name_of(obj))
    elif kind == "Sidecar":
        others.check_sidecar(report, spec, namespace_of(obj))
    elif kind in _CHECKS:
        _CHECKS[kind](report, spec)
    if reach and kind == "VirtualService":
        unreachable(report, entries(spec.get("http")))
    return report
