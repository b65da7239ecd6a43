"""What of an object this mesh would not act on, for telling it to whoever writes the object.

Pure. In: an object as written. Out: sentences, those that its status would have as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graylane.mesh import fields
from graylane.mesh.findings import unknown_fields, unsupported
from graylane.model.meta import Obj

_SHAPES: dict[str, Any] = {
    "VirtualService": fields.VIRTUAL_SERVICE,
    "DestinationRule": fields.DESTINATION_RULE,
    "Gateway": fields.GATEWAY,
    "EnvoyFilter": fields.ENVOY_FILTER,
    "ServiceEntry": fields.SERVICE_ENTRY,
    "Sidecar": fields.SIDECAR,
}


def not_acted_on(obj: Obj) -> Iterator[str]:
    kind = str(obj.get("kind", ""))
    if kind not in _SHAPES:
        yield unsupported(f"kind {kind}").message
        return
    for path in dict.fromkeys(unknown_fields(obj.get("spec"), _SHAPES[kind], "spec")):
        yield unsupported(path).message
