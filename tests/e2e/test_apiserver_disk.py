"""A disk without room: what cannot be written is refused and leaves no trace, and room ends it without a restart."""

from __future__ import annotations

import asyncio
import itertools
import resource
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from graylane.model.meta import Obj, name_of, rv_of
from graylane.testing.api.objects import config_map
from graylane.testing.api.process import serving
from graylane.testing.api.rig import MERGE, Result, Rig

pytestmark = pytest.mark.e2e

MAPS = "/api/v1/namespaces/default/configmaps"
LARGE = {"a": "x" * 50_000}
MOUNTED = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Narrow:
    """A way to run out of room. `under` is what the server is run under; `fill` and `free` get its process id."""

    under: tuple[str, ...]
    fill: Callable[[int, Path], None]
    free: Callable[[int, Path], None]
    words: str


def limit_files(size: int) -> Callable[[int, Path], None]:
    def limit(pid: int, folder: Path) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return limit


def ballast(pid: int, folder: Path) -> Path:
    """The mount is seen only by the server, and through it."""
    return Path(f"/proc/{pid}/root") / folder.relative_to("/") / "ballast"


def put_ballast(pid: int, folder: Path) -> None:
    """Down to the last page."""
    with ballast(pid, folder).open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


def drop_ballast(pid: int, folder: Path) -> None:
    ballast(pid, folder).unlink()


def narrow(kind: str, folder: Path) -> Narrow:
    if kind == "a file that may not grow":
        return Narrow((), limit_files(1 << 18), limit_files(resource.RLIM_INFINITY), "disk I/O error")
    mount = ("unshare", "--map-root-user", "--mount", "sh", "-c", MOUNTED, str(folder))
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts for this user here")
    return Narrow(mount, put_ballast, drop_ballast, "database or disk is full")


async def until_refused(api: Rig, label: str) -> tuple[list[Obj], list[str]]:
    """Four writers at a time: those that were stored, and the names of those that were not."""
    made, refused, turn = list[Obj](), list[str](), 0
    while not refused:
        names, turn = [f"{label}-{turn}-{writer}" for writer in range(4)], turn + 1
        answers = await asyncio.gather(*(api.call("POST", MAPS, config_map(name, LARGE)) for name in names))
        for name, answer in zip(names, answers, strict=True):
            if answer.status == 201:
                made.append(answer.json)
                continue
            assert (answer.status, answer.json["kind"], answer.reason) == (500, "Status", "InternalError")
            assert answer.message.startswith("cannot store the object in /"), answer.message
            refused.append(name)
    return made, refused


async def until_change_refused(api: Rig, obj: Obj) -> tuple[list[Obj], Result]:
    """The changes that were stored after all (the log may have started anew meanwhile), and the refusal."""
    changed = list[Obj]()
    for number in itertools.count():
        body = {"data": {**LARGE, "n": str(number)}}
        answer = await api.call("PATCH", f"{MAPS}/{name_of(obj)}", body, content_type=MERGE)
        if answer.status != 200:
            break
        changed.append(answer.json)
    assert (answer.status, answer.reason) == (500, "InternalError")
    return changed, answer


@pytest.mark.parametrize("kind", ["a file that may not grow", "a file system without room"])
async def test_a_full_disk_refuses_writes_and_nothing_else_until_there_is_room(tmp_path: Path, kind: str) -> None:
    way = narrow(kind, tmp_path)
    async with serving(tmp_path, *way.under) as (process, api):
        first = await api.create(MAPS, config_map("first"))
        async with api.watch(MAPS, resourceVersion=first["metadata"]["resourceVersion"]) as watch:
            way.fill(process.pid, tmp_path)
            stored, refused = await until_refused(api, "full")
            changed, answer = await until_change_refused(api, first)
            stored += changed
            assert way.words in answer.message
            assert await api.get(f"{MAPS}/first") == [first, *changed][-1], "reading goes on"
            found = {name_of(obj) for obj in (await api.get(MAPS))["items"]}
            assert not found & set(refused), "nothing half-written"

            way.free(process.pid, tmp_path)
            stored += [await api.create(MAPS, config_map(name, LARGE)) for name in refused]
            stored.append(await api.patch(f"{MAPS}/first", {"data": {"a": "2"}}))
            versions = [rv_of(obj) for obj in stored]
            assert max(versions) == versions[-1], "versions never go back"
            seen = [(await watch.next())["object"] for _ in stored]
        assert sorted(seen, key=rv_of) == sorted(stored, key=rv_of), "watchers saw what was stored, and that only"
        process.send_signal(signal.SIGKILL)
        await process.wait()
    if way.under:
        return  # the mount went with the process
    async with serving(tmp_path) as (_, api):
        kept = {name_of(obj): obj for obj in (await api.get(MAPS))["items"]}
        assert {name_of(obj): obj for obj in stored} == kept


async def test_what_the_server_writes_is_its_owners_alone(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, api):
        await api.create(MAPS, config_map("a"))
        written = [path for path in tmp_path.rglob("*") if not path.is_dir()]
        assert {"objects.db", "objects.db-wal", "kubeconfig", "apiserver.key"} <= {path.name for path in written}
        assert not [path for path in tmp_path.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077]
