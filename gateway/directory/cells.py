"""One row of a customer file: what its cells may hold, which addresses they give, and the customer they name."""

import re
from collections.abc import Collection, Mapping, Sequence

from gateway.directory.free_mail import FREE_MAIL
from gateway.directory.lookup import Customer
from normalizers.message import Related
from normalizers.text import find_email

COLUMNS = (
    "customer_id,organization,tier,name,email,domain,phone,twitter,"
    "slack_team,slack_user,salesforce_account,salesforce_opportunity"
).split(",")
REQUIRED = ("customer_id", "tier")
_PLAIN_EMAIL = re.compile(r"[a-z0-9][a-z0-9_+-]*(?:\.[a-z0-9_+-]+)*@[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_NOT_DIGITS = re.compile(r"\D")
_LONGEST_PLAIN = 100


class Cells:
    """Reads rows whose cells stand in the order of a header; a column that the header lacks is empty."""

    def __init__(self, header: Sequence[str], tiers: Collection[str]) -> None:
        self._width = len(header)
        # -1 is the empty cell that `tidy` puts at the end of every row.
        places = [header.index(column) if column in header else -1 for column in COLUMNS]
        (self._id, self._organization, self._tier, self._name, self._email, self._domain) = places[:6]
        (self._phone, self._twitter, self._team, self._user, self._account, self._opportunity) = places[6:]
        self._tiers = frozenset(tiers)
        self._tier_words = ", ".join(tiers)

    def tidy(self, row: Sequence[str]) -> list[str]:
        """The cells without the white space around them, as many as there are columns and one more."""
        cells = [cell.strip() for cell in row]
        cells += [""] * (self._width + 1 - len(cells))
        return cells

    def faults(self, cells: Sequence[str]) -> list[str]:
        """What is wrong with a row, in words that quote none of it."""
        faults = []
        email, phone = cells[self._email], cells[self._phone]
        if not cells[self._id]:
            faults.append("customer_id: is empty")
        if cells[self._tier] not in self._tiers:
            faults.append(f"tier: must be one of {self._tier_words}")
        if email and not _is_plain(email) and find_email(email) is None:
            faults.append("email: is not one address")
        if phone and not phone.startswith("+"):
            faults.append("phone: must begin with + and the country code (E.164), such as +821012345678")
        if bool(cells[self._team]) != bool(cells[self._user]):
            faults.append("slack_team and slack_user only mean something together")
        return faults

    def free_domain(self, cells: Sequence[str]) -> bool:
        """Whether the row's mail domain is one that never matches."""
        domain = cells[self._domain]
        return bool(domain) and domain.lower().removeprefix("@") in FREE_MAIL

    def addresses(self, cells: Sequence[str]) -> list[tuple[str, str]]:
        """Kind and canonical value of everything the row may be found by."""
        found = [("customer_id", cells[self._id])]
        if email := cells[self._email]:
            found.append(("email", email if _is_plain(email) else find_email(email) or email.lower()))
        if domain := cells[self._domain]:
            found.append(("domain", domain.lower().removeprefix("@")))
        if phone := cells[self._phone]:
            found.append(("phone", "+" + _NOT_DIGITS.sub("", phone)))
        if twitter := cells[self._twitter]:
            found.append(("twitter", twitter.lower().removeprefix("@")))
        if user := cells[self._user]:
            found.append(("slack", f"{cells[self._team]}/{user}"))
        return found

    def identity(self, cells: Sequence[str]) -> tuple[str, str]:
        """Customer id and tier."""
        return cells[self._id], cells[self._tier]

    def customer(self, cells: Sequence[str]) -> Customer:
        """The customer the row names."""
        ids: Mapping[str, str] = {"Account": cells[self._account], "Opportunity": cells[self._opportunity]}
        return Customer(
            customer_id=cells[self._id],
            tier=cells[self._tier],
            organization=cells[self._organization] or None,
            name=cells[self._name] or None,
            related=tuple(Related(system="salesforce", type=kind, id=id) for kind, id in ids.items() if id),
        )


def _is_plain(email: str) -> bool:
    """Most addresses: canonical as they stand, found out at a fraction of the cost of `find_email`."""
    return len(email) < _LONGEST_PLAIN and _PLAIN_EMAIL.fullmatch(email) is not None
