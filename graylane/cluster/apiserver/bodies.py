"""Request bodies turned into objects, or refused in kube-apiserver's words.

Pure. In: bytes, their media type, the kind that is expected. Out: an object of that kind without unknown fields, and
the warnings that `fieldValidation=Warn` asks for.
"""

from __future__ import annotations

import contextlib
from typing import Any

import orjson

from graylane.cluster.apiserver import media
from graylane.cluster.apiserver.options import FieldValidation
from graylane.cluster.apiserver.schema import gojson
from graylane.cluster.apiserver.schema.components import Components
from graylane.cluster.apiserver.schema.fielderror import as_api_error, cannot_decode
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.cluster.apiserver.wire import protobuf, strict_json, strict_yaml
from graylane.errors import BadRequest, UnsupportedMediaType
from graylane.model.meta import Obj

ACCEPTED = (media.JSON_TYPE, media.YAML_TYPE, media.PROTOBUF_TYPE)
_NO_METADATA: Obj = {}


def load(body: bytes, content_type: str) -> Obj:
    """The object in `body`, whatever it is written in. 400 if it is none, 415 for other media types."""
    kind = media.content_type(content_type)
    if kind == media.JSON_TYPE:
        return mapping(load_json(body))
    if kind == media.YAML_TYPE:
        return mapping(load_yaml(body))
    if kind == media.PROTOBUF_TYPE:
        return protobuf.decode(body)
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: " + ", ".join(ACCEPTED)
    )


def load_json(body: bytes) -> Any:
    return strict_json.load(body)


def load_yaml(body: bytes) -> Any:
    """JSON is tried first: what kubectl calls YAML nearly always is."""
    with contextlib.suppress(BadRequest):
        return strict_json.load(body)
    return strict_yaml.load(body)


def mapping(value: Any) -> Obj:
    """The object; null is an empty one, as in Go."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        found = {list: "array", str: "string", bool: "bool", int: "number", float: "number"}.get(type(value), "null")
        raise BadRequest(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type object"
        )
    return value


def expect_kind(obj: Obj, api_version: str, kind: str, *, lenient: bool) -> Obj:
    """`obj` with apiVersion and kind in front. `lenient`: absent ones are filled in, as for built-in kinds."""
    found_version, found_kind = obj.get("apiVersion"), obj.get("kind")
    if not lenient and (not found_kind or not found_version):
        missing = "Kind" if not found_kind else "apiVersion"
        raise BadRequest(f"Object '{missing}' is missing in '{orjson.dumps(obj).decode()[:200]}'")
    if (found_version or api_version) != api_version:
        raise BadRequest(
            f"the API version in the data ({found_version}) does not match the expected API version ({api_version})"
        )
    if (found_kind or kind) != kind:
        version = api_version.rpartition("/")[2]
        raise BadRequest(f'{found_kind} in version "{version}" cannot be handled as a {kind}')
    metadata = obj.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise cannot_decode("", api_version.rpartition("/")[2], kind, "metadata: an object is expected")
    rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "metadata")}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata or _NO_METADATA, **rest}


def decoded(obj: Obj, component: str) -> Obj:
    """What is said but not stored, like DeleteOptions, has the types of its OpenAPI component too. 400 if not."""
    mistake = gojson.first_mistake(Components.load().node(component), obj)
    if mistake:
        _, version, kind = component.rsplit(".", 2)
        raise cannot_decode("", version, kind, mistake)
    return obj


def require_whole(structural: Structural, obj: Obj, body: bytes) -> None:
    """400 when something that would be stored was nested too deeply to be decoded."""
    if strict_json.is_deep(body) and strict_json.is_cut(structural.prune(obj)):
        raise strict_json.too_deep()


def strictness(
    structural: Structural, obj: Obj, body: bytes, content_type: str, mode: FieldValidation
) -> tuple[list[str], list[str]]:
    """What `fieldValidation` finds: (errors, warnings). Duplicates are only visible in the bytes of JSON."""
    if mode is FieldValidation.IGNORE:
        return [], []
    is_json = media.content_type(content_type) == media.JSON_TYPE
    found = [f'duplicate field "{path}"' for path in (strict_json.duplicates(body) if is_json else ())]
    found += [f'unknown field "{path}"' for path in structural.unknown(obj)]
    return (found, []) if mode is FieldValidation.STRICT else ([], found)


def check_types(structural: Structural, obj: Obj, group: str, version: str, kind: str) -> None:
    """Raise for values of the wrong type, missing required fields and whatever else the schema forbids."""
    errors = structural.check(obj)
    if errors:
        name = obj["metadata"].get("name") or ""
        raise as_api_error(group, version, kind, name if isinstance(name, str) else "", errors)
