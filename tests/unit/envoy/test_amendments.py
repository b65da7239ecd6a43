"""Envoy starts with everything that others want, or with what is left of it when it would not."""

from __future__ import annotations

from dataclasses import dataclass

from graylane.cluster.envoy.amendments import Document, choose


@dataclass(frozen=True)
class Adds:
    owner: str

    def apply(self, document: Document) -> Document:
        return {"has": [*document["has"], self.owner]}


async def chosen(*wanted: str, bad: set[str]) -> tuple[list[str], dict[object, str], int]:
    tried: list[Document] = []

    async def fault(document: Document) -> str:
        tried.append(document)
        return f"no {min(found)}" if (found := bad & set(document["has"])) else ""

    document, refused = await choose({"has": []}, [Adds(name) for name in wanted], fault)
    return document["has"], refused, len(tried)


async def test_nothing_is_tried_when_nothing_is_wanted() -> None:
    assert await chosen(bad=set()) == ([], {}, 0)


async def test_all_are_tried_at_once() -> None:
    assert await chosen("a", "b", "c", bad=set()) == (["a", "b", "c"], {}, 1)


async def test_the_culprits_alone_are_left_out_each_with_its_reason() -> None:
    assert await chosen("a", "b", "c", "d", bad={"b", "d"}) == (["a", "c"], {"b": "no b", "d": "no d"}, 5)
