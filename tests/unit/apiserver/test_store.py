"""The store: what is acknowledged is on disk, what is seen is acknowledged, and nobody waits for a slow reader."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graylane.cluster.apiserver.store import Compacted, EventType, Overflow, Stale, Store, Subscription
from graylane.cluster.apiserver.store.contract import Entry, Event
from graylane.cluster.apiserver.store.history import History
from graylane.errors import ApiError, UserError
from graylane.model.meta import Key, Obj

KEY = Key("ns", "a")


def obj(value: str, name: str = "a") -> Obj:
    return {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": name, "namespace": "ns"}, "value": value}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path, history=50)
    await store.open()
    yield store
    await store.close()


async def reopened(directory: Path) -> Store:
    store = Store(directory, history=50)
    await store.open()
    return store


async def test_a_write_is_seen_only_once_it_is_on_disk(store: Store) -> None:
    writing = asyncio.ensure_future(store.put("things", KEY, obj("1"), 0))
    await asyncio.sleep(0)
    assert store.get("things", KEY) is None, "readers see what is committed"
    head = store.head("things", KEY)
    assert head is not None, "writers see what is on its way"
    entry = await writing
    assert store.get("things", KEY) == entry
    assert (entry.revision, entry.obj["metadata"]["resourceVersion"]) == (1, "1")


async def test_what_head_shows_is_settled_once_readers_see_it(store: Store) -> None:
    await store.settled()
    entry = await store.put("things", KEY, obj("1"), 0)
    removing = asyncio.ensure_future(store.remove("things", KEY, obj("1"), entry.revision))
    await asyncio.sleep(0)
    assert store.head("things", KEY) is None
    assert store.get("things", KEY) == entry
    await store.settled()
    assert store.get("things", KEY) is None
    await removing


async def test_every_write_takes_the_next_revision_of_one_counter(store: Store) -> None:
    first = await store.put("things", KEY, obj("1"), 0)
    other = await store.put("others", KEY, obj("1"), 0)
    second = await store.put("things", KEY, obj("2"), first.revision)
    gone = await store.remove("things", KEY, obj("2"), second.revision)
    assert [entry.revision for entry in (first, other, second, gone)] == [1, 2, 3, 4]
    assert store.revision == 4


async def test_a_write_on_what_has_moved_is_stale(store: Store) -> None:
    first = await store.put("things", KEY, obj("1"), 0)
    for expected in (0, first.revision + 1):
        with pytest.raises(Stale):
            await store.put("things", KEY, obj("2"), expected)
    with pytest.raises(Stale):
        await store.remove("things", Key("ns", "none"), obj("2"), 1)


async def test_of_writers_in_the_same_instant_one_wins(store: Store) -> None:
    writers = [store.put("things", KEY, obj(str(n)), 0) for n in range(10)]
    answers = await asyncio.gather(*writers, return_exceptions=True)
    assert sum(isinstance(answer, Entry) for answer in answers) == 1
    assert sum(isinstance(answer, Stale) for answer in answers) == 9


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = await reopened(tmp_path)
    entry = await store.put("things", KEY, obj("1"), 0)
    other = await store.put("things", Key("ns", "b"), obj("1", "b"), 0)
    await store.remove("things", other.key, other.obj, other.revision)
    await store.close()
    store = await reopened(tmp_path)
    assert [found.obj for found in store.entries("things")] == [entry.obj]
    assert store.revision == 3
    assert (await store.put("things", KEY, obj("2"), entry.revision)).revision == 4
    await store.close()


async def test_a_watch_resumes_after_a_restart(tmp_path: Path) -> None:
    store = await reopened(tmp_path)
    entry = await store.put("things", KEY, obj("1"), 0)
    for value in "23":
        entry = await store.put("things", KEY, obj(value), entry.revision)
    await store.close()
    store = await reopened(tmp_path)
    events = await store.subscribe("things", after=1).batch()
    assert [(event.type, event.entry.obj["value"]) for event in events] == [
        (EventType.MODIFIED, "2"),
        (EventType.MODIFIED, "3"),
    ]
    await store.close()


async def test_old_history_is_compacted_and_said_so(store: Store) -> None:
    entry = await store.put("things", KEY, obj("0"), 0)
    for value in range(60):
        entry = await store.put("things", KEY, obj(str(value)), entry.revision)
    with pytest.raises(Compacted):
        store.subscribe("things", after=5)
    with pytest.raises(Compacted):
        store.entries_at("things", 5)
    assert len(await store.subscribe("things", after=entry.revision - 3).batch()) == 3


async def test_the_past_can_be_listed(store: Store) -> None:
    a = await store.put("things", KEY, obj("1"), 0)
    b = await store.put("things", Key("ns", "b"), obj("1", "b"), 0)
    await store.put("things", KEY, obj("2"), a.revision)
    await store.remove("things", b.key, b.obj, b.revision)
    await store.put("things", Key("ns", "c"), obj("1", "c"), 0)

    def past(revision: int) -> list[tuple[str, str]]:
        return [(e.key.name, e.obj["value"]) for e in store.entries_at("things", revision)]

    assert past(1) == [("a", "1")]
    assert past(2) == [("a", "1"), ("b", "1")]
    assert past(3) == [("a", "2"), ("b", "1")]
    assert past(4) == [("a", "2")]
    assert past(5) == [("a", "2"), ("c", "1")]


async def test_a_reader_that_falls_behind_is_cut_off_and_costs_nobody_anything(store: Store) -> None:
    slow = Subscription("things", limit=3)
    for number in range(10):
        slow.deliver(Event("things", EventType.ADDED, Entry(KEY, number, b"", {}), None))
    with pytest.raises(Overflow):
        await slow.batch()


async def test_a_reader_that_leaves_too_much_lying_is_cut_off_too(store: Store) -> None:
    slow = Subscription("things", room=250)
    for number in range(3):
        slow.deliver(Event("things", EventType.ADDED, Entry(KEY, number, b"x" * 100, {}), None))
    with pytest.raises(Overflow):
        await slow.batch()
    quick = Subscription("things", room=250)
    for number in range(10):
        quick.deliver(Event("things", EventType.ADDED, Entry(KEY, number, b"x" * 100, {}), None))
        assert len(await quick.batch()) == 1


def test_history_holds_as_many_large_changes_as_it_has_room_for() -> None:
    history = History(0, room=250)
    for number in range(1, 6):
        history.append(Event("things", EventType.MODIFIED, Entry(KEY, number, b"x" * 100), None))
    assert [event.revision for event in history.after("things", 3)] == [4, 5]
    with pytest.raises(Compacted):
        history.after("things", 2)


async def test_a_restarted_store_holds_what_is_current_only_once(tmp_path: Path) -> None:
    store = await reopened(tmp_path)
    await store.put("things", KEY, {"metadata": {"labels": {"a": "b"}}}, 0)
    await store.close()
    again = await reopened(tmp_path)
    [event] = await again.subscribe("things", after=0).batch()
    assert event.entry is again.get("things", KEY)
    assert event.entry.labels == {"a": "b"}
    await again.close()


async def test_an_idle_reader_hears_nothing_until_its_time_is_up(store: Store) -> None:
    subscription = store.subscribe("things")
    waiting = asyncio.create_task(subscription.batch())
    await asyncio.sleep(0)
    assert not waiting.done()
    subscription.wake()
    assert await waiting == []
    await store.put("things", KEY, obj("1"), 0)
    assert [event.revision for event in await subscription.batch()] == [1]


async def test_a_second_process_on_the_directory_is_told_who_has_it(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"in use by process \d+; stop it or choose another --data"):
        await Store(tmp_path).open()


async def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "objects.db").write_bytes(b"not a database, but long enough to be taken for one" * 50)
    with pytest.raises(UserError, match=r"cannot read .*objects\.db: file is not a database"):
        await Store(tmp_path).open()
    (tmp_path / "objects.db").unlink()
    await (await reopened(tmp_path)).close()


async def test_damage_in_the_middle_of_the_data_is_one_clear_line(tmp_path: Path) -> None:
    store = await reopened(tmp_path)
    await asyncio.gather(*(store.put("things", Key("ns", f"n{n}"), obj("x" * 2000, f"n{n}"), 0) for n in range(50)))
    await store.close()
    path = tmp_path / "objects.db"
    whole = path.read_bytes()
    page = len(whole) // 2 // 4096 * 4096
    for damaged in (whole[:page] + b"\xff" * 8192 + whole[page + 8192 :], whole[:page]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"cannot read .*objects\.db: .* malformed; move it away to start afresh"):
            await Store(tmp_path).open()
    path.write_bytes(whole)
    again = await reopened(tmp_path)
    assert len(again.entries("things")) == 50
    await again.close()


async def test_data_that_may_not_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "objects.db").mkdir()
    with pytest.raises(UserError, match=r"cannot use .*objects\.db: .*; see to its permissions and to the room"):
        await Store(tmp_path).open()


async def test_whatever_goes_wrong_with_one_write_the_next_is_served(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(batch: list[Event]) -> None:
        store._disk._connection.execute("BEGIN IMMEDIATE")
        raise MemoryError("no room for this")

    with monkeypatch.context() as patched:
        patched.setattr(store._disk, "_commit", torn)
        with pytest.raises(ApiError, match=r"cannot store the object in .*: no room for this"):
            await store.put("things", KEY, obj("1"), 0)
    assert (await store.put("things", KEY, obj("2"), 0)).obj["value"] == "2"


async def test_when_the_disk_refuses_writers_are_told_and_readers_see_the_old_state(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await store.put("things", KEY, obj("1"), 0)

    def full(batch: list[Event]) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store._disk, "_commit", full)
        second = store.put("things", KEY, obj("2"), entry.revision)
        answers = await asyncio.gather(
            second, store.put("things", Key("ns", "b"), obj("1", "b"), 0), return_exceptions=True
        )
    assert all(isinstance(answer, ApiError) for answer in answers)
    assert "disk is full" in str(answers[0])
    assert store.head("things", KEY) == store.get("things", KEY) == entry
    recovered = await store.put("things", KEY, obj("3"), entry.revision)
    assert recovered.obj["value"] == "3"
    assert recovered.revision > entry.revision


async def test_many_writers_share_transactions_and_all_are_answered(store: Store) -> None:
    writes = (store.put("things", Key("ns", f"n{n}"), obj("1", f"n{n}"), 0) for n in range(500))
    entries = await asyncio.gather(*writes)
    assert sorted(entry.revision for entry in entries) == list(range(1, 501))
    assert len(store.entries("things", "ns")) == 500
    assert store.entries("things", "other") == []
