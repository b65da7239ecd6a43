"""TrafficRouting: which requests go to the canary, and which objects route them.

Pure. In: an object as the API gives it. Out: `TrafficRouting`, valid once constructed, and the keys OpenKruise and we
write for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from graylane.model.meta import Key, Obj, dig, finalizers_of, generation_of, is_deleting, key_of

GROUP = "rollouts.kruise.io"

# On a TrafficRouting: ours while it lives, and one per Rollout that wants its routes now.
FINALIZER = f"{GROUP}/trafficrouting"
PROGRESSING_FINALIZER = f"progressing.{GROUP}/"  # + the Rollout's name

# On a routed object, while routes are in it: the user's original (OpenKruise's key and shape), and what we added.
ORIGINAL = f"{GROUP}/original-spec-configuration"
ADDED = "graylane.dev/added-routes"

_DEFAULT_GRACE_SECONDS = 3
_DEFAULT_INGRESS_CLASS = "nginx"


class Phase(StrEnum):
    """`status.phase`."""

    INITIAL = "Initial"
    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    FINALIZING = "Finalizing"
    TERMINATING = "Terminating"


@dataclass(frozen=True, slots=True)
class NetworkRef:
    """One object that routes requests; `path` is where the user named it, `spec.objectRef[0].customNetworkRefs[1]`.

    `by_service`: stable and canary are told apart there by their Services alone. A canary Ingress is no object of the
    user's: it is made from the Ingress `source`, for a class of controllers.
    """

    api_version: str
    kind: str
    name: str
    path: str
    by_service: bool = False
    source: str = ""
    class_type: str = ""

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One entry of `status.routes`: an object that may hold our routes, and since when it is as wanted.

    `generation` and `since` are kept only where the mesh does not report, so that a restart does not wait again.
    """

    ref: NetworkRef
    generation: int = 0
    since: str = ""

    def is_about(self, ref: NetworkRef) -> bool:
        return (self.ref.group, self.ref.kind, self.ref.name) == (ref.group, ref.kind, ref.name)


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """One entry of `spec.objectRef`: a Service and the objects that route to it.

    `canary_service` (ours): the canary has a Service of its own, and is not a subset of the stable one's.
    """

    service: str
    path: str
    grace: timedelta
    networks: tuple[NetworkRef, ...] = ()
    canary_service: str = ""


@dataclass(frozen=True, slots=True)
class TrafficRouting:
    """`strategy` stays as the user wrote it: it is handed to scripts as it is."""

    key: Key
    generation: int
    deleting: bool
    finalizers: tuple[str, ...]
    refs: tuple[ServiceRef, ...]
    strategy: Mapping[str, Any] = field(default_factory=dict)
    phase: Phase | None = None  # None: never reconciled
    active_for: tuple[str, ...] = ()
    recorded: tuple[Recorded, ...] = ()

    @property
    def holders(self) -> tuple[str, ...]:
        """The Rollouts that want the routes now, by name, sorted."""
        prefix = PROGRESSING_FINALIZER
        return tuple(sorted(name.removeprefix(prefix) for name in self.finalizers if name.startswith(prefix)))

    @property
    def protected(self) -> bool:
        """Whether it cannot vanish before its routes are taken out."""
        return FINALIZER in self.finalizers


def decode(obj: Obj) -> TrafficRouting:
    """Read what the CRD's schema has admitted; absent parts are empty."""
    phase = dig(obj, "status", "phase", default="")
    return TrafficRouting(
        key=key_of(obj),
        generation=generation_of(obj),
        deleting=is_deleting(obj),
        finalizers=tuple(finalizers_of(obj)),
        refs=tuple(_service_ref(index, ref) for index, ref in enumerate(dig(obj, "spec", "objectRef", default=[]))),
        strategy=dig(obj, "spec", "strategy", default={}),
        phase=Phase(phase) if phase in set(Phase) else None,
        active_for=tuple(dig(obj, "status", "activeFor", default=[])),
        recorded=tuple(map(_recorded, dig(obj, "status", "routes", default=[]))),
    )


def _service_ref(index: int, ref: Obj) -> ServiceRef:
    path = f"spec.objectRef[{index}]"
    return ServiceRef(
        service=str(ref.get("service", "")),
        path=path,
        grace=timedelta(seconds=max(0, int(dig(ref, "gracePeriodSeconds", default=_DEFAULT_GRACE_SECONDS)))),
        networks=tuple(
            _network_ref(network, f"{path}.customNetworkRefs[{number}]")
            for number, network in enumerate(dig(ref, "customNetworkRefs", default=[]))
        )
        + _canary_ingress(ref.get("ingress"), f"{path}.ingress")
        + _http_route(ref.get("gateway"), f"{path}.gateway"),
        canary_service=str(ref.get("canaryService") or ""),
    )


def _canary_ingress(ref: Obj | None, path: str) -> tuple[NetworkRef, ...]:
    """What an entry's `ingress` stands for: a second Ingress, by the name OpenKruise gives it."""
    if ref is None:
        return ()
    source, class_type = str(ref.get("name", "")), str(ref.get("classType") or _DEFAULT_INGRESS_CLASS)
    name = f"{source}-canary"
    return (NetworkRef("networking.k8s.io/v1", "Ingress", name, path, source=source, class_type=class_type),)


def _http_route(ref: Obj | None, path: str) -> tuple[NetworkRef, ...]:
    if ref is None:
        return ()
    name = str(ref.get("httpRouteName") or "")
    return (NetworkRef("gateway.networking.k8s.io/v1", "HTTPRoute", name, f"{path}.httpRouteName", by_service=True),)


def _network_ref(ref: Obj, path: str) -> NetworkRef:
    return NetworkRef(str(ref.get("apiVersion", "")), str(ref.get("kind", "")), str(ref.get("name", "")), path)


def _recorded(entry: Obj) -> Recorded:
    return Recorded(_network_ref(entry, "status.routes"), int(entry.get("generation", 0)), str(entry.get("since", "")))
