"""The tagging step alone, warm: `python -m tests.benchmarks.tagging`. Microseconds a message, best of many rounds.

The directory knows the sender from a file; fifty rules ask for places, people, words and hours; the promise is counted
on a business calendar with holidays. What a message only needs once (decoding, storing, publishing) is not in it.
"""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any

from gateway.directory.build import open_directory, prepare
from gateway.directory.in_order import InOrder
from gateway.directory.options import FileOptions, TierNames
from gateway.sealing import Inbox, seal
from gateway.settings import Settings
from gateway.settings.compiled import calendars, compiled_rules, promises
from gateway.tagging.conditions import Facts
from gateway.tagging.rules import Added, added
from gateway.tagging.sla import Asked, Sla, promise
from gateway.tagging.tags import tags
from gateway.tagging.tier import TierDecision, TierPolicy, decide
from normalizers.languages import detect
from normalizers.message import Address, Message, Proof, Requester, Thread

TARGET = 50
"""Microseconds."""
RULES, CUSTOMERS = 50, 1000
MESSAGES, ROUNDS = 500, 25
TIERS = ("premium", "business", "free")
BEGIN = datetime(2026, 11, 23, tzinfo=UTC)

KR = {"timezone": "Asia/Seoul", "hours": {"mon-fri": ["09:00-12:00", "13:00-18:00"]}, "holidays": "KR"}
POLICIES = [
    {"name": "callback", "when": {"channel": "web_callback"}, "callback": "60m", "calendar": "always"},
    {"name": "premium", "when": {"tier": "premium"}, "first_reply": "1h", "calendar": "always"},
    {"name": "everybody", "first_reply": "8h", "calendar": "kr"},
]
TEXTS = (
    "영수증이 두 번 결제됐어요. 주문 번호는 20261122-0042 입니다. 확인 부탁드립니다. " * 8,
    "I was charged twice for order 20261122-0042. Could you please check and refund one of them? Thank you. " * 6,
)


def rules() -> list[dict[str, Any]]:
    """Of every kind that the documents show; few fit."""
    kinds: tuple[Callable[[int], dict[str, Any]], ...] = (
        lambda n: {"to": f"team{n}@*"},
        lambda n: {"text_contains": [f"환불 {n}", f"refund {n}"], "language": ["ko", "en"]},
        lambda n: {"subject_regex": rf"order\s+#?{n}\d{{6,}}"},
        lambda n: {"tier": "premium", "closed": "kr"},
        lambda n: {"flags": {"auto_reply": True}},
        lambda n: {"inbox": "support", "from": f"*@customer{n}.example"},
        lambda n: {"brand": f"brand{n}"},
        lambda n: {"subject_contains": f"invoice {n}"},
        lambda n: {"channel": "web_*", "open": "kr"},
        lambda n: {"text_regex": rf"\bcontract {n}\b"},
    )
    made = (kind(n) for n, kind in enumerate(islice(cycle(kinds), RULES)))
    return [{"when": when, "then": {"tags": [f"tag_{n}"]}} for n, when in enumerate(made)]


@dataclass(frozen=True)
class Step:
    """What the settings make of one message, part by part."""

    directory: InOrder
    inbox: Inbox

    async def whole(self, message: Message, at: datetime) -> None:
        """All parts, one after the other."""
        lookup = await self.directory.find(message.requester.addresses)
        decision = decide(lookup, message.proof, self.inbox.policy)
        more = self.rules(message, decision, self.language(message), at)
        self.promise(decision, more, at)
        self.tags(decision, more)

    def language(self, message: Message) -> str:
        return message.language or detect(f"{message.subject or ''}\n{message.text}")

    def rules(self, message: Message, decision: TierDecision, language: str, at: datetime) -> Added:
        inbox = self.inbox
        about = {"channel": inbox.channel, "inbox": inbox.name, "brand": inbox.brand, "language": language}
        return added(inbox.rules, Facts(message, **about, tier=decision.value, received_at=at))  # type: ignore[arg-type]

    def promise(self, decision: TierDecision, more: Added, at: datetime) -> Sla | None:
        about = {"channel": self.inbox.channel, "medium": "smtp", "inbox": self.inbox.name, "brand": more.brand}
        return promise(Asked(**about, tier=decision.value, callback=False), self.inbox.promises, at)  # type: ignore[arg-type]

    def tags(self, decision: TierDecision, more: Added) -> tuple[str, ...]:
        inbox, tier = self.inbox, decision.value
        about = {"channel": inbox.channel, "medium": "smtp", "inbox": inbox.name, "brand": more.brand}
        return tags(**about, tier=tier, unproven=decision.unproven) + more.tags


def messages() -> list[Message]:
    """Mail of customers, of their colleagues and of strangers, in two languages."""
    return [
        Message(
            medium="smtp",
            external_id=f"<{n}@load.example>",
            requester=Requester(addresses=(Address("email", sender(n)),)),
            thread=Thread(key=str(n)),
            proof=Proof.CLAIMED,
            recipients=(Address("email", "support@example.com"),),
            subject=("결제 오류", "Charged twice")[n % 2],
            text=f"{n}: {TEXTS[n % 2]}",
        )
        for n in range(MESSAGES)
    ]


def sender(n: int) -> str:
    """Every third is found by address, every third by domain, every third not at all."""
    return (f"one@acme{n}.example", f"other@acme{n}.example", f"one@stranger{n}.example")[n % 3]


def inbox() -> Inbox:
    """As a configuration with fifty rules makes it."""
    sla = {"calendars": {"always": {"timezone": "UTC"}, "kr": KR}, "policies": POLICIES}
    settings = Settings.model_validate({"rules": rules(), "sla": sla})
    by_name = calendars(settings.sla)
    return Inbox(
        name="support",
        channel="email",
        brand="example",
        dataschema="http://127.0.0.1:8080/schemas/ticket-envelope-1.json",
        policy=TierPolicy(order=TIERS, default="free", minimum_proof={"premium": Proof.CLAIMED}),
        promises=promises(settings.sla, by_name),
        rules=compiled_rules(settings.rules, by_name),
    )


def customers(folder: str) -> Path:
    """A directory where every customer has an address and a domain."""
    file = Path(folder) / "customers.csv"
    rows = (f"C-{n},{TIERS[n % 3]},one@acme{n}.example,acme{n}.example" for n in range(CUSTOMERS))
    file.write_text("\n".join(["customer_id,tier,email,domain", *rows]), encoding="utf-8")
    return file


async def main() -> None:
    """Print what each part takes, and the whole."""
    said = messages()
    moments = [BEGIN + timedelta(minutes=7 * n) for n in range(MESSAGES)]
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare([FileOptions(path=customers(folder))], TierNames(order=TIERS, default="free"))
        async with open_directory(prepared) as directory:
            step = Step(directory, inbox())
            lookups = [await directory.find(one.requester.addresses) for one in said]
            decisions = [decide(lookup, Proof.CLAIMED, step.inbox.policy) for lookup in lookups]
            language = [step.language(one) for one in said]
            more = [step.rules(*one) for one in zip(said, decisions, language, moments, strict=True)]

            async def each_found() -> None:
                for one in said:
                    await directory.find(one.requester.addresses)

            async def each_whole() -> None:
                for one, at in zip(said, moments, strict=True):
                    await step.whole(one, at)

            def timed(call: Callable[..., object], *columns: list[Any]) -> float:
                return min(
                    _per_message(lambda: [call(*row) for row in zip(*columns, strict=True)]) for _ in range(ROUNDS)
                )

            parts = {
                "directory, warm": await _awaited(each_found),
                "proof and tier": timed(lambda lookup: decide(lookup, Proof.CLAIMED, step.inbox.policy), lookups),
                "language": timed(step.language, said),
                f"{RULES} rules": timed(step.rules, said, decisions, language, moments),
                "promise": timed(step.promise, decisions, more, moments),
                "tags": timed(step.tags, decisions, more),
            }
            whole = await _awaited(each_whole)
            sealed = timed(lambda one, lookup, at: seal(one, step.inbox, lookup, at, (), None), said, lookups, moments)
    for name, taken in parts.items():
        print(f"{name:<18} {taken:6.1f} us")
    print(f"{'tagging, whole':<18} {whole:6.1f} us, the target is {TARGET}")
    print(f"{'sealed with it':<18} {sealed:6.1f} us: the envelope too, without the directory")


def _per_message(rounds: Callable[[], object]) -> float:
    began = perf_counter()
    rounds()
    return (perf_counter() - began) / MESSAGES * 1e6


async def _awaited(run: Callable[[], Any]) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = perf_counter()
        await run()
        taken.append((perf_counter() - began) / MESSAGES * 1e6)
    return min(taken)


if __name__ == "__main__":
    asyncio.run(main())
