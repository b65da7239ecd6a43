"""A large table in sixteen parts, of which a request needs one and a change of a rule concerns one.

Pure. In: domains. Out: which part has which domain, and what makes Envoy look into the right one.

Envoy builds a whole table anew for every change, in 15 ms for 1,000 virtual hosts. So before it looks for a route, it
looks at the first label of a request's host, or its address: four questions, yes or no, about it name the part.
Every host has an answer, in whatever case it is spelled; wildcards, which may be meant by any, are in all parts. The
answer is in a header that no client can set and no service gets, and is the key of a scope (SRDS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import product
from operator import xor
from typing import Any

from envoy.config.route.v3 import scoped_route_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2

from graylane.mesh.encode.protos import base_pb2, pack, set_ads, set_seconds

HEADER = "x-graylane-shard"
TABLE = "graylane-table"
"""By this, Envoy's request for scopes tells whose."""
_SERVER = "xds"
_SPLITS = (  # digits and letters that count, and those that do not
    ("1-25-69", "03-47-8", "a-m", "n-z"),
    ("2-5", "0-16-9", "g-s", "a-ft-z"),
    ("4-9", "0-3", "d-ip-v", "a-cj-ow-z"),
    ("8-9", "0-7", "b-ek-n", "af-jo-z"),
)
_DIGITS, _LETTERS = "0123456789", "abcdefghijklmnopqrstuvwxyz"


def _question(digit: str, no_digit: str, letter: str, no_letter: str) -> str:
    """Whether an even number of characters count in an address, or in a first label that begins with a letter.

    RE2 and Python read it alike. No other host has an even number of anything.
    """
    one, none = f"[{digit}{letter}]", f"[{no_digit}{no_letter}_-]"
    address = f"(?:[{no_digit}.]|[{digit}][{no_digit}.]*[{digit}])*(?::|$)"
    label = f"(?:[{no_letter}]|[{letter}]{none}*{one})(?:{none}|{one}{none}*{one})*(?:[.:]|$)"
    return f"(?i)^(?:{address}|{label})"


QUESTIONS = tuple(_question(*split) for split in _SPLITS)
_CODES = {
    each: sum(bool(re.match(f"[{one}{two}]", each)) << bit for bit, (one, _, two, _) in enumerate(_SPLITS))
    for each in _DIGITS + _LETTERS + "_-"
}
KEYS = tuple("".join(bits) for bits in product("01", repeat=len(_SPLITS)))


def key_of(domain: str) -> str:
    """What the questions come to, found in a tenth of the time that asking them takes."""
    host = domain.partition(":")[0].lower()
    counts = host.partition(".")[0]
    if not host.strip(_DIGITS + "."):
        counts = host.replace(".", "")
    elif counts[:1] not in set(_LETTERS) or not _CODES.keys() >= set(counts):
        return KEYS[0]
    odd = reduce(xor, (_CODES[each] for each in counts), 0)
    return "".join("0" if odd >> bit & 1 else "1" for bit in range(len(_SPLITS)))


def name_of(table: str, key: str) -> str:
    return f"{table}#{key}"


def table_of(name: str) -> str:
    """The table that a resource is, or is a part of."""
    return name.partition("#")[0]


def spread(domains: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Which part has which of a virtual host's domains."""
    if any("*" in domain for domain in domains):
        keys: Iterable[str] = KEYS
    else:
        keys = dict.fromkeys(map(key_of, domains))
    return {key: tuple(each for each in domains if "*" in each or key_of(each) == key) for key in keys}


def asking() -> Any:
    """Answers the questions for a request before anything else sees it."""
    config = header_mutation_pb2.HeaderMutation()
    option = config.mutations.add().append
    option.append_action = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    option.header.key = HEADER
    asked = (f"request.headers[':authority'].matches('{question}') ? '1' : '0'" for question in QUESTIONS)
    option.header.value = "".join(f"%CEL({each})%" for each in asked)
    return pack(config)


def scope(scoped_routes: Any, table: str) -> None:
    """Have a connection manager choose among a table's parts; which there are it asks on a stream of its own."""
    scoped_routes.name = "shards"
    fragment = scoped_routes.scope_key_builder.fragments.add()
    fragment.header_value_extractor.name = HEADER
    fragment.header_value_extractor.index = 0
    set_ads(scoped_routes.rds_config_source)
    source = scoped_routes.scoped_rds.scoped_rds_config_source
    source.resource_api_version = 2  # V3
    set_seconds(source.initial_fetch_timeout, 0.0)
    api = source.api_config_source
    api.api_type, api.transport_api_version = 2, 2  # GRPC, V3
    service = api.grpc_services.add()
    service.envoy_grpc.cluster_name = _SERVER
    service.initial_metadata.add(key=TABLE, value=table)


def scopes(table: str) -> Iterable[Any]:
    """All the scopes of a table: they stay what they are for as long as it is."""
    for key in KEYS:
        found = scoped_route_pb2.ScopedRouteConfiguration(name=key, route_configuration_name=name_of(table, key))
        found.key.fragments.add(string_key=key)
        yield found
