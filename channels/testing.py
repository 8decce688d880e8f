"""The conformance kit: what every adapter promises, ours or a stranger's. The test names are the specification.

Subclass `AdapterContract` in a test module, say how your channel is reached, and pytest runs the promises:

    class TestSms(AdapterContract):
        channel = CHANNEL
        answers = {Outcome.ACCEPTED: "200", Outcome.REJECTED: "200", Outcome.DEFERRED: "503"}
        oversized_answer = "413"
        forged_answer = "403"

        def settings(self) -> SmsSettings: ...
        async def deliver(self, door, *, key="1", text=TEXT) -> str: ...
        async def deliver_forged(self, door) -> str: ...
        async def deliver_oversized(self, door) -> str: ...
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from channels import registry
from channels.api import Channel, ChannelAdapter, ChannelSettings, Outcome, Refusal
from channels.testing_host import FakeHost
from normalizers.message import Message

TEXT = "영수증이 두 번 결제됐어요. Charged twice, please help."
_PATIENCE = 10.0
T = TypeVar("T")


class Door:
    """One adapter, listening: `url` is its HTTP address, `host` what it talks to."""

    def __init__(self, adapter: ChannelAdapter, host: FakeHost, url: str) -> None:
        self.adapter, self.host, self.url = adapter, host, url
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Begin to listen."""
        await self._stack.enter_async_context(self.adapter.lifespan())

    async def close(self) -> None:
        """End the adapter's lifespan; the HTTP server in front of it stays."""
        await self._stack.aclose()


@asynccontextmanager
async def open_door(channel: Channel[Any, Any], settings: ChannelSettings) -> AsyncIterator[Door]:
    """An adapter on loopback before a fake gateway."""
    host = FakeHost("inbox")
    adapter = channel.adapter(settings, host)
    app = web.Application()
    app.add_routes(
        web.RouteDef(route.method, f"/channels/inbox{route.path}", route.handler, route.kwargs)
        for route in adapter.routes()
    )
    # As the gateway runs it: aiohttp's own test server would cancel a handler whose client hangs up.
    runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host_name, port, *_ = runner.addresses[0]
    door = Door(adapter, host, f"http://{host_name}:{port}/channels/inbox")
    await door.open()
    try:
        yield door
    finally:
        host.go_on.set()
        await door.close()
        await runner.cleanup()


class AdapterContract:
    """The promises. A channel that cannot keep one says why in the matching `no_…` attribute."""

    channel: ClassVar[Channel[Any, Any]]
    answers: ClassVar[Mapping[Outcome, str]]
    """What `deliver` returns for each outcome."""
    oversized_answer: ClassVar[str]
    forged_answer: ClassVar[str] = ""
    no_forgery: ClassVar[str] = ""
    """Why nothing in this channel can be forged: nobody signs, everything is a claim."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Every secret in `settings()`."""

    def settings(self) -> ChannelSettings:
        """Settings that listen on loopback, at a free port where there is one."""
        raise NotImplementedError

    async def deliver(self, door: Door, *, key: str = "1", text: str = TEXT) -> str:
        """Send one good message as a real client would; the same `key` is the same message. Returns the answer."""
        raise NotImplementedError

    async def deliver_forged(self, door: Door) -> str:
        """Send one that is not from whom it says, or not for us."""
        raise NotImplementedError

    async def deliver_oversized(self, door: Door) -> str:
        """Send one over the size limit of `settings()`."""
        raise NotImplementedError

    @pytest.fixture
    async def door(self) -> AsyncIterator[Door]:
        async with open_door(self.channel, self.settings()) as door:
            yield door

    def messages(self, door: Door) -> list[Message]:
        """What the normalizer makes of everything that was handed over."""
        return [message for payload in door.host.payloads for message in self.channel.normalize(payload)]

    def test_name_is_a_module_name(self) -> None:
        assert self.channel.name.isidentifier()
        assert self.channel.name == self.channel.name.lower()
        assert self.channel.name.isascii()

    def test_guide_and_samples_stand_beside_it(self) -> None:
        assert registry.readme(self.channel.name).startswith("# ")
        assert registry.samples(self.channel.name)

    @pytest.mark.parametrize("outcome", list(Outcome))
    async def test_says_each_outcome_so_the_sender_understands(self, door: Door, outcome: Outcome) -> None:
        door.host.outcome = outcome
        assert await self.deliver(door) == self.answers[outcome]
        assert len(door.host.payloads) == 1

    async def test_payload_is_what_its_normalizer_reads(self, door: Door) -> None:
        await self.deliver(door)
        assert TEXT in [message.text for message in self.messages(door)]

    async def test_payload_can_be_kept_whole_and_replayed(self, door: Door) -> None:
        await self.deliver(door)
        (payload,) = door.host.payloads
        assert isinstance(payload, self.channel.payload)
        assert msgspec.json.decode(msgspec.json.encode(payload), type=self.channel.payload) == payload

    async def test_same_message_twice_has_the_same_external_id(self, door: Door) -> None:
        for key in ("1", "1", "2"):
            await self.deliver(door, key=key)
        first, again, other = ((m.kind, m.external_id, m.identity) for m in self.messages(door))
        assert first == again != other

    async def test_forged_payload_never_reaches_the_gateway(self, door: Door) -> None:
        if self.no_forgery:
            assert not self.forged_answer
            return
        assert await self.deliver_forged(door) == self.forged_answer
        assert not door.host.payloads
        assert [why for why, _ in door.host.refusals] == [Refusal.FORGED]

    async def test_oversized_is_refused(self, door: Door) -> None:
        assert await self.deliver_oversized(door) == self.oversized_answer
        assert not door.host.payloads
        assert [why for why, _ in door.host.refusals] == [Refusal.OVERSIZED]

    async def test_neither_secrets_nor_customers_reach_the_log(
        self, door: Door, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO), capture_logs() as ours:
            await self.deliver(door)
            await self.deliver_oversized(door)
            if not self.no_forgery:
                await self.deliver_forged(door)
        said = f"{caplog.text} {ours} {door.host.refusals}"
        for word in (*self.secrets, TEXT[:10], "customer@"):
            assert word not in said

    async def test_sender_who_hangs_up_is_taken_once_all_the_same(self, door: Door) -> None:
        door.host.go_on.clear()
        sending = asyncio.create_task(self.deliver(door))
        await asyncio.wait_for(door.host.handed_over.wait(), _PATIENCE)
        sending.cancel()
        await asyncio.wait({sending}, timeout=_PATIENCE)
        door.host.go_on.set()
        await asyncio.wait_for(door.close(), _PATIENCE)
        assert (len(door.host.payloads), door.host.finished) == (1, 1)

    async def test_finishes_what_is_in_hand_when_its_lifespan_ends(self, door: Door) -> None:
        door.host.go_on.clear()
        sending = asyncio.create_task(self.deliver(door))
        await asyncio.wait_for(door.host.handed_over.wait(), _PATIENCE)
        closing = asyncio.create_task(door.close())
        for _ in range(20):  # an exit that only yields, and does not wait, is over by then
            await asyncio.sleep(0)
        assert not closing.done()
        door.host.go_on.set()
        assert await asyncio.wait_for(sending, _PATIENCE) == self.answers[Outcome.ACCEPTED]
        await asyncio.wait_for(closing, _PATIENCE)

    async def test_stops_taking_messages_when_its_lifespan_ends(self, door: Door) -> None:
        await door.close()
        try:
            answer = await self.deliver(door)
        except OSError:
            answer = self.answers[Outcome.DEFERRED]
        assert answer == self.answers[Outcome.DEFERRED]
        assert not door.host.payloads
