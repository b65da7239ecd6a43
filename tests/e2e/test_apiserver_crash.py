"""`kill -9` of the API server under load: nothing acknowledged is lost, nothing that was seen is undone."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from graylane.testing.api.objects import config_map
from graylane.testing.api.rig import MERGE, Https, Rig
from graylane.testing.api.serve import TOKEN

pytestmark = pytest.mark.e2e

MAPS = "/api/v1/namespaces/default/configmaps"
ROUNDS, WRITERS = 4, 8
GONE = (aiohttp.ClientError, ConnectionError, TimeoutError)


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, Rig]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "graylane.testing.api.serve", directory, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            url = (await process.stdout.readline()).split()[1].decode()
        https = Https(url, (directory / "pki" / "ca.crt").read_bytes())
        try:
            yield process, Rig(https, TOKEN, "https")
        finally:
            await https.close()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@dataclass
class Witness:
    """What clients were told: the newest version of each object, deletions, and everything watchers saw."""

    told: dict[str, int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    newest: int = 0

    def acknowledge(self, name: str, version: int) -> None:
        self.told[name] = max(version, self.told.get(name, 0))
        self.newest = max(version, self.newest)


async def write(api: Rig, witness: Witness, label: str) -> None:
    """Creates, changes and deletes its own objects until the server dies."""
    with suppress(*GONE):
        for number in range(100_000):
            name = f"{label}-{number}"
            made = await api.create(MAPS, config_map(name))
            witness.acknowledge(name, int(made["metadata"]["resourceVersion"]))
            changed = await api.call("PATCH", f"{MAPS}/{name}", {"data": {"b": "2"}}, content_type=MERGE)
            witness.acknowledge(name, int(changed.json["metadata"]["resourceVersion"]))
            if number % 3 == 0:
                # From here on either state is right, until the answer comes.
                witness.told.pop(name)
                await api.delete(f"{MAPS}/{name}")
                witness.deleted.add(name)


async def look_on(api: Rig, seen: dict[str, int], since: str) -> None:
    with suppress(*GONE, StopAsyncIteration):
        async with api.watch(MAPS, resourceVersion=since) as watch:
            while True:
                event = await watch.next()
                metadata = event["object"]["metadata"]
                seen[metadata["name"]] = int(metadata["resourceVersion"])
                if event["type"] == "DELETED":
                    seen[metadata["name"]] *= -1


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed_under_load(tmp_path: Path) -> None:
    witness, seen = Witness(), dict[str, int]()
    for number in range(ROUNDS):
        async with serving(tmp_path) as (process, api):
            version = (await api.get(MAPS))["metadata"]["resourceVersion"]
            assert int(version) >= witness.newest, "versions never go back"
            tasks = [asyncio.create_task(write(api, witness, f"r{number}-w{w}")) for w in range(WRITERS)]
            watching = asyncio.create_task(look_on(api, seen, version))
            await asyncio.sleep(random.uniform(0.3, 0.8))
            process.send_signal(signal.SIGKILL)
            await asyncio.gather(*tasks, watching)
        assert len(witness.told) > 20 * (number + 1), "there was load"
    async with serving(tmp_path) as (_, api):
        listed = (await api.get(MAPS))["items"]
        found = {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in listed}
        lost = [name for name, version in witness.told.items() if found.get(name, 0) < version]
        assert not lost
        assert not witness.deleted & set(found)
        undone = [name for name, version in seen.items() if version > 0 and 0 < found.get(name, version) < version]
        assert not undone, "no watcher saw what the crash undid"
        assert not [name for name, version in seen.items() if version < 0 and name in found]


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
            sys.executable,
            "-m",
            "graylane.testing.api.serve",
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
        async with asyncio.timeout(20):
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
