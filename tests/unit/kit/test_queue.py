"""A key is worked on by one at a time, once however often it was asked for, and again if asked meanwhile."""

import asyncio

from graylane.kit.queue import WorkQueue


async def test_asking_twice_gives_a_key_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_asked_for_while_worked_on_comes_again_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(key)
    assert await waiting == "a"


async def test_failures_in_a_row_wait_longer_and_success_forgets_them() -> None:
    queue: WorkQueue[str] = WorkQueue()
    delays = [queue.retry("a") for _ in range(3)]
    assert delays == sorted(delays)
    assert delays[2] == 4 * delays[0]
    queue.succeeded("a")
    assert queue.retry("a") == delays[0]
    queue.close()


async def test_a_later_request_replaces_an_earlier_timer() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 3600)
    queue.add_after("a", 0)
    assert await asyncio.wait_for(queue.get(), 1) == "a"
