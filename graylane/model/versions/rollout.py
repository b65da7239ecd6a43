"""Rollout of any served API version → hub, or → another version.

Pure. In: a wire object. Out: `Rollout`, or `Invalid`. The one place that knows which versions there are.
"""

from __future__ import annotations

from collections.abc import Callable

from graylane.errors import Invalid
from graylane.model.kinds import ROLLOUT
from graylane.model.meta import Obj
from graylane.model.rollout import Rollout
from graylane.model.versions import rollout_v1alpha1, rollout_v1beta1
from graylane.model.versions.rollout_conversion import V1ALPHA1, V1BETA1, to_v1alpha1, to_v1beta1

_DECODERS: dict[str, Callable[[Obj], Rollout]] = {
    V1ALPHA1: rollout_v1alpha1.decode,
    V1BETA1: rollout_v1beta1.decode,
}
VERSIONS = tuple(_DECODERS)
_CONVERTERS: dict[tuple[str, str], Callable[[Obj], Obj]] = {
    (V1ALPHA1, V1BETA1): to_v1beta1,
    (V1BETA1, V1ALPHA1): to_v1alpha1,
}


def decode(obj: Obj) -> Rollout:
    """The hub Rollout; an object without apiVersion is read as the version controllers watch."""
    version = str(obj.get("apiVersion") or ROLLOUT.api_version)
    decoder = _DECODERS.get(version)
    if decoder is None:
        raise Invalid(f"apiVersion: Unsupported value: {version!r}: supported values: {', '.join(_DECODERS)}")
    return decoder(obj)


def convert(obj: Obj, api_version: str) -> Obj:
    """`obj` in another served version; nothing that either version can say is lost. Raises `Invalid` by field."""
    present = str(obj.get("apiVersion", ""))
    if present == api_version:
        return obj
    converter = _CONVERTERS.get((present, api_version))
    if converter is None:
        raise Invalid(f"a Rollout of {present!r} cannot be had as {api_version!r}: served are {', '.join(_DECODERS)}")
    return converter(obj)
