"""Postmark's inbound webhook, with "Include raw email content in JSON payload".

200 taken · 403 not for us, too large, a loop, another kind of webhook: the only other answer after which Postmark does
not try again · 401 no credential of ours · 422 no raw message · 503 deferred: it tries again 10 times in 10.5 hours.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

import msgspec

from channels.email.webhooks.credentials import is_authorized
from channels.email.webhooks.long_json import set_aside, text
from channels.email.webhooks.provider import UNREADABLE, Answer, Handed, Post, TurnedAway, aside, forged, statuses
from channels.email.webhooks.settings import PostmarkSettings

_BESIDE_THE_MAIL = 1024 * 1024


class _Field(msgspec.Struct):
    name: str = msgspec.field(name="Name", default="")
    value: str = msgspec.field(name="Value", default="")


class _Author(msgspec.Struct):
    address: str = msgspec.field(name="Email", default="")


class _Inbound(msgspec.Struct):
    raw: str | None = msgspec.field(name="RawEmail", default=None)
    kind: str | None = msgspec.field(name="RecordType", default=None)
    recipient: str | None = msgspec.field(name="OriginalRecipient", default=None)
    tag: str | None = msgspec.field(name="MailboxHash", default=None)
    author: _Author | None = msgspec.field(name="FromFull", default=None)
    headers: tuple[_Field, ...] = msgspec.field(name="Headers", default=())


class Postmark:
    """Only a password in the address says who posts; the peer too, where `networks` are given."""

    name = "postmark"
    paths: tuple[str, ...] = ("/postmark",)
    statuses = statuses(mend=422)

    def __init__(self, settings: PostmarkSettings) -> None:
        self._settings = settings

    def limit(self, max_size: int) -> int:
        """Raw, as texts, and its files once more in base64; JSON escapes."""
        return 4 * max_size + _BESIDE_THE_MAIL

    def admit(self, headers: Mapping[str, str], peer: str) -> None:
        """The peer and the password."""
        if self._settings.networks and not _within(self._settings.networks, peer):
            raise forged("peer not of postmark", "This address may not post here.")
        if not is_authorized(headers, self._settings.credentials):
            raise forged("no credential of postmark", "The address of the webhook needs user:password@ of this inbox.")

    async def read(self, post: Post) -> Handed:
        """One mail for one recipient."""
        try:
            found, raw = await aside(lambda: _read(post.body), post)
        except UNREADABLE:
            raise TurnedAway(Answer.MEND, "unreadable json of postmark", "This is no inbound message.") from None
        # Real inbound posts have no RecordType; Postmark's other webhooks all do.
        if found.kind not in (None, "", "Inbound"):
            words = "You seem to have set another of Postmark's webhooks to the address of its inbound webhook."
            raise TurnedAway(Answer.NEVER, "postmark event where mail is expected", words)
        if not raw:
            words = 'Tick "Include raw email content in JSON payload" beside the inbound webhook in Postmark.'
            raise TurnedAway(Answer.MEND, "postmark without raw messages", words)
        mail_from = _mail_from(found)
        return Handed(
            content=raw,
            mail_from=mail_from or "",
            null_sender=mail_from == "",
            recipients=(_tagged(found.recipient, found.tag or ""),) if found.recipient else (),
        )


def _read(body: bytes) -> tuple[_Inbound, bytes]:
    document = set_aside(body)
    found = msgspec.json.decode(document.small, type=_Inbound)
    raw = found.raw or ""
    return found, text(body, document.long[raw]) if raw in document.long else raw.encode("utf-8", "surrogatepass")


def _mail_from(found: _Inbound) -> str | None:
    """Postmark does not tell MAIL FROM but in a header; From stands in, for an empty one means a bounce."""
    paths = [field.value.strip(" <>") for field in found.headers if field.name.lower() == "return-path"]
    return paths[0] if paths else (found.author and found.author.address) or None


def _tagged(recipient: str, tag: str) -> str:
    local, _, domain = recipient.rpartition("@")
    return f"{local}+{tag}@{domain}" if tag and "+" not in local else recipient


def _within(networks: Sequence[IPv4Network | IPv6Network], peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)
