"""`kill -9` of the API server under load: nothing acknowledged is lost, nothing that was seen is undone."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from graylane.model.meta import Obj, name_of, rv_of
from graylane.testing.api.objects import config_map
from graylane.testing.api.process import SERVE, serving
from graylane.testing.api.rig import Https, Rig
from graylane.testing.api.serve import TOKEN

pytestmark = pytest.mark.e2e

MAPS = "/api/v1/namespaces/default/configmaps"
ROUNDS, WRITERS = 3, 8
GONE = (aiohttp.ClientError, ConnectionError, TimeoutError)


@dataclass
class Witness:
    """What clients were told. An object that is being deleted may be there or not until the answer comes."""

    told: dict[str, Obj] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    newest: int = 0
    answers_left: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def expect(self, answers: int) -> None:
        self.answers_left = answers
        self.enough.clear()

    def answered(self) -> None:
        self.answers_left -= 1
        if self.answers_left <= 0:
            self.enough.set()

    def acknowledge(self, obj: Obj) -> None:
        self.answered()
        self.newest = max(self.newest, rv_of(obj))
        if name_of(obj) not in self.deleted:
            self.told[name_of(obj)] = obj


@dataclass
class Watcher:
    """All that one watch was sent, and from which version on."""

    since: str
    seen: list[tuple[str, Obj]] = field(default_factory=list)

    async def look_on(self, api: Rig, **query: str) -> None:
        with suppress(*GONE, StopAsyncIteration):
            async with api.watch(MAPS, resourceVersion=self.since, **query) as watch:
                while True:
                    event = await watch.next()
                    self.seen.append((event["type"], event["object"]))


async def write(api: Rig, witness: Witness, label: str) -> None:
    """Creates, changes and deletes its own objects until the server dies."""
    with suppress(*GONE):
        for number in itertools.count():
            name = f"{label}-{number}"
            odd = {"odd": "yes"} if number % 2 else {}
            witness.acknowledge(await api.create(MAPS, config_map(name, labels=odd)))
            witness.acknowledge(await api.patch(f"{MAPS}/{name}", {"data": {"b": name}}))
            if number % 3 == 0:
                witness.told.pop(name)
                await api.delete(f"{MAPS}/{name}")
                witness.deleted.add(name)
                witness.answered()


async def version_of(api: Rig) -> str:
    return str((await api.get(MAPS, limit=1))["metadata"]["resourceVersion"])


async def replayed(api: Rig, since: str, count: int, **query: str) -> list[tuple[str, Obj]]:
    async with api.watch(MAPS, resourceVersion=since, **query) as watch:
        events = [await watch.next() for _ in range(count)]
    return [(event["type"], event["object"]) for event in events]


async def test_nothing_acknowledged_or_seen_is_lost_when_the_server_is_killed_under_load(tmp_path: Path) -> None:
    """The instant is drawn by the number of answers given, anywhere in the middle of other writes."""
    witness, newest_seen, dice = Witness(), 0, random.Random(1)
    for number in range(ROUNDS):
        everything, odd_ones = Watcher(""), Watcher("")
        async with serving(tmp_path) as (process, api):
            version = await version_of(api)
            assert int(version) >= max(witness.newest, newest_seen), "versions never go back"
            everything.since = odd_ones.since = version
            witness.expect(dice.randrange(40, 400))
            tasks = [asyncio.create_task(everything.look_on(api))]
            tasks += [asyncio.create_task(odd_ones.look_on(api, labelSelector="odd=yes"))]
            tasks += [asyncio.create_task(write(api, witness, f"r{number}-w{w}")) for w in range(WRITERS)]
            async with asyncio.timeout(60):
                await witness.enough.wait()
            process.send_signal(signal.SIGKILL)
            await asyncio.gather(*tasks)
        assert everything.seen, "watchers saw some of it"
        newest_seen = max(newest_seen, *(rv_of(obj) for _, obj in everything.seen))
        async with serving(tmp_path) as (_, api):
            found = {name_of(obj): obj for obj in (await api.get(MAPS))["items"]}
            for name, obj in witness.told.items():
                assert rv_of(found.get(name, {})) >= rv_of(obj), f"{name} was acknowledged and is lost"
                assert obj["data"].items() <= found[name]["data"].items()
            assert not witness.deleted & set(found)
            assert await replayed(api, version, len(everything.seen)) == everything.seen
            assert await replayed(api, version, len(odd_ones.seen), labelSelector="odd=yes") == odd_ones.seen
            made = await api.create(MAPS, config_map(f"after-{number}"))
            assert rv_of(made) > max(witness.newest, newest_seen)
            witness.acknowledge(made)


async def test_a_watch_goes_on_where_it_was_after_a_crash(tmp_path: Path) -> None:
    async with serving(tmp_path) as (process, api):
        made = await api.create(MAPS, config_map("a"))
        await api.patch(f"{MAPS}/a", {"data": {"a": "2"}})
        process.send_signal(signal.SIGKILL)
        await process.wait()
    version = made["metadata"]["resourceVersion"]
    async with serving(tmp_path) as (_, api), api.watch(MAPS, resourceVersion=version) as watch:
        event = await watch.next()
        assert (event["type"], event["object"]["data"]) == ("MODIFIED", {"a": "2"})
        await api.patch(f"{MAPS}/a", {"data": {"a": "3"}})
        assert (await watch.next())["object"]["data"] == {"a": "3"}


async def test_a_second_server_on_the_same_data_is_refused_in_one_line(tmp_path: Path) -> None:
    async with serving(tmp_path) as (first, _):
        second = await asyncio.create_subprocess_exec(
            *SERVE,
            tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await second.communicate()
        assert second.returncode == 1
        assert f"is in use by process {first.pid}" in err.decode()
        assert err.count(b"\n") == 1


async def test_a_stuck_watcher_holds_up_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, api):
        reader, writer = await _raw_watch(api)
        big = {"a": "x" * 100_000}
        await api.create(MAPS, config_map("big", big))
        async with asyncio.timeout(60):
            for number in range(300):
                await api.patch(f"{MAPS}/big", {"data": {"n": str(number)}})
        assert (await api.get(f"{MAPS}/big"))["data"]["n"] == "299"
        writer.transport.abort()
        assert reader is not None


async def _raw_watch(api: Rig) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that opens a watch and then never reads."""
    https = api.transport
    assert isinstance(https, Https)
    host, port = https.address
    reader, writer = await asyncio.open_connection(host, port, ssl=https.context, limit=1024)
    request = f"GET {MAPS}?watch=true HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    writer.write(request.encode())
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    return reader, writer
