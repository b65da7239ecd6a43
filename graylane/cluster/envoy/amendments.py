"""What others want in Envoy's bootstrap, as far as Envoy starts with it.

Pure but for the trying, which is handed in. In: our document, amendments in their order. Out: the document to start
with, and why those that are not in it are not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

Document = dict[str, Any]
Refusals = Mapping[Hashable, str]


class Amendment(Protocol):
    """One that wants something; `owner` is for whoever offered it, and is another one when it wants something else."""

    @property
    def owner(self) -> Hashable: ...

    def apply(self, document: Document) -> Document: ...


class Offer(Protocol):
    """Asked before each start; told afterwards what Envoy was started with."""

    async def amendments(self) -> Sequence[Amendment]: ...

    def told(self, taken: Iterable[Hashable], refused: Refusals) -> None: ...


async def choose(
    document: Document, amendments: Sequence[Amendment], fault: Callable[[Document], Awaitable[str]]
) -> tuple[Document, dict[Hashable, str]]:
    """`fault` says why Envoy would not start with a document, "" if it would. All are tried at once, then each."""
    everything = document
    for each in amendments:
        everything = each.apply(everything)
    if not amendments or not await fault(everything):
        return everything, {}
    refused: dict[Hashable, str] = {}
    for each in amendments:
        tried = each.apply(document)
        if why := await fault(tried):
            refused[each.owner] = why
        else:
            document = tried
    return document, refused
