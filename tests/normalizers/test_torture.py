"""Mail nobody should have to read: every kind keeps every promise, in bounded time, and holds up nobody."""

import sys

import pytest

from channels import registry
from gateway.normalizing.pool import Normalizing
from normalizers.email import MailPayload, heavy, normalize
from normalizers.message import Malformed
from tests.fuzz.mail import check
from tests.normalizers.torture import TORTURE

SMALL, LARGE, HUGE = 20_000, 40_000, 400_000


@pytest.mark.parametrize("name", TORTURE)
def test_keeps_every_promise(name: str) -> None:
    check(TORTURE[name](SMALL))


@pytest.mark.parametrize("name", TORTURE)
def test_twice_as_much_of_it_takes_about_twice_the_calls(name: str) -> None:
    once, twice = calls(TORTURE[name](SMALL)), calls(TORTURE[name](LARGE))
    assert twice < 2.5 * once + 2_000, f"{once} calls, then {twice}"


async def test_all_of_it_passes_through_a_worker_within_its_limits(tmp_path) -> None:
    """What hangs, crashes or takes more memory than it may raises here."""
    email = registry.load("email")
    async with Normalizing(tmp_path) as workers:
        for make in TORTURE.values():
            async with workers.normalized(email, MailPayload(content=make(HUGE))) as (message,):
                assert message.external_id


@pytest.mark.parametrize("name", TORTURE)
def test_much_of_it_is_kept_out_of_the_event_loop(name: str) -> None:
    assert heavy(MailPayload(content=TORTURE[name](LARGE)))


def calls(content: bytes) -> int:
    """How many functions are called to normalize it, their own and Python's."""
    counted = 0

    def count(_frame: object, event: str, _what: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    normalize_once(content)  # imports and caches
    sys.setprofile(count)
    try:
        normalize_once(content)
    finally:
        sys.setprofile(None)
    return counted


def normalize_once(content: bytes) -> None:
    try:
        normalize(MailPayload(content=content))
    except Malformed:
        return
