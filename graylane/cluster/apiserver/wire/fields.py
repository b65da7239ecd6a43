"""Field numbers of Kubernetes' protobuf messages, from the file that `tools/extract_protobuf.py` made.

Pure, but for reading that one file of the package itself. In: a message's name, such as `io.k8s.api.core.v1.Volume`.
Out: number → `Field`, or None for messages that are not in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Field:
    """`inline` names a message whose fields belong to the parent's JSON object."""

    name: str
    keeps_zero: bool = False
    inline: str = ""


Message = dict[int, Field]


@cache
def _lines() -> dict[str, str]:
    path = files("graylane.cluster.apiserver.wire") / "data" / "fields.txt"
    rows = (line.partition(": ") for line in path.read_text().splitlines())
    return {name: row for name, _, row in rows}


@cache
def message(name: str) -> Message | None:
    row = _lines().get(name)
    if row is None:
        return None
    package = name.rpartition(".")[0]
    table: Message = {}
    number = 0
    for word in row.split():
        written, _, spec = word.rpartition(":")
        number = int(written) if written else number + 1
        table[number] = _field(spec, package)
    return table


def _field(spec: str, package: str) -> Field:
    if spec.startswith("+"):
        return Field("", inline=f"{package}.{spec[1:]}")
    return Field(spec.rstrip("*"), keeps_zero=spec.endswith("*"))
