"""The server goes away in every way it can; what was accepted arrives, once and in order."""

import asyncio
import os
import signal
import sqlite3

import msgspec
import pytest
from redis.asyncio import Redis

from gateway.queue import replay
from gateway.queue.connection.deployment import deployment
from gateway.queue.embedded.embedded import EmbeddedOptions, embedded
from gateway.queue.entry import Published, QueueUnavailable
from gateway.queue.publisher import Bounds, publishing
from gateway.queue.spool.spool import SpoolLimits, SpoolUnavailable, open_spool
from tests.gateway.proxy import proxy
from tests.gateway.publishing import KEYS, TIERS, entry, ids
from tests.support import free_port, until


async def test_without_a_server_entries_wait_and_arrive_in_order_once_it_is_there(start, tmp_path, told):
    port = free_port()
    async with start(f"redis://127.0.0.1:{port}") as publisher:
        answers = [await publisher.publish(entry(str(n), conversation=f"c{n % 3}")) for n in range(30)]
        assert answers == [Published.NEW] * 30
        assert await publisher.publish(entry("7")) is Published.DUPLICATE
        async with embedded(EmbeddedOptions(tmp_path / "valkey", port)) as server:
            await until(lambda: publisher.up and not publisher.spool.entries)
            async with Redis.from_url(server.url) as redis:
                assert await ids(redis) == [str(n) for n in range(30)]
                assert await publisher.publish(entry("8")) is Published.DUPLICATE
    assert told.links == [(False, "ConnectionError"), (True, "")]
    assert told.spool == ["spool.started", "spool.drained"]


async def test_an_entry_in_the_spool_has_a_fingerprint_too(start):
    async with start(f"redis://127.0.0.1:{free_port()}") as publisher:
        keys = [entry("1", fingerprint="a"), entry("1", fingerprint="a"), entry("1", fingerprint="b")]
        answers = [await publisher.publish(one) for one in keys]
    assert answers == [Published.NEW, Published.DUPLICATE, Published.CONFLICT]


async def test_what_waits_survives_a_restart_and_another_number_of_partitions(start, valkey_url, redis):
    async with start(f"redis://127.0.0.1:{free_port()}") as publisher:
        for n in range(20):
            await publisher.publish(entry(str(n), conversation=f"c{n}"))
    async with start(valkey_url, count=3) as publisher:
        await until(lambda: not publisher.spool.entries)
    found = [await redis.xrange(f"{{tickets:{n}}}:free") for n in range(3)]
    assert all(found)
    assert sorted(int(fields[b"id"]) for stream in found for _, fields in stream) == list(range(20))


@pytest.mark.parametrize("setting", [{"maxmemory": 1}, {"min-replicas-to-write": 1}])
async def test_a_server_that_refuses_to_write_is_away(start, valkey_url, redis, told, setting):
    ((name, value),) = setting.items()
    async with start(valkey_url) as publisher:
        await redis.config_set(name, value)
        try:
            assert await publisher.publish(entry("1")) is Published.NEW
            assert publisher.spool.entries == 1
        finally:
            await redis.config_set(name, 0)
        await until(lambda: not publisher.spool.entries)
    assert await ids(redis) == ["1"]
    assert [up for up, _ in told.links] == [False, True]


async def test_a_black_hole_is_survived_and_left_in_order(start, valkey_url, redis):
    async with proxy(int(valkey_url.rpartition(":")[2])) as between, start(between.url, timeout=0.3) as publisher:
        await publisher.publish(entry("before"))
        between.hole = True
        await publisher.publish(entry("1"))
        for n in range(20):
            await publisher.publish(entry(f"then {n}"))
        assert not publisher.up
        between.hole = False
        between.cut()
        await until(lambda: not publisher.spool.entries)
    assert await ids(redis) == ["before", "1", *(f"then {n}" for n in range(20))]


async def test_a_trickle_of_bytes_is_not_an_answer(start, valkey_url, redis, told):
    async with proxy(int(valkey_url.rpartition(":")[2])) as between, start(between.url, timeout=0.3) as publisher:
        await publisher.publish(entry("before"))
        between.trickle = 0.2
        await publisher.publish(entry("1"))
        assert not publisher.up
        between.trickle = None
        between.cut()
        await until(lambda: not publisher.spool.entries)
    assert sorted(await ids(redis)) == ["1", "before"]


async def test_a_late_answer_of_a_stopped_server_doubles_nothing(start, tmp_path, told):
    async with embedded(EmbeddedOptions(tmp_path / "valkey", free_port())) as server:
        async with start(server.url, timeout=0.3) as publisher:
            await publisher.publish(entry("before"))
            os.kill(server.pid, signal.SIGSTOP)
            try:
                answers = await asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(50)))
            finally:
                os.kill(server.pid, signal.SIGCONT)
            assert answers == [Published.NEW] * 50
            await until(lambda: publisher.up and not publisher.spool.entries)
            async with Redis.from_url(server.url) as redis:
                found = await ids(redis)
    assert sorted(found) == sorted(["before", *map(str, range(50))])


async def test_a_conversation_with_something_in_the_spool_queues_behind_it(start, valkey_url, redis):
    async with start(valkey_url) as publisher:
        await redis.set(KEYS.stream("premium"), "not a stream")
        await publisher.publish(entry("a1", tier="premium", conversation="a"))
        assert publisher.spool.entries == 1
        await publisher.publish(entry("a2", conversation="a"))
        await publisher.publish(entry("b1", conversation="b"))
        assert await ids(redis) == ["b1"]  # only its own conversation waits
        await redis.delete(KEYS.stream("premium"))
        await until(lambda: not publisher.spool.entries)
    assert await ids(redis, "premium") == ["a1"]
    assert await ids(redis) == ["b1", "a2"]


async def test_an_entry_that_is_refused_for_ever_becomes_a_dead_letter(start, valkey_url, redis, told, monkeypatch):
    monkeypatch.setattr(replay, "ATTEMPTS", 3)
    monkeypatch.setattr(replay, "LONGEST", 0.02)
    monkeypatch.setattr(replay, "FIRST_HOLD", 0.001)
    await redis.set(KEYS.stream("premium"), "not a stream")
    async with start(valkey_url) as publisher:
        entries = [entry(str(n), tier=TIERS[n % 3]) for n in range(30)]
        answers = await asyncio.gather(*(publisher.publish(one) for one in entries))
        assert answers == [Published.NEW] * 30
        assert (len(await ids(redis, "business")), len(await ids(redis))) == (10, 10)
        await until(lambda: not publisher.spool.entries)
    letters = [fields for _, fields in await redis.xrange(KEYS.stream("dead"))]
    assert {letter[b"id"] for letter in letters} == {str(n).encode() for n in range(0, 30, 3)}
    assert {(letter[b"reason"], letter[b"error"], letter[b"payload"], letter[b"attempts"]) for letter in letters} == {
        (b"unpublishable", b"WRONGTYPE", b"{}", b"3")
    }
    assert told.poison == ["WRONGTYPE"] * 10


async def test_a_full_spool_says_so_and_goes_on_once_there_is_room(start, tmp_path):
    port = free_port()
    async with start(f"redis://127.0.0.1:{port}", limits=SpoolLimits(max_bytes=500, min_free=0)) as publisher:
        kept: list[str] = []
        while await publisher.spool.writable():
            await publisher.publish(entry(str(len(kept))))
            kept.append(str(len(kept)))
        with pytest.raises(QueueUnavailable, match="full"):
            await publisher.publish(entry("one too many"))
        async with embedded(EmbeddedOptions(tmp_path / "valkey", port)) as server:
            await until(lambda: publisher.up and not publisher.spool.entries)
            assert await publisher.publish(entry("new")) is Published.NEW
            async with Redis.from_url(server.url) as redis:
                assert await ids(redis) == [*kept, "new"]


async def test_a_disk_without_room_is_refused_before_it_is_full(start):
    async with start(f"redis://127.0.0.1:{free_port()}", limits=SpoolLimits(min_free=2**62)) as publisher:
        with pytest.raises(QueueUnavailable, match="nearly full"):
            await publisher.publish(entry("1"))
        assert not await publisher.spool.writable()


async def test_nothing_goes_past_an_entry_of_its_conversation_that_is_refused(start, valkey_url, redis, monkeypatch):
    monkeypatch.setattr(replay, "FIRST_HOLD", 0.005)
    monkeypatch.setattr(replay, "LONGEST", 0.02)
    await redis.set(KEYS.stream("premium"), "not a stream")
    async with start(valkey_url) as publisher:
        at_once = [entry("a1", tier="premium", conversation="a"), entry("a2", conversation="a"), entry("b1")]
        await asyncio.gather(*(publisher.publish(one) for one in at_once))
        for n in range(3, 20):
            await publisher.publish(entry(f"a{n}", conversation="a"))
        assert await ids(redis) == ["b1"]
        await until(lambda: bool(publisher.spool.entries == 19))
        await redis.delete(KEYS.stream("premium"))
        await until(lambda: not publisher.spool.entries)
    assert await ids(redis, "premium") == ["a1"]
    assert await ids(redis) == ["b1", *(f"a{n}" for n in range(2, 20))]


async def test_a_busy_conversation_is_rid_of_its_poison_too(start, valkey_url, redis, told, monkeypatch):
    monkeypatch.setattr(replay, "ATTEMPTS", 3)
    monkeypatch.setattr(replay, "FIRST_HOLD", 0.005)
    monkeypatch.setattr(replay, "LONGEST", 0.02)
    await redis.set(KEYS.stream("premium"), "not a stream")
    async with start(valkey_url) as publisher:
        await publisher.publish(entry("bad", tier="premium", conversation="a"))
        sent = 0
        while not told.poison:
            await publisher.publish(entry(str(sent), conversation="a"))
            sent += 1
        await until(lambda: not publisher.spool.entries)
    assert told.poison == ["WRONGTYPE"]
    assert await ids(redis) == [str(n) for n in range(sent)]


async def test_the_same_key_with_other_content_in_an_outage_is_a_dead_letter_and_not_forgotten(
    start, valkey_url, redis, told
):
    async with start(valkey_url) as publisher:
        await publisher.publish(entry("1", fingerprint="a"))
        await redis.config_set("maxmemory", 1)
        assert await publisher.publish(entry("another")) is Published.NEW  # it is away now
        assert await publisher.publish(entry("1", fingerprint="b")) is Published.NEW  # nobody can know
        await redis.config_set("maxmemory", 0)
        await until(lambda: not publisher.spool.entries)
    (letter,) = [fields for _, fields in await redis.xrange(KEYS.stream("dead"))]
    assert (letter[b"id"], letter[b"error"]) == (b"1", b"Conflict")
    assert told.poison == ["Conflict"]


async def test_a_tier_that_is_gone_and_a_row_nobody_can_read_hold_up_nobody(start, tmp_path, valkey_url, redis, told):
    async with start(f"redis://127.0.0.1:{free_port()}") as publisher:
        await publisher.spool.append([entry("1"), entry("2", tier="platinum"), entry("3"), entry("4")])
    with sqlite3.connect(tmp_path / "spool" / "spool-0.sqlite3") as db:
        db.execute("UPDATE entries SET entry=x'c1' WHERE seq=3")
    db.close()
    async with start(valkey_url) as publisher:
        await until(lambda: not publisher.spool.entries)
        assert publisher.up
    assert await ids(redis) == ["1", "4"]
    letters = [fields for _, fields in await redis.xrange(KEYS.stream("dead"))]
    assert [(one[b"error"], one[b"payload"]) for one in letters] == [(b"NoSuchTier", b"{}"), (b"Unreadable", b"\xc1")]
    assert told.poison == ["NoSuchTier", "Unreadable"]


async def test_one_that_the_server_will_never_take_holds_up_nobody(start, valkey_url, redis, monkeypatch):
    monkeypatch.setattr(replay, "FIRST_HOLD", 0.005)
    await redis.config_set("proto-max-bulk-len", 1024 * 1024)
    try:
        async with start(valkey_url) as publisher:
            huge = entry("huge")
            huge = msgspec.structs.replace(huge, fields=("id", "huge", "event", b"x" * 1_500_000), size=1_500_000)
            answers = await asyncio.gather(*(publisher.publish(one) for one in (entry("1"), huge, entry("2"))))
            assert answers == [Published.NEW] * 3
            await until(lambda: publisher.spool.entries == 1)
            await publisher.publish(entry("3"))
            await until(lambda: publisher.spool.entries == 1)
            await redis.config_set("proto-max-bulk-len", 512 * 1024 * 1024)
            await until(lambda: not publisher.spool.entries)
    finally:
        await redis.config_set("proto-max-bulk-len", 512 * 1024 * 1024)
    assert sorted(await ids(redis)) == ["1", "2", "3", "huge"]


async def test_once_it_is_known_to_be_away_no_message_is_sent_there(start, valkey_url, redis):
    async with proxy(int(valkey_url.rpartition(":")[2])) as between, start(between.url, timeout=0.3) as publisher:
        await publisher.publish(entry("before"))
        between.hole = True
        between.asked.clear()
        await publisher.publish(entry("1"))
        assert sum(b"EVALSHA" in data for data in between.asked) == 1
        for n in range(20):
            await publisher.publish(entry(f"then {n}"))
        assert sum(b"EVALSHA" in data for data in between.asked) == 1


async def test_who_waited_as_long_as_anybody_may_goes_to_the_spool(start, valkey_url, redis, told):
    """Four batches at nearly the time-out each would be four time-outs for the last."""
    async with proxy(int(valkey_url.rpartition(":")[2])) as between:
        async with start(between.url, timeout=0.4, bounds=Bounds(batch_entries=10)) as publisher:
            await publisher.publish(entry("before"))
            between.late = 0.3
            answers = await asyncio.gather(*(publisher.publish(entry(str(n))) for n in range(40)))
            assert answers == [Published.NEW] * 40
            assert told.spool == ["spool.started"]
            between.late = 0.0
            await until(lambda: not publisher.spool.entries)
    assert await ids(redis) == ["before", *map(str, range(40))]


async def test_a_write_that_may_be_forgotten_is_not_written_again(start, valkey_url, redis, told):
    """Its mark is gone after an outage longer than the window: a person looks whether it is a ticket already."""
    async with start(f"redis://127.0.0.1:{free_port()}") as publisher:
        await publisher.spool.append([entry("by an earlier process, which may have sent it", keep_ms=1)])
    async with start(valkey_url) as publisher:
        await until(lambda: not publisher.spool.entries)
        await publisher.spool.append([entry("sent", keep_ms=-1)], sent=True)
        await publisher.spool.append([entry("never sent", keep_ms=-1)])
        await until(lambda: not publisher.spool.entries)
    assert await ids(redis) == ["never sent"]
    assert told.poison == ["Outlived"] * 2


async def test_a_conflict_stays_until_it_is_a_letter_and_each_content_is_one(
    start, valkey_url, redis, told, monkeypatch
):
    monkeypatch.setattr(replay, "FIRST_HOLD", 0.005)
    monkeypatch.setattr(replay, "LONGEST", 0.02)
    await redis.set(KEYS.stream("dead"), "not a stream")
    async with start(valkey_url) as publisher:
        await publisher.publish(entry("1", fingerprint="a"))
        await publisher.spool.append([entry("1", fingerprint="b")])
        await until(lambda: not publisher.spool.filled[0].is_set() or bool(publisher.spool.entries))
        assert publisher.spool.entries == 1
        await redis.delete(KEYS.stream("dead"))
        await until(lambda: not publisher.spool.entries)
        await publisher.spool.append([entry("1", fingerprint="c")])
        await until(lambda: not publisher.spool.entries)
    assert await redis.xlen(KEYS.stream("dead")) == 2
    assert told.poison == ["Conflict"] * 2


async def knocked_again(redis: Redis) -> bool:
    return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]) >= 3


async def test_no_right_to_mark_is_no_entry_either(start, valkey_url, redis):
    """An entry without its mark would be written again with every knock."""
    await redis.config_resetstat()
    await redis.execute_command("ACL", "SETUSER", "default", "-zadd")
    async with start(valkey_url) as publisher:
        try:
            assert await publisher.publish(entry("1")) is Published.NEW
            await until(lambda: knocked_again(redis))
            assert await ids(redis) == []
        finally:
            await redis.execute_command("ACL", "SETUSER", "default", "+@all")
        await until(lambda: not publisher.spool.entries)
    assert await ids(redis) == ["1"]


async def test_a_spool_that_cannot_be_read_keeps_nobody_from_a_server_that_is_there(
    start, valkey_url, redis, monkeypatch
):
    async def unreadable(*_: object, **__: object) -> None:
        raise SpoolUnavailable("OperationalError")

    async with start(valkey_url) as publisher:
        await redis.config_set("maxmemory", 1)
        await publisher.publish(entry("waits"))
        assert not publisher.up
        with monkeypatch.context() as patch:
            patch.setattr(publisher.spool, "peek", unreadable)
            await redis.config_set("maxmemory", 0)
            await until(lambda: publisher.up)
            assert await publisher.publish(entry("does not")) is Published.NEW
            assert await ids(redis) == ["does not"]
        await until(lambda: not publisher.spool.entries)
    assert await ids(redis) == ["does not", "waits"]


async def test_those_who_wait_hear_of_it_when_the_end_is_cut_short(tmp_path, valkey_url, redis):
    async with proxy(int(valkey_url.rpartition(":")[2])) as between, open_spool(tmp_path) as spool:
        behind = deployment(between.url, timeout=5)
        publisher = publishing(behind, [KEYS], TIERS, spool, timeout=5)
        opened = await publisher.__aenter__()
        between.hole = True
        waiting = [opened.publish(entry(str(n))) for n in range(4)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await publisher.__aexit__(None, None, None)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        await behind.close()
    assert [type(answer) for answer in answers] == [QueueUnavailable] * 4
