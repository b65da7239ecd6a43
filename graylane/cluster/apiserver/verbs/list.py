"""GET many objects: selected, paged, and consistent over all pages of one list.

Shell (reads the store). In: a call without a name. Out: a list in the shape asked for, or 410 for a page whose moment
in history is no longer kept.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from dataclasses import dataclass

import orjson

from graylane.cluster.apiserver import failures, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Query, Reply
from graylane.cluster.apiserver.schema.fielderror import FieldError, as_api_error, forbidden, invalid, not_supported
from graylane.cluster.apiserver.selection import Selection, view_of
from graylane.cluster.apiserver.store import Compacted, Entry
from graylane.errors import BadRequest, Timeout
from graylane.model.meta import Key

_MATCHES = ("Exact", "NotOlderThan")


@dataclass(frozen=True, slots=True)
class Token:
    """Where a paged list goes on: after `last`, as of `revision`. A revision of -1 takes the present state."""

    revision: int
    last: Key

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps([self.revision, *self.last])).decode().rstrip("=")

    @staticmethod
    def parse(text: str) -> Token:
        try:
            revision, namespace, name = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            return Token(int(revision), Key(str(namespace), str(name)))
        except (binascii.Error, ValueError, TypeError):
            raise BadRequest("continue key is not valid: it was not made by this server") from None


async def list_(call: Call) -> Reply:
    selection, query = Selection.of(call), call.request.query
    _check_options(query)
    view = view_of(call)
    entries, revision = _state(call, selection.namespace, query)
    found = entries if selection.everything else [entry for entry in entries if selection.includes(entry)]
    page = found[: query.number("limit") or None]
    rest = len(found) - len(page)
    shown = await call.api.converter.entries(call.resource, page)
    meta = render.Page(
        revision,
        token=str(Token(revision, page[-1].key)) if rest else "",
        remaining=rest if rest and selection.everything else None,
    )
    return render.reply(render.many(shown, view, meta), view.wanted)


def _state(call: Call, namespace: str, query: Query) -> tuple[list[Entry], int]:
    """The entries to choose from, and the revision that the answer stands for."""
    store, name = call.api.store, call.resource.store
    if text := query.text("continue"):
        token = Token.parse(text)
        revision = store.revision if token.revision < 0 else token.revision
        entries = _at(call, revision, namespace, str(Token(-1, token.last)))
        return entries[bisect_right(entries, token.last, key=lambda entry: entry.key) :], revision
    wanted = parse_revision(query.text("resourceVersion"))
    if wanted > store.revision:
        raise too_large(wanted, store.revision)
    if wanted and query.text("resourceVersionMatch") == "Exact":
        return _at(call, wanted, namespace, ""), wanted
    return store.entries(name, namespace), store.revision


def _at(call: Call, revision: int, namespace: str, fallback: str) -> list[Entry]:
    try:
        return call.api.store.entries_at(call.resource.store, revision, namespace)
    except Compacted as error:
        raise failures.expired_page(fallback) if fallback else failures.expired(revision, error.oldest) from None


def parse_revision(text: str) -> int:
    """0 for none."""
    if text and not text.isdigit():
        raise BadRequest(f"invalid resource version: {wrong_version(text)}")
    return int(text or 0)


def wrong_version(text: str) -> FieldError:
    return invalid("resourceVersion", text, f'strconv.ParseUint: parsing "{text}": invalid syntax')


def too_large(asked: int, current: int) -> Timeout:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return Timeout(
        f"Too large resource version: {asked}, current: {current}", details={"causes": [cause], "retryAfterSeconds": 1}
    )


def _check_options(query: Query) -> None:
    match, version = query.text("resourceVersionMatch"), query.text("resourceVersion")
    query.number("timeoutSeconds")
    errors: list[FieldError] = []
    if query.text("sendInitialEvents"):
        errors.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if match and not version:
        errors.append(
            forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
        )
    if match and match not in _MATCHES:
        errors.append(not_supported("resourceVersionMatch", match, _MATCHES))
    if match == "Exact" and version == "0":
        errors.append(
            forbidden("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
        )
    if errors:
        raise as_api_error("meta.k8s.io", "v1", "ListOptions", "", errors)
