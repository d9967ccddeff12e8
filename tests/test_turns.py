from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from gateway.turns import Party, Place, Turns


class Queue:
    """Asks for places on behalf of parties, and lets go of them one by one; `order` is who got one."""

    def __init__(self, turns: Turns, tasks: TaskGroup) -> None:
        self.turns, self.tasks = turns, tasks
        self.order: list[str] = []
        self.leave: list[anyio.Event] = []

    async def ask(self, name: str, party: Party) -> anyio.CancelScope:
        scope = anyio.CancelScope()
        self.tasks.start_soon(self._hold, name, party, scope)
        await anyio.wait_all_tasks_blocked()
        return scope

    async def _hold(self, name: str, party: Party, scope: anyio.CancelScope) -> None:
        with scope:
            async with self.turns.place(party):
                self.order.append(name)
                leave = anyio.Event()
                self.leave.append(leave)
                await leave.wait()

    async def free(self, count: int = 1) -> None:
        for _ in range(count):
            self.leave.pop(0).set()
            await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def queue(total: int) -> AsyncIterator[Queue]:
    async with anyio.create_task_group() as tasks:
        asking = Queue(Turns(total), tasks)
        yield asking
        tasks.cancel_scope.cancel()
    assert (asking.turns.held, asking.turns.waiting) == (0, 0)


async def test_as_many_at_once_as_there_are_places() -> None:
    """The next one waits until one leaves."""
    one = Party()
    async with queue(2) as line:
        for name in "abc":
            await line.ask(name, one)
        assert (line.order, line.turns.held, line.turns.waiting) == (["a", "b"], 2, 1)
        await line.free()
        assert (line.order, line.turns.waiting) == (["a", "b", "c"], 0)


async def test_who_holds_fewest_is_next() -> None:
    """A newcomer does not wait behind the many that a long document has waiting, until it holds as much."""
    long, short = Party(), Party()
    async with queue(4) as line:
        for index in range(10):
            await line.ask(f"long{index}", long)
        for index in range(3):
            await line.ask(f"short{index}", short)
        await line.free(4)
        assert line.order[4:8] == ["short0", "short1", "long4", "long5"]


async def test_among_equals_the_turn_goes_round() -> None:
    """Three documents of many pages are served alike, each in its own order."""
    parties = {name: Party() for name in "abc"}
    async with queue(1) as line:
        await line.ask("x", Party())
        for name, party in parties.items():
            for index in range(3):
                await line.ask(f"{name}{index}", party)
        await line.free(9)
        assert line.order[1:] == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


async def test_a_lower_priority_goes_first() -> None:
    """Nothing of a batch gets a place while something interactive waits."""
    batch, interactive = Party(priority=1), Party(priority=0)
    async with queue(1) as line:
        await line.ask("busy", interactive)
        await line.ask("batch", batch)
        for index in range(2):
            await line.ask(f"interactive{index}", interactive)
        await line.free(3)
        assert line.order == ["busy", "interactive0", "interactive1", "batch"]


async def test_who_gives_up_waiting_leaves_no_gap() -> None:
    """A cancelled wait takes no place, also when its turn came at the same moment."""
    one, two = Party(), Party()
    async with queue(1) as line:
        await line.ask("a", one)
        waiting = await line.ask("b", two)
        late = await line.ask("c", two)
        await line.ask("d", one)
        waiting.cancel()
        await anyio.wait_all_tasks_blocked()
        line.leave.pop(0).set()
        await anyio.lowlevel.checkpoint()
        late.cancel()
        await anyio.wait_all_tasks_blocked()
        assert line.order in (["a", "d"], ["a", "c", "d"])
        assert line.turns.held == 1


async def test_a_place_may_grow() -> None:
    """One that counts for three keeps others out until it is given back whole."""
    turns = Turns(3)
    got = anyio.Event()

    async def other() -> None:
        async with turns.place():
            got.set()

    async with anyio.create_task_group() as tasks:
        async with turns.place(Party()) as place:
            assert isinstance(place, Place)
            place.grow(5)
            assert turns.held == 5
            tasks.start_soon(other)
            await anyio.wait_all_tasks_blocked()
            assert not got.is_set()
        await got.wait()
    assert turns.held == 0


async def test_more_places_let_more_in() -> None:
    """Raising the total serves those who wait at once; lowering it takes nothing away."""
    async with queue(1) as line:
        for name in "abc":
            await line.ask(name, Party())
        line.turns.total = 3
        await anyio.wait_all_tasks_blocked()
        assert line.order == ["a", "b", "c"]
        line.turns.total = 1
        assert line.turns.held == 3
