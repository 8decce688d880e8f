"""Customers from Salesforce: contacts by email, phone or handle, accounts by mail domain, open opportunities beside."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import phonenumbers
from aiohttp import ClientSession
from yarl import URL

from gateway.directory import web
from gateway.directory.breaker import PAUSE, Nonsense, Unavailable
from gateway.directory.lookup import Question
from gateway.directory.matching import Known
from gateway.directory.options import SalesforceOptions, TierNames
from gateway.directory.records import Records, word
from gateway.directory.salesforce_login import Login, code
from gateway.directory.soql import any_of, field
from normalizers.message import Address, Related
from normalizers.phones import e164

CONTACT_FIELDS: dict[str, tuple[str, ...]] = {"email": ("Email",), "phone": ("Phone", "MobilePhone")}
MOST_RECORDS = 50
"""Of one answer: more contacts than that for the addresses of one person are ambiguous anyway."""
_FORMATS = (
    phonenumbers.PhoneNumberFormat.E164,
    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
    phonenumbers.PhoneNumberFormat.NATIONAL,
)
_ACCOUNT_ID = re.compile(r"001[A-Za-z0-9]{15}")
_RATE_LIMIT = "REQUEST_LIMIT_EXCEEDED"
_RATE_PAUSE = 60.0
_WRONG_NAMES = ("INVALID_FIELD", "INVALID_TYPE")


class SalesforceAsker:
    """One query over contacts; one over accounts for a customer id, or where nobody is found and a domain is left."""

    def __init__(self, options: SalesforceOptions, names: TierNames, http: ClientSession) -> None:
        self._base = URL(f"{options.instance_url}/services/data/v{options.api_version}/query")
        self._login = Login(http, options.instance_url, options.client_id, options.client_secrets)
        self._records = Records(names, options.tiers)
        self._tier, self._id = field(options.tier_field), field(options.customer_field)
        self._domain = field(options.domain_field) if options.domain_field else None
        self._contact_fields = {
            kind: tuple(field(name) for name in fields)
            for kind, fields in (CONTACT_FIELDS | dict(options.contact_fields)).items()
        }
        account = dict.fromkeys(("Id", "Name", self._id, self._tier))
        asked = dict.fromkeys(("Id", "Name", *(name for names in self._contact_fields.values() for name in names)))
        self._select_accounts = f"SELECT {', '.join(account)}"
        self._select_contacts = (
            f"SELECT {', '.join(asked)}, {', '.join(f'Account.{name}' for name in account)}, "
            "(SELECT OpportunityId FROM OpportunityContactRoles WHERE Opportunity.IsClosed = false) FROM Contact"
        )

    async def ask(self, question: Question, /) -> Mapping[Address, Sequence[Known]]:
        """Raises Unavailable."""
        ids = [one for one in question.exact if one.kind == "customer_id" and self._may_be_id(one.value)]
        accounts = await self._accounts(ids, self._id)
        found = await self._contacts(question.exact)
        for address, known in accounts.items():
            found[address] = [*known, *found.get(address, ())]
        return found if any(found.values()) else await self._accounts(question.domains, self._domain)

    def _may_be_id(self, value: str) -> bool:
        """Salesforce refuses a whole query that compares `Id` with what cannot be one."""
        return self._id != "Id" or _ACCOUNT_ID.fullmatch(value) is not None

    async def _contacts(self, addresses: Sequence[Address]) -> dict[Address, list[Known]]:
        asked = {one: spellings(one) for one in addresses if one.kind in self._contact_fields}
        conditions = [any_of(self._contact_fields[one.kind], values) for one, values in asked.items()]
        if not conditions:
            return {}
        contacts = await self._query(f"{self._select_contacts} WHERE {' OR '.join(conditions)}")
        return {one: [self._contact(contact) for contact in contacts if self._has(contact, one)] for one in asked}

    async def _accounts(self, addresses: Sequence[Address], name: str | None) -> dict[Address, list[Known]]:
        if not (addresses and name):
            return {}
        selected = self._select_accounts if name in (self._id, "Id") else f"{self._select_accounts}, {name}"
        condition = any_of([name], [address.value for address in addresses])
        accounts = await self._query(f"{selected} FROM Account WHERE {condition}")
        found = {
            address: [self._account(one) for one in accounts if _same(one.get(name), address.value)]
            for address in addresses
        }
        return {address: known for address, known in found.items() if known}

    async def _query(self, query: str) -> list[dict[str, object]]:
        # `Id` order: which of several records is first does not change from one question to the next.
        answer = await self._login.get(self._base.with_query(q=f"{query} ORDER BY Id LIMIT {MOST_RECORDS}"))
        if answer.status != 200:
            raise _refused(answer)
        body = answer.body
        records = body.get("records") if isinstance(body, dict) else None
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise Unavailable("an answer without records")
        return records

    def _has(self, contact: Mapping[str, object], address: Address) -> bool:
        """Whether the record really has what was asked for: a number in national spelling may be another country's."""
        values = [contact.get(name) for name in self._contact_fields[address.kind]]
        if address.kind == "phone":
            region = _region(address.value)
            return any(isinstance(value, str) and e164(value, region) == address.value for value in values)
        return any(_same(value, address.value) for value in values)

    def _contact(self, contact: Mapping[str, object]) -> Known:
        account = contact.get("Account")
        if not isinstance(account, dict):
            return self._records.known(
                customer_id=contact.get("Id"), tier=None, name=contact.get("Name"), related=_related(contact)
            )
        return self._account(account, contact)

    def _account(self, account: Mapping[str, object], contact: Mapping[str, object] | None = None) -> Known:
        account_id = word(account.get("Id"), "Id")
        return self._records.known(
            customer_id=account.get(self._id) or account_id,
            tier=account.get(self._tier),
            organization=account.get("Name"),
            name=contact.get("Name") if contact else None,
            related=[
                *([Related(system="salesforce", type="Account", id=account_id)] if account_id else ()),
                *(_related(contact) if contact else ()),
            ],
        )


def spellings(address: Address) -> list[str]:
    """As the value may stand in a field: Salesforce keeps phone numbers as somebody typed them."""
    if address.kind != "phone":
        return [address.value]
    found = [address.value, address.value.removeprefix("+")]
    with suppress(phonenumbers.NumberParseException):
        number = phonenumbers.parse(address.value)
        found += [phonenumbers.format_number(number, form) for form in _FORMATS]
    return [*dict.fromkeys([*found, *("".join(c for c in value if c.isdigit()) for value in found)])]


def _region(number: str) -> str | None:
    with suppress(phonenumbers.NumberParseException):
        return phonenumbers.region_code_for_number(phonenumbers.parse(number))
    return None


def _same(value: object, asked: str) -> bool:
    return isinstance(value, str) and value.strip().removeprefix("@").lower() == asked.lower()


def _related(contact: Mapping[str, object]) -> Iterator[Related]:
    if contact_id := word(contact.get("Id"), "Id"):
        yield Related(system="salesforce", type="Contact", id=contact_id)
    roles = contact.get("OpportunityContactRoles")
    for role in (roles.get("records") if isinstance(roles, dict) else None) or ():
        opportunity = word(role.get("OpportunityId"), "OpportunityId") if isinstance(role, dict) else None
        if opportunity:
            yield Related(system="salesforce", type="Opportunity", id=opportunity)


def _refused(answer: web.Answer) -> Unavailable:
    """Errors come as `[{"errorCode": …, "message": …}]`."""
    first = answer.body[0] if isinstance(answer.body, list) and answer.body else None
    why = code(first.get("errorCode")) if isinstance(first, dict) else ""
    if why == _RATE_LIMIT:
        return Unavailable("too many questions (REQUEST_LIMIT_EXCEEDED)", pause=answer.retry_after or _RATE_PAUSE)
    if answer.status == 400:  # its words are about the names in the settings, or about the values of this question
        said = f"HTTP 400 {why}"
        return Unavailable(said, pause=PAUSE) if why in _WRONG_NAMES else Nonsense(said)
    return web.refused(answer, why)
