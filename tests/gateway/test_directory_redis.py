import asyncio

import pytest

from gateway.directory import redis as source
from gateway.directory.breaker import Unavailable
from gateway.directory.build import open_directory, prepare
from gateway.directory.matching import question
from gateway.directory.options import RedisOptions, TierNames
from normalizers.message import Address
from tests.support import free_port

NAMES = TierNames(order=("premium", "business", "free"), default="free")
MINSU = Address("email", "minsu@acme.example")


@pytest.fixture
async def keeper(redis):
    """The other system."""
    await redis.hset(
        "customers:email:minsu@acme.example", mapping={"customer_id": "C-1", "tier": "premium", "name": "김민수"}
    )
    await redis.hset("customers:domain:acme.example", mapping={"customer_id": "C-2", "tier": "business"})
    return redis


@pytest.fixture
def find(valkey_url):
    async def find(*addresses, **options):
        async with open_directory(prepare([RedisOptions(url=valkey_url, **options)], NAMES)) as directory:
            return await directory.find(addresses)

    return find


async def test_a_hash_is_a_customer(find, keeper):
    found = await find(MINSU)
    assert (found.status, found.source, found.matched) == ("known", "redis", MINSU)
    assert (found.customer.customer_id, found.customer.tier, found.customer.name) == ("C-1", "premium", "김민수")


async def test_a_domain_stands_for_who_has_no_hash(find, keeper):
    assert (await find(Address("email", "else@acme.example"))).customer.customer_id == "C-2"
    assert (await find(Address("email", "else@b.example"))).status == "unknown"


async def test_fields_and_tiers_may_be_called_otherwise(find, keeper):
    await keeper.hset("crm:phone:+8210", mapping={"no": "7", "plan": "Gold", "salesforce_account": "001"})
    fields = {"customer_id": "no", "tier": "plan"}
    found = await find(Address("phone", "+8210"), prefix="crm", fields=fields, tiers={"gold": "premium"})
    assert (found.customer.customer_id, found.customer.tier) == ("7", "premium")
    assert [(one.type, one.id) for one in found.customer.related] == [("Account", "001")]


@pytest.mark.parametrize("broken", ["string", "bytes", "no id"])
async def test_nonsense_is_a_failure(find, keeper, broken):
    await keeper.delete("customers:email:minsu@acme.example")
    if broken == "string":
        await keeper.set("customers:email:minsu@acme.example", "C-1")
    elif broken == "bytes":
        await keeper.hset("customers:email:minsu@acme.example", mapping={"customer_id": b"\xff", "tier": "free"})
    else:
        await keeper.hset("customers:email:minsu@acme.example", mapping={"tier": "free"})
    found = await find(MINSU)
    assert (found.status, found.customer) == ("failed", None)
    assert [note.code for note in found.notes] == ["customer_unreadable"]


async def test_a_server_that_is_away_is_a_failure():
    options = RedisOptions(url=f"redis://:s3cret@127.0.0.1:{free_port()}")
    async with open_directory(prepare([options], NAMES)) as directory:
        assert (await directory.find([MINSU])).status == "failed"
    assert "s3cret" not in repr(options)


class SlowServer:
    """Speaks RESP; holds its first answer about a customer back until told, and knows nobody after that."""

    def __init__(self):
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.port = free_port()

    async def serve(self, reader, writer):
        while line := await reader.readline():
            words = [await self._bulk(reader) for _ in range(int(line[1:]))]
            if words[0] == b"HMGET" and not self.asked.is_set():
                self.asked.set()
                await self.answer.wait()
                writer.write(b"*6\r\n$3\r\nC-1\r\n$7\r\npremium\r\n" + b"$-1\r\n" * 4)
            else:
                writer.write(b"*6\r\n" + b"$-1\r\n" * 6 if words[0] == b"HMGET" else b"+OK\r\n")
        writer.close()

    @staticmethod
    async def _bulk(reader):
        size = int((await reader.readline())[1:])
        return (await reader.readexactly(size + 2))[:-2]


async def test_an_answer_that_is_given_up_is_never_taken_for_the_next_one():
    """A connection that still owes an answer must not be used again: the next customer would be the last one."""
    server = SlowServer()
    options = RedisOptions(url=f"redis://127.0.0.1:{server.port}", timeout=30)
    async with await asyncio.start_server(server.serve, "127.0.0.1", server.port):
        async with source.opened(options, NAMES) as asker:
            given_up = asyncio.create_task(asker.ask(question([Address("phone", "+8210")])))
            await server.asked.wait()
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            server.answer.set()
            assert await asker.ask(question([Address("phone", "+8211")])) == {}


async def test_a_wrong_url_is_told_without_it():
    with pytest.raises(ValueError, match=r"^a part or an option of the URL is not known$"):
        source.check_url(RedisOptions(url="redis://127.0.0.1/?s3cret=1"))


async def test_words_for_the_log_have_nothing_of_the_url():
    async with source.opened(RedisOptions(url=f"redis://:s3cret@127.0.0.1:{free_port()}"), NAMES) as asker:
        with pytest.raises(Unavailable, match=r"^the question failed: ConnectionError$"):
            await asker.ask(question([MINSU]))
