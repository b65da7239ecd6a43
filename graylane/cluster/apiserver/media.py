"""Media types, parsed rather than compared: every client orders their parameters differently.

Pure. In: `Accept` and `Content-Type` headers. Out: what to answer in, what the body is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from graylane.errors import NotAcceptable

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"


@dataclass(frozen=True, slots=True)
class MediaType:
    """`application/json;as=Table;v=v1;g=meta.k8s.io` → type and parameters, both lower case except values."""

    type: str
    params: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.params.get(name, "")


@lru_cache(maxsize=256)
def parse(header: str) -> tuple[MediaType, ...]:
    """Clauses in the order written, best quality first."""
    clauses: list[tuple[float, MediaType]] = []
    for clause in header.split(","):
        kind, *params = (part.strip() for part in clause.split(";"))
        if not kind:
            continue
        pairs = {key.strip().lower(): value.strip().strip('"') for key, _, value in (p.partition("=") for p in params)}
        clauses.append((_quality(pairs.pop("q", "1")), MediaType(kind.lower(), pairs)))
    return tuple(media for _, media in sorted(clauses, key=lambda pair: -pair[0]))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Shape(StrEnum):
    """What the client wants objects turned into."""

    OBJECT = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The representation of an answer. `meta_version` is the version of Table or PartialObjectMetadata asked for."""

    shape: Shape = Shape.OBJECT
    meta_version: str = "v1"
    yaml: bool = False

    @property
    def content_type(self) -> str:
        return YAML_TYPE if self.yaml else JSON_TYPE


@lru_cache(maxsize=256)
def wanted(accept: str) -> Wanted:
    """The first acceptable clause, 406 if none is. Protobuf-first clients get JSON: all of them list it second."""
    clauses = parse(accept)
    for media in clauses:
        if media.type in (JSON_TYPE, YAML_TYPE, "*/*", "application/*"):
            shape = media.get("as")
            if not shape:
                return Wanted(yaml=media.type == YAML_TYPE)
            if shape in list(Shape) and media.get("g") == "meta.k8s.io" and media.get("v") in ("v1", "v1beta1"):
                return Wanted(Shape(shape), media.get("v"))
    if clauses:
        raise NotAcceptable(
            "only the following media types are accepted: application/json, application/yaml "
            "(and as=Table, as=PartialObjectMetadata or as=PartialObjectMetadataList of meta.k8s.io)",
            details={},
        )
    return Wanted()


@lru_cache(maxsize=256)
def content_type(header: str) -> str:
    """The bare type of a body; a missing header means JSON (`kubectl scale --current-replicas` sends none)."""
    clauses = parse(header)
    return clauses[0].type if clauses else JSON_TYPE
