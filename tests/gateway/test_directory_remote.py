import asyncio
from contextlib import suppress

import pytest

from gateway.directory.breaker import FAILURES, LONGEST_PAUSE, PAUSE, Nonsense, Unavailable
from gateway.directory.in_order import InOrder
from gateway.directory.lookup import Customer
from gateway.directory.matching import Known, question
from gateway.directory.options import Callbacks, Limits
from gateway.directory.remote import MOST_QUESTIONS, RemoteSource
from normalizers.message import Address
from tests.gateway.test_directory_file import NOW
from tests.support import until

LIMITS = Limits(fresh=900, stale=86_400, negative=60, entries=3)
SOON = 0.01


def email(name):
    return Address("email", f"{name}@b.example")


class Script:
    """Says what it is told to say, when it is told to."""

    def __init__(self):
        self.asked = []
        self.gate = None
        self.error = None
        self.customers = {}

    async def ask(self, question, /):
        self.asked.append(question)
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return {one: self.customers[one] for one in question.exact if one in self.customers}

    def knows(self, name, *customers):
        self.customers[email(name)] = [Known(Customer(customer_id=one, tier="premium")) for one in customers]


class House:
    """A source with everything around it, and a clock that stands still."""

    def __init__(self):
        self.script, self.time = Script(), 1000.0
        self.lookups: list[str] = []
        self.links: list[tuple[str, bool, str]] = []
        callbacks = Callbacks(
            on_lookup=lambda source, outcome, seconds: self.lookups.append(outcome),
            on_link=lambda source, up, why: self.links.append((source, up, why)),
        )
        self.source = RemoteSource(
            "crm",
            self.script,
            timeout=60,
            limits=LIMITS,
            callbacks=callbacks,
            clock=lambda: self.time,
            now=lambda: NOW,
        )

    async def find(self, name, budget=5.0):
        return await self.source.find(question([email(name)]), self.time + budget)

    async def status(self, name, budget=5.0):
        return (await self.find(name, budget)).status

    async def fail(self, times, error=None):
        self.script.error, before = error or Unavailable("down"), self.script.error
        for number in range(times):
            assert (await self.status(f"nobody{number}")) == "failed"
        self.script.error = before


@pytest.fixture
async def house():
    house = House()
    async with house.source.lifespan():
        yield house


async def test_an_answer_says_who_by_what_from_where_and_when(house):
    house.script.knows("a", "C-1")
    found = await house.find("a")
    assert (found.status, found.customer.customer_id, found.matched) == ("known", "C-1", email("a"))
    assert (found.source, found.as_of) == ("crm", NOW)


async def test_two_customers_for_one_address_are_ambiguous(house):
    house.script.knows("a", "C-1", "C-2")
    found = await house.find("a")
    assert (found.status, found.customer) == ("ambiguous", None)


async def test_a_burst_from_one_customer_asks_once(house):
    house.script.knows("a", "C-1")
    house.script.gate = asyncio.Event()
    burst = [asyncio.create_task(house.find("a")) for _ in range(50)]
    await until(lambda: bool(house.script.asked))
    house.script.gate.set()
    assert {found.customer.customer_id for found in await asyncio.gather(*burst)} == {"C-1"}
    assert len(house.script.asked) == 1


async def test_a_fresh_answer_is_repeated_without_a_task(house):
    house.script.knows("a", "C-1")
    await house.find("a")
    house.time += LIMITS.fresh - 1
    tasks = asyncio.all_tasks()
    coroutine = house.find("a")
    with pytest.raises(StopIteration) as answered:
        coroutine.send(None)  # runs to its end without waiting for anything
    assert answered.value.value.customer.customer_id == "C-1"
    assert asyncio.all_tasks() == tasks
    assert len(house.script.asked) == 1


@pytest.mark.parametrize(("known", "seconds"), [(True, LIMITS.fresh), (False, LIMITS.negative)])
async def test_an_answer_is_asked_for_again_when_it_is_no_longer_fresh(house, known, seconds):
    if known:
        house.script.knows("a", "C-1")
    await house.find("a")
    house.time += seconds - 1
    await house.find("a")
    assert len(house.script.asked) == 1
    house.time += 1
    await house.find("a")
    assert len(house.script.asked) == 2


async def test_no_message_waits_past_its_deadline_and_the_answer_still_serves_the_next(house):
    house.script.knows("a", "C-1")
    house.script.gate = asyncio.Event()
    assert await house.status("a", SOON) == "failed"
    house.script.gate.set()
    await until(lambda: house.lookups == ["known"])
    assert await house.status("a", 0) == "known"
    assert len(house.script.asked) == 1


async def test_with_the_budget_spent_only_what_is_known_is_used(house):
    house.script.knows("a", "C-1")
    await house.find("a")
    assert await house.status("a", -1) == "known"
    assert await house.status("b", -1) == "failed"


async def test_a_message_that_is_given_up_does_not_take_the_question_with_it(house):
    house.script.knows("a", "C-1")
    house.script.gate = asyncio.Event()
    message = asyncio.create_task(house.find("a"))
    await until(lambda: bool(house.script.asked))
    message.cancel()
    with suppress(asyncio.CancelledError):
        await message
    house.script.gate.set()
    assert await house.status("a") == "known"
    assert len(house.script.asked) == 1


async def test_the_last_known_is_used_while_the_source_fails_and_says_how_old_it_is(house):
    house.script.knows("a", "C-1")
    await house.find("a")
    house.script.error = Unavailable("down")
    house.time += LIMITS.stale - 1
    found = await house.find("a")
    assert (found.status, found.customer.customer_id, found.as_of) == ("stale", "C-1", NOW)
    house.time += 1
    assert await house.status("a") == "failed"


async def test_who_was_unknown_is_failed_while_the_source_fails(house):
    assert await house.status("a") == "unknown"
    house.script.error = Unavailable("down")
    house.time += LIMITS.negative
    found = await house.find("a")
    assert (found.status, found.source, found.as_of) == ("failed", "crm", None)


async def test_what_was_ambiguous_stays_so_while_the_source_fails(house):
    house.script.knows("a", "C-1", "C-2")
    await house.find("a")
    house.script.error = Unavailable("down")
    house.time += LIMITS.fresh
    assert await house.status("a") == "ambiguous"


async def test_who_is_no_customer_any_more_does_not_come_back_when_the_source_fails(house):
    house.script.knows("a", "C-1")
    await house.find("a")
    house.script.customers.clear()
    house.time += LIMITS.fresh
    assert await house.status("a") == "unknown"
    house.script.error = Unavailable("down")
    house.time += LIMITS.negative
    assert await house.status("a") == "failed"


async def test_a_flood_of_strangers_displaces_no_customer(house):
    house.script.knows("a", "C-1")
    await house.find("a")
    for number in range(20):
        await house.find(f"stranger{number}")
    house.script.error = Unavailable("down")
    assert await house.status("a") == "known"


async def test_no_more_is_kept_than_the_limit(house):
    for number in range(LIMITS.entries + 1):
        house.script.knows(f"a{number}", f"C-{number}")
        await house.find(f"a{number}")
    asked = len(house.script.asked)
    await house.find(f"a{LIMITS.entries}")
    assert len(house.script.asked) == asked
    await house.find("a0")
    assert len(house.script.asked) == asked + 1


async def test_a_source_that_keeps_failing_is_left_alone(house):
    await house.fail(FAILURES)
    asked = len(house.script.asked)
    assert await house.status("x") == "failed"
    assert len(house.script.asked) == asked
    assert house.links == [("crm", False, "down")]


async def test_one_question_tries_a_source_that_was_left_alone(house):
    await house.fail(FAILURES)
    house.script.gate = asyncio.Event()
    house.time += PAUSE
    asked = len(house.script.asked)
    trial = asyncio.create_task(house.find("x"))
    await until(lambda: len(house.script.asked) == asked + 1)
    assert await house.status("y") == "failed"
    house.script.gate.set()
    assert (await trial).status == "unknown"
    assert await house.status("y") == "unknown"
    assert house.links == [("crm", False, "down"), ("crm", True, "answers again")]


async def test_a_trial_that_fails_is_not_told_of_again(house):
    await house.fail(FAILURES)
    for _ in range(3):
        house.time += PAUSE
        await house.fail(1)
    assert len(house.links) == 1


async def test_a_success_between_failures_keeps_a_source_up(house):
    for _ in range(5):
        await house.fail(FAILURES - 1)
        assert await house.status("x") == "unknown"
        house.time += LIMITS.negative
    assert house.links == []


@pytest.mark.parametrize(("wanted", "given"), [(30.0, 30.0), (0.0, PAUSE), (10 * LONGEST_PAUSE, LONGEST_PAUSE)])
async def test_a_source_that_asks_to_be_left_alone_is_left_alone_at_once(house, wanted, given):
    await house.fail(1, Unavailable("busy", pause=wanted))
    house.time += given - 0.5
    assert await house.status("x") == "failed"
    house.time += 0.5
    assert await house.status("x") == "unknown"


async def test_nonsense_is_not_asked_for_again_at_once_and_takes_nobody_else_along(house):
    house.script.error = Nonsense("an answer without a customer_id")
    for _ in range(FAILURES):
        found = await house.find("bad")
        assert (found.status, [note.code for note in found.notes]) == ("failed", ["customer_unreadable"])
    assert len(house.script.asked) == 1
    house.time += LIMITS.negative
    await house.fail(FAILURES, Nonsense("again"))
    house.script.error = None
    assert await house.status("bad") == "unknown"
    assert (house.links, house.lookups) == ([], ["failed"] * (1 + FAILURES) + ["unknown"])


async def test_who_was_known_is_stale_while_the_answer_is_nonsense_and_known_when_it_is_mended(house):
    house.script.knows("a", "C-1")
    await house.find("a")
    house.time += LIMITS.fresh
    house.script.error = Nonsense("no tier")
    for _ in range(2):
        found = await house.find("a")
        assert (found.status, found.customer.customer_id) == ("stale", "C-1")
        assert [note.code for note in found.notes] == ["customer_unreadable"]
    assert len(house.script.asked) == 2
    house.script.error = None
    house.time += LIMITS.negative
    assert await house.status("a") == "known"


async def test_nonsense_tells_nothing_of_whether_the_source_is_back(house):
    await house.fail(FAILURES - 1)
    await house.fail(1, Nonsense("no id"))
    assert house.links == []
    house.script.error = Unavailable("down")
    assert await house.status("x") == "failed"
    assert [up for _, up, _ in house.links] == [False]


@pytest.mark.parametrize("bug", [KeyError("a"), RecursionError(), ValueError("a@b.example")])
async def test_a_bug_costs_the_tier_and_never_the_message(house, bug):
    await house.fail(FAILURES, bug)
    assert house.lookups == ["failed"] * FAILURES
    assert house.links == [("crm", False, f"unexpected {type(bug).__name__}")]


async def test_who_listens_badly_costs_the_answer_and_never_the_message():
    def deaf(*_):
        raise RuntimeError("nobody expected this")

    source = RemoteSource("crm", Script(), timeout=60, limits=LIMITS, callbacks=Callbacks(on_lookup=deaf))
    assert (await InOrder([source], budget=5).find([email("a")])).status == "failed"


async def test_a_question_ends_with_the_time_of_its_source():
    script, outcomes = Script(), []
    script.gate = asyncio.Event()
    callbacks = Callbacks(on_lookup=lambda source, outcome, seconds: outcomes.append(outcome))
    source = RemoteSource("crm", script, timeout=SOON, limits=LIMITS, callbacks=callbacks)
    found = await InOrder([source], budget=5).find([email("a")])
    assert (found.status, outcomes) == ("failed", ["failed"])


async def test_no_more_than_so_many_questions_are_under_way(house):
    house.script.gate = asyncio.Event()
    asking = [asyncio.create_task(house.find(f"a{number}")) for number in range(MOST_QUESTIONS)]
    await until(lambda: len(house.script.asked) == MOST_QUESTIONS)
    assert await house.status("x") == "failed"
    assert len(house.script.asked) == MOST_QUESTIONS
    house.script.gate.set()
    assert {found.status for found in await asyncio.gather(*asking)} == {"unknown"}
    assert house.links == []


async def test_leaving_gives_up_what_is_under_way():
    house = House()
    house.script.gate = asyncio.Event()
    async with house.source.lifespan():
        waiting = asyncio.create_task(house.find("a"))
        await until(lambda: bool(house.script.asked))
    assert (await waiting).status == "failed"
    assert [task for task in asyncio.all_tasks() if task.get_name() == "directory crm"] == []


async def test_one_budget_is_for_all_sources_together(monkeypatch):
    script = Script()
    script.gate = asyncio.Event()
    names = ("first", "second", "third")
    sources = [RemoteSource(name, script, timeout=60, limits=LIMITS, callbacks=Callbacks()) for name in names]
    waits, wait = [], asyncio.wait

    async def watched(tasks, *, timeout):
        waits.append(timeout)
        return await wait(tasks, timeout=timeout)

    monkeypatch.setattr(asyncio, "wait", watched)
    found = await InOrder(sources, budget=SOON).find([email("a")])
    assert (found.status, found.source) == ("failed", "first")
    assert sum(waits) <= SOON + 1e-6
    script.gate.set()
    for source in sources:
        async with source.lifespan():
            pass
