"""What makes Envoy tell of every request it handled: lines of an access log, and which headers they name.

Pure. In: the headers that a route table's rules look at. Out: messages for listeners and route tables. A listener's
part never changes, since every change of it would replace all listeners. It names the few headers that it was told to
from the start, for next to nothing; whatever else is to be told of comes with the routes, and is read by a filter right
before the router, after every filter that may dye a request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from graylane.mesh.encode.protos import pack
from graylane.mesh.filters import code
from graylane.mesh.inputs import MeshConfig
from graylane.mesh.memo import Memo
from graylane.mesh.table import Forward, HeaderEdits, Route, VirtualHost

LOG = "envoy.access_loggers.file"
FILTER = "envoy.filters.http.set_filter_state"
FIELD, PAIR, VALUE = "\x1f", "\x1e", "\x1d"  # what stands between fields, between headers, before a header's value
KIND = "\x1c"  # … and between what is each request's own and what many have in common
_STATE = "graylane.observed"
CODE = f"code{FIELD}"  # begins the lines that tell of code which failed
OWN_FIELDS = (
    "%START_TIME(%s.%6f)%",
    "%EMIT_TIME(%s.%6f)%",
    "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "%REQ(X-REQUEST-ID)%",
    "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):256%",
)
KIND_FIELDS = (  # the headers of `MeshConfig.named` come after these
    "%RESPONSE_CODE%",
    "%RESPONSE_FLAGS%",
    "%RESPONSE_CODE_DETAILS%",
    "%DOWNSTREAM_LOCAL_ADDRESS%",
    "%UPSTREAM_REMOTE_ADDRESS%",
    "%UPSTREAM_CLUSTER_RAW%",
    "%REQ(:METHOD)%",
    "%REQ(:AUTHORITY)%",
    "%ROUTE_NAME%",
    f"%FILTER_STATE({_STATE}:PLAIN)%",
)
_SPEAKABLE = re.compile(r"[\w.-]+", re.ASCII)  # in the words of a log's format
_SECRET = ("authorization", "proxy-authorization", "cookie")


def access_log(mesh: MeshConfig) -> Any:
    """One line for each request; what there is not is empty."""
    log = file_pb2.FileAccessLog(path=mesh.ledger)
    kind = (*KIND_FIELDS, *(_value(name) for name in mesh.named))
    log.log_format.text_format_source.inline_string = f"{FIELD.join(OWN_FIELDS)}{KIND}{FIELD.join(kind)}\n"
    log.log_format.omit_empty_values = True
    return pack(log)


def code_log(mesh: MeshConfig) -> Any:
    """An access log that tells of requests at which an EnvoyFilter's code failed, and of nothing else."""
    log = accesslog_pb2.AccessLog(name=LOG)
    found = log.filter.metadata_filter
    found.matcher.filter = code.NAMESPACE
    found.matcher.path.add(key=code.KEY)
    found.matcher.value.present_match = True
    found.match_if_key_not_found.value = False
    written = file_pb2.FileAccessLog(path=mesh.ledger)
    line = f"{CODE}%DYNAMIC_METADATA({code.NAMESPACE}:{code.KEY})%\n"
    written.log_format.text_format_source.inline_string = line
    log.typed_config.CopyFrom(pack(written))
    return log


def _value(name: str) -> str:
    return f"%REQ({name}):256%"


@dataclass(frozen=True, slots=True)
class Told:
    """Headers to tell of: `lanes` mark a lane anywhere, `named` are in every line by themselves."""

    lanes: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()


def reader() -> Any:
    """The filter as listeners have it: none, until a route table says what it shall read."""
    found = hcm_pb2.HttpFilter(name=FILTER, disabled=True)
    found.typed_config.CopyFrom(pack(set_filter_state_pb2.Config()))
    return found


def observed_headers(hosts: tuple[VirtualHost, ...], lanes: frozenset[str], memo: Memo) -> frozenset[str]:
    """The request headers that decide in a table of these hosts, and those that mark a lane anywhere."""
    return lanes.union(*(each.matched for each in memo.each("observed", hosts, _names)))


def read_headers(hosts: tuple[VirtualHost, ...], told: Told, memo: Memo, *, patched: bool = False) -> tuple[str, ...]:
    """What the filter shall read in a table of these hosts: of what is observed all that lines do not name, and what
    they name as this table's edits left it. Nobody knows what the edits of `patched` tables are.
    """
    edited = (each.edited for each in memo.each("observed", hosts, _names))
    late = told.named if patched else told.named & frozenset[str]().union(*edited)
    read = observed_headers(hosts, told.lanes, memo) - told.named | late
    return tuple(sorted(name for name in read if _SPEAKABLE.fullmatch(name)))


@dataclass(frozen=True, slots=True)
class _Names:
    matched: frozenset[str]
    edited: frozenset[str]


def _names(host: VirtualHost) -> _Names:
    matched = {header.name for route in host.routes for header in route.match.headers}
    edited = {name.lower() for route in host.routes for edits in _edits(route) for name in _named_by(edits)}
    return _Names(frozenset(filter(_may_be_told, matched)), frozenset(edited))


def _may_be_told(name: str) -> bool:
    return not name.startswith(":") and name not in _SECRET


def _edits(route: Route) -> Iterable[HeaderEdits]:
    yield route.request
    if isinstance(route.action, Forward):
        yield from (target.request for target in route.action.targets)


def _named_by(edits: HeaderEdits) -> Iterable[str]:
    return (*(name for name, _ in (*edits.set, *edits.add)), *edits.remove)


def per_table(headers: tuple[str, ...]) -> Any:
    """What is read is told in one word, absent headers too: theirs is the word against what a line names."""
    config = set_filter_state_pb2.Config()
    value = config.on_request_headers.add(object_key=_STATE, factory_key="envoy.string")
    value.format_string.omit_empty_values = True
    value.format_string.text_format_source.inline_string = PAIR.join(f"{name}{VALUE}{_value(name)}" for name in headers)
    return pack(config)
