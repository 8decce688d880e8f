"""A request to be phoned back to a message."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import phonenumbers

from normalizers.fields import Fields, identified, read_fields
from normalizers.identities import FIELD, LONGEST, SignedIdentity, asking, unread
from normalizers.message import Address, Callback, Kind, Message, Requester, Thread
from normalizers.phones import e164

LIMITS = {
    "name": 200,
    "country": 20,
    "phone": 60,
    "topic": 4000,
    "window_start": 40,
    "window_end": 40,
    "timezone": 64,
    "email": 254,
    FIELD: LONGEST,
    "nonce": 200,
}
"""Every field of a callback request, in the order of its page, and how many characters it may have."""

_LONGEST_WINDOW = timedelta(hours=24)
_FARTHEST_WINDOW = timedelta(days=14)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_NOWHERE = {"Factory", "localtime"}
"""In the time zone database, and no zone anybody lives in."""


class CallbackPayload(msgspec.Struct, frozen=True, kw_only=True):
    """One POST, undecoded: only the normalizer reads it."""

    body: bytes
    media_type: str
    """`application/json` or `application/x-www-form-urlencoded`, without parameters."""
    submission_id: str
    """Digest of the `Idempotency-Key` header, or made by the adapter for this POST; a nonce outranks it."""
    submitted_at: datetime
    """The adapter's clock, aware: what has passed then has passed whenever this is read."""
    default_region: str
    """Where a number without a country is dialled (ISO 3166)."""
    keyed: bool = False
    """Whether the sender chose the submission id, so that the same id with another body is a conflict."""
    identity: SignedIdentity | None = None
    """What the body's identity token proves, by the adapter's keys and clock; None where there is none to read."""


def normalize(payload: CallbackPayload) -> Sequence[Message]:
    """One message. Raises `Malformed` for an unreadable body, `Incomplete` with every wrong field at once."""
    fields = read_fields(payload.body, payload.media_type, LIMITS)
    name, nonce = fields.line("name"), fields.line("nonce")
    phone_raw, phone = _phone(fields, payload.default_region)
    topic = fields.text("topic")
    fields.require("topic", topic, "The topic is empty.")
    zone = _zone(fields)
    start, end = _window(fields, zone, payload.submitted_at)
    email = fields.email("email")
    fields.check()
    submission_id, fingerprint = identified(nonce, payload.submission_id, keyed=payload.keyed, body=payload.body)
    given = (("phone", phone), ("email", email))
    addresses = tuple(Address(kind, value) for kind, value in given if value)
    who = asking(Requester(addresses=addresses, name=name or None), payload.identity)
    return (
        Message(
            kind=Kind.CALLBACK,
            medium="form",
            external_id=submission_id,
            requester=who.requester,
            submitter=who.submitter,
            thread=Thread(key=submission_id, external_id=submission_id),
            proof=who.proof,
            evidence=who.evidence,
            fingerprint=fingerprint,
            text=topic,
            callback=Callback(
                phone=phone,
                phone_raw=phone_raw,
                timezone=zone.key if zone else None,
                window_start=start,
                window_end=end,
                topic=topic,
            ),
            warnings=(*fields.unknown(), *unread(fields.raw(FIELD), payload.identity)),
        ),
    )


def find_zone(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name; None for everything else."""
    return ZoneInfo(name) if name in _zone_names() else None


@cache
def _zone_names() -> frozenset[str]:
    """Read from the time zone database once in a process, and as fixed as the code from then on."""
    return frozenset(available_timezones() - _NOWHERE)


def _phone(fields: Fields, default_region: str) -> tuple[str, str]:
    """As typed, and in E.164."""
    country = fields.line("country").upper()
    if country and country not in phonenumbers.SUPPORTED_REGIONS:
        fields.wrong("country", "invalid_country", "This is not the two-letter code of a country (ISO 3166).")
    typed = fields.line("phone")
    fields.require("phone", typed, "A phone number is needed to call back.")
    if fields.is_wrong("phone") or fields.is_wrong("country"):
        return typed, ""
    number = e164(typed, country or default_region)
    if number is None:
        fields.wrong("phone", "invalid_phone", "This is no phone number of that country, and none that begins with +.")
    elif phonenumbers.number_type(phonenumbers.parse(number)) == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        # Whoever earns by being called must not be able to have us call.
        fields.wrong("phone", "premium_rate", "Premium-rate numbers are not called back.")
    return typed, number or ""


def _zone(fields: Fields) -> ZoneInfo | None:
    name = fields.line("timezone")
    zone = find_zone(name)
    if zone is None and name:
        fields.wrong("timezone", "invalid_timezone", "This is not the IANA name of a time zone, like Asia/Seoul.")
    return zone


def _window(fields: Fields, zone: ZoneInfo | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    typed_start, typed_end = fields.line("window_start"), fields.line("window_end")
    if typed_start or typed_end:
        fields.require("window_start", typed_start, "A window needs its start, too.")
        fields.require("window_end", typed_end, "A window needs its end, too.")
    start, end = _moment(fields, "window_start", zone), _moment(fields, "window_end", zone)
    if start is None or end is None:
        return None, None
    if max(start, end) <= now:
        fields.wrong("window_start", "in_past", "The window has passed.")
    elif end <= start:
        fields.wrong("window_end", "ends_before_start", "The window must end after it starts.")
    elif end - start > _LONGEST_WINDOW:
        fields.wrong("window_end", "window_too_long", "The window may be 24 hours long at most.")
    elif end - now > _FARTHEST_WINDOW:
        late = "window_start" if start - now > _FARTHEST_WINDOW else "window_end"
        fields.wrong(late, "too_far", "The window may lie 14 days ahead at most.")
    return start, end


def _moment(fields: Fields, field: str, zone: ZoneInfo | None) -> datetime | None:
    """In UTC; where clocks are set back, the first of the two moments."""
    typed = fields.line(field)
    if not typed:
        return None
    try:
        moment = datetime.fromisoformat(typed) if _MOMENT.fullmatch(typed) else None
        if moment and moment.tzinfo:
            return moment.astimezone(UTC)
        if moment and zone:
            utc = moment.replace(tzinfo=zone).astimezone(UTC)
            if utc.astimezone(zone).replace(tzinfo=None) == moment:
                return utc
            fields.wrong(field, "no_such_time", "Clocks are set forward then: there is no such time.")
            return None
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        fields.wrong(field, "invalid_time", "This is not a date and time like 2026-11-22T14:00.")
    else:
        fields.require("timezone", "", "A time without a UTC offset needs a time zone.")
    return None
