import asyncio

import pytest
from aiohttp import web as server
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory import web
from gateway.directory.breaker import FAILURES, Unavailable
from gateway.directory.build import open_directory, prepare
from gateway.directory.matching import question
from gateway.directory.options import Callbacks, Limits, SalesforceOptions, TierNames
from gateway.directory.salesforce import SalesforceAsker, spellings
from gateway.directory.soql import any_of, field, literal
from normalizers.message import Address
from tests.gateway.fake_salesforce import FakeSalesforce, tokens

NAMES = TierNames(order=("premium", "business", "free"), default="free")
ACME, OTHER = "001000000000001AAA", "001000000000002AAA"
MINSU, JANE = "003000000000001AAA", "003000000000002AAA"


@pytest.fixture
async def org():
    org = FakeSalesforce()
    org.account(ACME, "Acme", Support_Tier__c="Gold", Number__c="C-1", Domain__c="acme.example")
    org.contact(MINSU, "김민수", ACME, Email="minsu@acme.example", Phone="010-1234-5678", Twitter__c="@Minsu")
    org.roles[MINSU] = ["006000000000001AAA", "006000000000002AAA"]
    async with TestServer(org.app()) as listening:
        org.url = str(listening.make_url("")).rstrip("/")
        yield org


@pytest.fixture
async def asker(org):
    """Make one; its session is closed with the test."""
    async with web.session() as http:

        def asker(**options):
            given = {"tiers": {"gold": "premium"}, "client_secrets": ("s3cret",)} | options
            return SalesforceAsker(SalesforceOptions(instance_url=org.url, client_id="id", **given), NAMES, http)

        yield asker


async def ask(asker, *addresses):
    """The customers of all addresses."""
    found = await asker.ask(question([Address(*one) for one in addresses]))
    return [known for one in found.values() for known in one]


async def test_a_contact_is_a_customer_of_their_account_with_their_open_opportunities(asker):
    (known,) = await ask(asker(), ("email", "minsu@acme.example"))
    customer = known.customer
    assert (customer.customer_id, customer.tier, customer.organization, customer.name) == (
        ACME,
        "premium",
        "Acme",
        "김민수",
    )
    assert [(one.system, one.type, one.id) for one in customer.related] == [
        ("salesforce", "Account", ACME),
        ("salesforce", "Contact", MINSU),
        ("salesforce", "Opportunity", "006000000000001AAA"),
        ("salesforce", "Opportunity", "006000000000002AAA"),
    ]
    assert known.notes == ()


async def test_only_open_opportunities_are_asked_for(asker, org):
    await ask(asker(), ("email", "minsu@acme.example"))
    assert "FROM OpportunityContactRoles WHERE Opportunity.IsClosed = false" in org.queries[0]


@pytest.mark.parametrize(
    "spelled", ["010-1234-5678", "+821012345678", "+82 10-1234-5678", "01012345678", "821012345678"]
)
async def test_a_phone_number_is_found_as_somebody_typed_it(asker, org, spelled):
    org.contacts[0]["Phone"] = None
    org.contacts[0]["MobilePhone"] = spelled
    (known,) = await ask(asker(), ("phone", "+821012345678"))
    assert known.customer.customer_id == ACME


def test_a_number_is_never_looked_for_by_its_end():
    assert all(len(value) >= len("01012345678") for value in spellings(Address("phone", "+821012345678")))


async def test_a_national_number_of_another_country_is_somebody_else(asker, org):
    org.contacts[0]["Phone"] = "+49 1012345678"
    assert await ask(asker(), ("phone", "+821012345678")) == []


async def test_a_handle_is_found_where_a_field_is_named_for_it(asker, org):
    assert await ask(asker(), ("twitter", "minsu")) == []
    assert org.queries == []
    org.contacts[0]["Twitter__c"] = "minsu"
    (known,) = await ask(asker(contact_fields={"twitter": ("Twitter__c",)}), ("twitter", "minsu"))
    assert known.customer.name == "김민수"


async def test_two_contacts_of_one_account_are_one_customer(asker, org):
    org.contact(JANE, "Jane", ACME, Email="minsu@acme.example")
    known = await ask(asker(), ("email", "minsu@acme.example"))
    assert {one.customer.customer_id for one in known} == {ACME}


async def test_contacts_of_two_accounts_are_two_customers(asker, org):
    org.account(OTHER, "Other", Support_Tier__c="free")
    org.contact(JANE, "Jane", OTHER, Email="minsu@acme.example")
    known = await ask(asker(), ("email", "minsu@acme.example"))
    assert {one.customer.customer_id for one in known} == {ACME, OTHER}


async def test_a_domain_names_an_account_only_where_its_field_is_named(asker, org):
    assert await ask(asker(), ("email", "else@acme.example")) == []
    (known,) = await ask(asker(domain_field="Domain__c"), ("email", "else@acme.example"))
    assert (known.customer.customer_id, known.customer.name) == (ACME, None)


async def test_an_exact_address_wins_over_its_domain(asker, org):
    org.account(OTHER, "Other", Support_Tier__c="business", Domain__c="acme.example")
    (known,) = await ask(asker(domain_field="Domain__c"), ("email", "minsu@acme.example"))
    assert known.customer.customer_id == ACME


@pytest.mark.parametrize(
    ("id", "field", "found"), [("C-1", "Number__c", True), (ACME, "Id", True), ("C-1", "Id", False)]
)
async def test_a_customer_id_names_an_account(asker, org, id, field, found):
    known = await ask(asker(customer_field=field), ("customer_id", id))
    assert [one.customer.customer_id for one in known] == ([id] if found else [])


async def found_in(org, *addresses, **options):
    """What a directory of this org alone says."""
    given = SalesforceOptions(
        instance_url=org.url, client_id="id", client_secrets=("s3cret",), tiers={"gold": "premium"}, **options
    )
    async with open_directory(prepare([given], NAMES), Limits(budget=30)) as directory:
        return await directory.find([Address(*one) for one in addresses])


async def test_a_signed_customer_id_wins_over_the_contact_and_the_difference_is_told(org):
    org.account(OTHER, "Other", Support_Tier__c="business")
    lookup = await found_in(org, ("customer_id", OTHER), ("email", "minsu@acme.example"))
    assert (lookup.customer.customer_id, lookup.matched.kind) == (OTHER, "customer_id")
    assert [note.code for note in lookup.notes] == ["customer_conflict"]


async def test_a_customer_id_and_the_contact_of_the_same_account_are_no_conflict(org):
    lookup = await found_in(org, ("customer_id", ACME), ("email", "minsu@acme.example"))
    assert (lookup.customer.customer_id, lookup.notes) == (ACME, ())


async def test_an_id_that_account_and_contact_hold_for_two_customers_is_ambiguous(org):
    org.account(OTHER, "Other", Support_Tier__c="business", Number__c="C-2")
    org.contact(JANE, "Jane", OTHER, Number__c="C-1")
    fields = {"customer_id": ("Number__c",)}
    lookup = await found_in(org, ("customer_id", "C-1"), customer_field="Number__c", contact_fields=fields)
    assert lookup.status == "ambiguous"


async def test_an_account_without_a_number_goes_by_its_id(asker, org):
    org.accounts[0]["Number__c"] = None
    (known,) = await ask(asker(customer_field="Number__c"), ("email", "minsu@acme.example"))
    assert known.customer.customer_id == ACME


@pytest.mark.parametrize("plan", [None, "", "Platinum", 7])
async def test_a_plan_that_is_no_tier_gives_the_default_and_says_so(asker, org, plan):
    org.accounts[0]["Support_Tier__c"] = plan
    (known,) = await ask(asker(), ("email", "minsu@acme.example"))
    assert (known.customer.tier, [note.code for note in known.notes]) == ("free", ["tier_unmapped"])


async def test_a_contact_without_account_is_known_and_has_no_plan(asker, org):
    org.contact(JANE, "Jane", None, Email="jane@home.example")
    (known,) = await ask(asker(), ("email", "jane@home.example"))
    assert (known.customer.customer_id, known.customer.tier) == (JANE, "free")


async def test_one_login_serves_many_questions(asker, org):
    one = asker()
    await asyncio.gather(*(ask(one, ("email", f"a{number}@acme.example")) for number in range(10)))
    assert len(org.logins) == 1
    assert len(org.queries) == 10


async def test_a_session_that_is_refused_is_renewed_once(asker, org):
    one = asker()
    await ask(one, ("email", "minsu@acme.example"))
    org.valid.clear()
    assert await ask(one, ("email", "minsu@acme.example"))
    assert len(org.logins) == 2


async def test_a_burst_with_an_old_session_logs_in_once(asker, org):
    one = asker()
    await ask(one, ("email", "minsu@acme.example"))
    org.valid.clear()
    await asyncio.gather(*(ask(one, ("email", f"a{number}@acme.example")) for number in range(10)))
    assert len(org.logins) == 2


async def test_a_session_that_is_always_refused_is_not_renewed_for_ever(asker, org):
    async def refuse(request):
        return org.refuse("INVALID_SESSION_ID", 401)

    org.trouble = refuse
    with pytest.raises(Unavailable, match="HTTP 401 INVALID_SESSION_ID: refuses our credentials") as caught:
        await ask(asker(), ("email", "minsu@acme.example"))
    assert caught.value.pause
    assert len(org.logins) == 2


async def test_an_older_secret_is_tried_where_the_newer_is_refused(asker, org):
    assert await ask(asker(client_secrets=("new", "s3cret")), ("email", "minsu@acme.example"))
    assert [form["client_secret"] for form in org.logins] == ["new", "s3cret"]


async def test_a_wrong_secret_is_told_without_it(asker, org):
    with pytest.raises(Unavailable, match=r"^login refused: invalid_client$") as caught:
        await ask(asker(client_secrets=("wr0ng",)), ("email", "minsu@acme.example"))
    assert caught.value.pause


def test_no_secret_is_shown():
    options = SalesforceOptions(instance_url="https://a.example", client_id="id", client_secrets=("s3cret",))
    assert "s3cret" not in repr(options)


def answering(body=b"", status=200, **headers):
    async def answer(request):
        return server.Response(body=body, status=status, headers=headers, content_type="application/json")

    return answer


@pytest.mark.parametrize(
    ("answer", "said", "pauses"),
    [
        (answering(status=500), "HTTP 500", False),
        (answering(status=503), "HTTP 503", False),
        (answering(status=503, **{"Retry-After": "30"}), "HTTP 503: asks to be left alone for 30 s", True),
        (answering(status=429), "HTTP 429: too many questions", True),
        (answering(b'[{"errorCode":"REQUEST_LIMIT_EXCEEDED"}]', 403), "too many questions", True),
        (answering(b'[{"errorCode":"INVALID_FIELD","message":"No such column"}]', 400), "HTTP 400 INVALID_FIELD", True),
        (answering(b'[{"errorCode":"a@b.example"}]', 500), "HTTP 500 no reason given", False),
        (answering(status=302, Location="https://evil.example"), "HTTP 302", False),
        (answering(b"<html>"), "an answer without records", False),
        (answering(b""), "an answer without records", False),
        (answering(b"null"), "an answer without records", False),
        (answering(b'{"records": 7}'), "an answer without records", False),
        (answering(b'{"records": [7]}'), "an answer without records", False),
        (answering(b"[" * 100_000), "an answer without records", False),
        (answering(b'"' + b"x" * 2**20 + b'"'), "an answer of more than 512 KiB", False),
    ],
)
async def test_every_way_to_fail_is_told_in_words_without_a_customer(asker, org, answer, said, pauses):
    org.trouble = answer
    with pytest.raises(Unavailable) as caught:
        await ask(asker(), ("email", "minsu@acme.example"))
    assert str(caught.value).startswith(said)
    assert bool(caught.value.pause) is pauses


async def test_what_salesforce_said_last_is_used_while_it_is_down_and_told_once(org):
    lookups, links = [], []
    callbacks = Callbacks(
        on_lookup=lambda source, outcome, seconds: lookups.append(outcome),
        on_link=lambda source, up, why: links.append((source, up, why)),
    )
    options = SalesforceOptions(
        instance_url=org.url, client_id="id", client_secrets=("s3cret",), tiers={"gold": "premium"}
    )
    asked = [Address("email", "minsu@acme.example")]
    async with open_directory(prepare([options], NAMES), Limits(budget=30, fresh=0), callbacks) as directory:
        known = await directory.find(asked)
        org.trouble = answering(status=500)
        found = [await directory.find(asked) for _ in range(FAILURES + 2)]
        assert {(one.status, one.customer, one.as_of) for one in found} == {("stale", known.customer, known.as_of)}
        assert (await directory.find([Address("email", "nobody@acme.example")])).status == "failed"
    assert known.status == "known"
    assert lookups == ["known", *["failed"] * FAILURES]
    assert links == [("salesforce", False, "HTTP 500")]
    assert len(org.queries) == 1 + FAILURES


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answering(status=503), "HTTP 503 at login"),
        (answering(b"{}"), "a login without token"),
        (answering(b'{"access_token": "a\\r\\nb"}'), "a login without token"),
        (answering(b"[]", 400), "login refused: no reason given"),
    ],
)
async def test_a_login_may_fail_as_well(asker, org, answer, said):
    org.login_trouble = answer
    with pytest.raises(Unavailable, match=f"^{said}$"):
        await ask(asker(), ("email", "minsu@acme.example"))


@pytest.mark.parametrize(
    "record",
    [
        b'{"Id": "003", "Email": "somebody@else.example", "Account": {"Id": "001"}}',
        b'{"Id": "003", "Email": ["minsu@acme.example"], "Account": {"Id": "001"}}',
        b'{"Id": "003", "Account": {"Id": "001"}}',
    ],
)
async def test_an_answer_about_somebody_else_names_nobody(asker, org, record):
    org.trouble = answering(b'{"records": [' + record + b"]}")
    assert await ask(asker(), ("email", "minsu@acme.example")) == []


async def test_a_record_without_id_is_no_answer(asker, org):
    org.trouble = answering(b'{"records": [{"Email": "minsu@acme.example"}]}')
    with pytest.raises(Unavailable, match="without a customer_id"):
        await ask(asker(), ("email", "minsu@acme.example"))


@pytest.mark.parametrize(
    ("reason", "down"), [("MALFORMED_QUERY", False), ("INVALID_QUERY_FILTER_OPERATOR", False), ("INVALID_FIELD", True)]
)
async def test_a_question_that_is_refused_costs_its_customer_alone_and_a_wrong_field_everybody(org, reason, down):
    links = []
    callbacks = Callbacks(on_link=lambda *link: links.append(link))
    options = SalesforceOptions(instance_url=org.url, client_id="id", client_secrets=("s3cret",))
    async with open_directory(prepare([options], NAMES), Limits(budget=30), callbacks) as directory:
        org.trouble = answering(b'[{"errorCode":"' + reason.encode() + b'"}]', 400)
        for name in "abc":
            assert (await directory.find([Address("email", f"{name}@acme.example")])).status == "failed"
        org.trouble = None
        lookup = await directory.find([Address("email", "minsu@acme.example")])
    assert lookup.status == ("failed" if down else "known")
    assert links == ([("salesforce", False, f"HTTP 400 {reason}")] if down else [])


async def test_a_host_that_is_gone_is_unavailable(org):
    async with TestServer(server.Application()) as gone:
        url = str(gone.make_url("")).rstrip("/")
    async with web.session() as http:
        one = SalesforceAsker(SalesforceOptions(instance_url=url, client_id="id", client_secrets=("s",)), NAMES, http)
        with pytest.raises(Unavailable, match="cannot connect"):
            await ask(one, ("email", "minsu@acme.example"))


WORDS = st.text(st.characters(exclude_categories=("C", "Z")) | st.sampled_from("'\\\"%_() \n\r\t\b\f"), max_size=40)


@given(
    st.lists(WORDS.filter(str.isprintable) | st.from_regex(r"[ '\\\"\n\r\t\x08\x0c]{0,9}", fullmatch=True), min_size=1)
)
def test_no_word_of_a_stranger_gets_out_of_its_quotes(values):
    read = tokens(any_of(["Email"], values))
    assert [value for kind, value in read if kind == "text"] == [*dict.fromkeys(values)]
    assert [value for kind, value in read if kind == "word"] == [
        "Email",
        "IN",
        "(",
        *[","] * (len(set(values)) - 1),
        ")",
    ]


@pytest.mark.parametrize("attack", ["' OR Name != '", "\\' OR Id != null --", "a'); DELETE", "\\"])
async def test_an_injection_finds_nobody(asker, attack):
    fields = {"twitter": ("Twitter__c",)}
    assert await ask(asker(contact_fields=fields), ("email", f"{attack}@acme.example"), ("twitter", attack)) == []


@pytest.mark.parametrize("character", ["\0", "\x1b", "\u2028", "\ud800"])
def test_what_has_no_escape_is_refused(character):
    with pytest.raises(ValueError, match="control character"):
        literal(f"a{character}b")


@pytest.mark.parametrize("name", ["", "Id FROM", "Id,Name", "a.b.c", "Ид", "Id'", "1d"])
def test_only_names_of_fields_are_fields(name):
    with pytest.raises(ValueError, match="is not the API name"):
        field(name)
