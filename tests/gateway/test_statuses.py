"""docs/statuses.md has every word the code can say, and none it cannot."""

import ast
import re
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from channels import registry
from channels.api import Outcome, Refusal
from gateway.app import _queue_health
from gateway.directory.lookup import Customer, Lookup
from gateway.explaining.again import OF_DIRECTORY
from gateway.queue.dead_letters import DeadReason
from gateway.queue.entry import Published
from gateway.replaying import Verdict
from gateway.tagging.tier import Status, TierPolicy, decide
from normalizers.message import Proof

ROOT = Path(__file__).parents[2]
TIERS = ("premium", "free")


def table(head: str) -> list[list[str]]:
    """The cells of the one table whose first head is this."""
    text = (ROOT / "docs" / "statuses.md").read_text(encoding="utf-8")
    (body,) = re.findall(rf"^\| {re.escape(head)} \|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()]


def words(head: str) -> list[str]:
    """The words of the first column."""
    return [row[0].strip("`") for row in table(head)]


def test_every_tier_status_with_every_proof_it_can_come_with():
    possible = set()
    for status, claimed, proof, minimum in product(
        get_args(Lookup.__annotations__["status"]), (*TIERS, "gone"), Proof, Proof
    ):
        customer = Customer(customer_id="C-1", tier=claimed) if status in ("known", "stale") else None
        policy = TierPolicy(order=TIERS, default="free", minimum_proof={"premium": minimum})
        made = decide(Lookup(status=status, customer=customer), proof, policy)
        possible.add((made.status, str(made.proof)))
    said = {(row[0].strip("`"), proof) for row in table("status") for proof in re.findall(r"`(\w+)`", row[1])}
    assert said == possible
    assert {status for status, _ in said} == set(get_args(Status))


def codes() -> set[str]:
    """Every code of a warning in the sources: literals given to what makes one, and pairs that are."""
    found = set()
    for room in ("gateway", "channels", "normalizers"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args and makes_a_warning(node.func):
                    found |= literals(node.args[0])
                elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
                    found |= literals(node.value.elts[0]) if ast.unparse(node.targets[0]) == "_CUT" else set()
    return found


def makes_a_warning(call: ast.expr) -> bool:
    name = ast.unparse(call)
    return name == "MessageWarning" or name.endswith(("notes.add", ".warn"))


def literals(node: ast.expr) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_every_warning():
    assert len(codes()) > 25
    assert sorted(words("code")) == sorted(codes())
    assert codes() >= OF_DIRECTORY


def test_every_outcome_of_every_channel():
    assert sorted(words("channel")) == sorted(registry.names())
    text = (ROOT / "docs" / "statuses.md").read_text(encoding="utf-8")
    assert f"| channel | {' | '.join(f'`{outcome}`' for outcome in Outcome)} |" in text


@pytest.mark.parametrize(
    ("head", "known"),
    [
        ("reason", [str(one) for one in Refusal]),
        ("what became of an entry", [one.name.lower() for one in Published]),
        ("`reason` of a dead letter", list(get_args(DeadReason))),
        ("`dead-letters replay` says", [str(one) for one in Verdict]),
    ],
)
def test_every_word(head, known):
    assert sorted(words(head)) == sorted(known)


class Spool:
    def __init__(self, entries: int, well: bool) -> None:
        self.entries, self._well = entries, well

    async def writable(self) -> bool:
        return self._well


class Publisher:
    def __init__(self, up: bool) -> None:
        self._up = up

    async def probe(self) -> bool:
        return self._up


async def test_every_state_of_queue_and_spool():
    possible = product((True, False), (0, 3), (True, False))
    said = {(await _queue_health(Publisher(up), Spool(entries, well))).word for up, entries, well in possible}  # type: ignore[arg-type]
    assert said - {"away: 0 in the spool"} == set(words("`queue` in `/readyz`"))
