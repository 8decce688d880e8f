"""What Amazon SES tells of a mail it took in, and what its verdicts are worth.

https://docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html
"""

from email.utils import getaddresses
from typing import Final, get_args

import msgspec

from normalizers.mailed import Authentication, Dkim, DkimResult, Dmarc, DmarcPolicy, DmarcResult, Spf, SpfResult

_DMARC: Final[dict[str, DmarcResult]] = {"PASS": "pass", "FAIL": "fail", "PROCESSING_FAILED": "temperror"}
_SPF: Final[dict[str, SpfResult]] = {"PASS": "pass", "FAIL": "fail", "PROCESSING_FAILED": "temperror"}
_DKIM: Final[dict[str, DkimResult]] = {"PASS": "pass", "FAIL": "fail", "PROCESSING_FAILED": "temperror"}
_POLICIES: Final = {str(policy): policy for policy in get_args(DmarcPolicy)}


class Verdict(msgspec.Struct, frozen=True):
    """PASS, FAIL, GRAY (nothing to go by) or PROCESSING_FAILED."""

    status: str = ""


class Action(msgspec.Struct, frozen=True, rename="camel"):
    """What the receipt rule did."""

    type: str = ""
    encoding: str = ""
    bucket_name: str = ""
    object_key: str = ""


class ReceiptOfRule(msgspec.Struct, frozen=True, rename="camel"):
    """How the mail came in; `recipients` are those of RCPT TO that the rule matched."""

    recipients: tuple[str, ...] = ()
    spf_verdict: Verdict = Verdict()
    dkim_verdict: Verdict = Verdict()
    dmarc_verdict: Verdict = Verdict()
    dmarc_policy: str = ""
    action: Action = Action()


class CommonHeaders(msgspec.Struct, frozen=True):
    """The header as SES reads it."""

    authors: tuple[str, ...] = msgspec.field(name="from", default=())


class ReceivedMail(msgspec.Struct, frozen=True, rename="camel"):
    """The envelope; `source` is MAIL FROM."""

    source: str | None = None
    common_headers: CommonHeaders = CommonHeaders()


class Received(msgspec.Struct, frozen=True, rename="camel"):
    """The message of a notification."""

    mail: ReceivedMail = ReceivedMail()
    receipt: ReceiptOfRule = ReceiptOfRule()
    content: str | None = None


def authentication(received: Received) -> Authentication:
    """Only DMARC says anything of alignment, and only of the author that SES read: so that one's domain is named."""
    receipt = received.receipt
    domain = (received.mail.source or "").rpartition("@")[2] or None
    return Authentication(
        source="ses",
        spf=Spf(result=_SPF.get(receipt.spf_verdict.status, "none"), domain=domain),
        dkim=(Dkim(result=_DKIM.get(receipt.dkim_verdict.status, "none")),),
        dmarc=Dmarc(
            result=_DMARC.get(receipt.dmarc_verdict.status, "none"),
            domain=_author_domain(received.mail.common_headers.authors),
            policy=_POLICIES.get(receipt.dmarc_policy.lower()),
        ),
    )


def _author_domain(authors: tuple[str, ...]) -> str | None:
    """None where there is not exactly one."""
    addresses = [address for _, address in getaddresses(authors)]
    return addresses[0].rpartition("@")[2].lower() or None if len(addresses) == 1 else None
