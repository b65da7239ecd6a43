"""What of an object this mesh would not act on, for telling it to whoever writes the object.

Pure. In: an object as written. Out: sentences, those that its status would have as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from graylane.mesh.fields import SHAPES
from graylane.mesh.findings import unknown_fields, unsupported
from graylane.model.meta import Obj


def not_acted_on(obj: Obj) -> Iterator[str]:
    kind = str(obj.get("kind", ""))
    if kind not in SHAPES:
        yield unsupported(f"kind {kind}").message
        return
    for path in dict.fromkeys(unknown_fields(obj.get("spec"), SHAPES[kind], "spec")):
        yield unsupported(path).message
