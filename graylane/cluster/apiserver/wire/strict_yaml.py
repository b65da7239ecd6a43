"""Read a YAML body into what JSON can say.

Pure. In: the bytes of a body. Out: the decoded value as JSON would have it, or `BadRequest`. What only YAML has is
refused: anchors that contain themselves, aliases that grow beyond all measure, not-a-number, keys that are no text.
Dates stay text, as Kubernetes' decoder leaves them.
"""

from __future__ import annotations

import math
from typing import Any

import orjson
import yaml

from graylane.cluster.apiserver.wire import strict_json
from graylane.errors import BadRequest

MOST_VALUES = 200_000  # with aliases written out; a body without them stays far below
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_FAST):  # type: ignore[misc]
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _FAST.yaml_implicit_resolvers.items()
    }


def _text(loader: Any, node: Any) -> str:
    """`!!binary` is the text that it encodes, as for Kubernetes' decoder."""
    return str(loader.construct_yaml_binary(node).decode())


_Loader.add_constructor("tag:yaml.org,2002:binary", _text)


def load(body: bytes) -> Any:
    try:
        value = yaml.load(body, Loader=_Loader)
        _measure(value, {})
        written = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BadRequest(f"couldn't get version/kind; yaml parse error: {error}") from None
    return strict_json.load(written)


def _measure(value: Any, known: dict[int, int]) -> int:
    """How many values there are once aliases are written out; each is looked at once, however often it is used."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that JSON can say")
    if not isinstance(value, dict | list):
        return 1
    if id(value) in known:
        if not known[id(value)]:
            raise ValueError("an anchor contains itself")
        return known[id(value)]
    known[id(value)] = 0
    size = 1 + sum(_measure(inner, known) for inner in (value.values() if isinstance(value, dict) else value))
    if size > MOST_VALUES:
        raise ValueError(f"aliases make more than {MOST_VALUES} values of it")
    known[id(value)] = size
    return size
