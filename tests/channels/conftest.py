"""What tests of channels share."""

import os
from collections.abc import Iterator

import pytest

from tests.channels.dovecot import PROGRAM, Account, Dovecot, dovecot_running


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A real IMAP server, once for all tests."""
    if PROGRAM is None:
        assert "CI" not in os.environ, "dovecot is not installed"
        pytest.skip("dovecot is not installed (Debian: apt install dovecot-imapd)")
    with dovecot_running() as server:
        yield server


@pytest.fixture
def account(dovecot: Dovecot) -> Iterator[Account]:
    """A mailbox of the test's own on it."""
    account = dovecot.account()
    yield account
    account.close()
