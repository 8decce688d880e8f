"""What an Acme modem posts, to a message."""

from collections.abc import Sequence

import msgspec

from normalizers.message import Address, Malformed, Message, Problem, Proof, Requester, Thread


class TextPayload(msgspec.Struct, frozen=True):
    """One POST, undecoded."""

    body: bytes


class _Text(msgspec.Struct):
    id: str
    sender: str = msgspec.field(name="from")
    text: str = ""


def normalize(payload: TextPayload) -> Sequence[Message]:
    """One message."""
    try:
        text = msgspec.json.decode(payload.body, type=_Text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed(Problem("", "unreadable", "This is not what a modem sends.")) from None
    return (
        Message(
            medium="sms",
            external_id=text.id,
            requester=Requester(addresses=(Address("phone", text.sender),)),
            thread=Thread(key=text.sender),
            proof=Proof.CLAIMED,
            text=text.text,
        ),
    )
