"""Rollout of any served API version → hub.

Pure. In: a wire object. Out: `Rollout`, or `Invalid`. The one place that knows which versions there are.
"""

from __future__ import annotations

from collections.abc import Callable

from graylane.errors import Invalid
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import Obj
from graylane.model.rollout import GROUP, Rollout
from graylane.model.versions import rollout_v1alpha1

_DECODERS: dict[str, Callable[[Obj], Rollout]] = {f"{GROUP}/v1alpha1": rollout_v1alpha1.decode}


def decode(obj: Obj) -> Rollout:
    """The hub Rollout; an object without apiVersion is read as the version controllers watch."""
    version = str(obj.get("apiVersion") or ROLLOUT.api_version)
    decoder = _DECODERS.get(version)
    if decoder is None:
        raise Invalid(f"apiVersion: Unsupported value: {version!r}: supported values: {', '.join(_DECODERS)}")
    return decoder(obj)
