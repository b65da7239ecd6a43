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
    assert await asyncio.wait_for(queue.get(), 30) == "a"


async def test_what_is_urgent_comes_before_what_waits_also_when_it_waited_itself() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in "abc":
        queue.add(key)
    queue.add("d", urgent=True)
    queue.add("c", urgent=True)
    assert [await queue.get() for _ in range(4)] == ["d", "c", "a", "b"]


async def test_hands_for_what_is_urgent_take_nothing_else_and_are_woken_first() -> None:
    queue: WorkQueue[str] = WorkQueue()
    urgent, any_key = asyncio.create_task(queue.get(only_urgent=True)), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("b")
    assert await any_key == "b"
    assert not urgent.done()
    other = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a", urgent=True)
    assert await urgent == "a"
    assert not other.done()
    queue.add("c")
    assert await other == "c"


async def test_without_free_hands_of_its_own_what_is_urgent_is_taken_by_any() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a", urgent=True)
    assert await waiting == "a"
    queue.add("a", urgent=True)
    queue.add("b")
    queue.done("a")
    assert await queue.get() == "a", "as urgent as it was asked for while it was worked on"


async def test_one_that_gives_up_as_it_is_woken_wakes_another() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 30) == "a"
