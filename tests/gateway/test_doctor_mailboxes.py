"""The doctor tries the mailboxes that are fetched from."""

from typing import Any

import pytest

from channels.email.settings import EmailSettings
from gateway.doctor import examine, mailboxes
from gateway.settings import Settings
from tests.channels.conftest import account, dovecot
from tests.channels.dovecot import PASSWORD, Account
from tests.support import free_port

__all__ = ["account", "dovecot"]


async def look(imap: dict[str, Any] | None) -> list[tuple[str, str]]:
    inbox = {"type": "email", "recipients": ["support@example.com"], "imap": imap}
    settings = Settings.model_construct(channels={"support": EmailSettings.model_validate(inbox)})
    (diagnosis,) = await examine(settings, {"mailboxes": (mailboxes.check, mailboxes.WITHIN)})
    assert all(bool(one.remedy) is (one.level != "ok") for one in diagnosis.findings)
    assert PASSWORD not in str(diagnosis)
    return [(one.level, one.what) for one in diagnosis.findings]


async def test_nothing_to_fetch_is_well():
    assert await look(None) == [("ok", "no inbox fetches its mail")]


async def test_a_mailbox_that_can_be_read(account: Account):
    assert await look(account.settings()) == [("ok", "the mailbox of inbox support at 127.0.0.1 can be read")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "wrong-password-1"}, "login refused"),
        ({"ca": None}, "certificate not trusted"),
        ({"folders": ["INBOX", "Nowhere"]}, "no folder 'Nowhere'"),
        ({"port": free_port()}, "Connection refused"),
    ],
)
async def test_a_mailbox_that_cannot_be_read_says_why(account: Account, changes: dict[str, Any], words: str):
    ((level, what),) = await look(account.settings(**changes))
    assert level == "failing"
    assert words in what
    assert what.startswith("the mailbox of inbox support at 127.0.0.1")


async def test_a_token_that_is_not_given_is_a_refused_login(account: Account):
    provider = account.server.provider
    provider.status = 400
    try:
        ((level, what),) = await look(account.settings(password=None, oauth2=provider.settings()))
    finally:
        provider.status = 200
    assert (level, "login refused" in what) == ("failing", True)
