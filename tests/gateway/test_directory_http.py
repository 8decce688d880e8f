import asyncio

import pytest
from aiohttp import web as server
from aiohttp.test_utils import TestServer

from gateway.directory import web
from gateway.directory.breaker import FAILURES, Unavailable
from gateway.directory.build import open_directory, prepare
from gateway.directory.http import HttpAsker
from gateway.directory.matching import question
from gateway.directory.options import Callbacks, HttpOptions, Limits, TierNames
from normalizers.message import Address
from tests.gateway.fake_http_directory import FakeHttpDirectory

NAMES = TierNames(order=("premium", "business", "free"), default="free")
MINSU = {"customer_id": "C-1", "tier": "premium", "organization": "Acme", "name": "김민수"}
BY_QUERY, BY_PATH = "/customers?kind={kind}&value={value}", "/people/{value}"


@pytest.fixture
async def crm():
    crm = FakeHttpDirectory()
    crm.records["email", "minsu@acme.example"] = MINSU
    async with TestServer(crm.app()) as listening:
        crm.url = str(listening.make_url("")).rstrip("/")
        yield crm


@pytest.fixture
async def ask(crm):
    """The customers of some addresses, asked with some options."""
    async with web.session() as http:

        async def ask(*addresses, url=BY_QUERY, **options):
            asker = HttpAsker(HttpOptions(url=crm.url + url, **options), NAMES, http)
            found = await asker.ask(question([Address(*one) for one in addresses]))
            return [known for one in found.values() for known in one]

        yield ask


EMAIL = ("email", "minsu@acme.example")


@pytest.mark.parametrize("url", [BY_QUERY, BY_PATH])
async def test_a_record_is_a_customer(ask, url):
    (known,) = await ask(EMAIL, url=url)
    customer = known.customer
    assert (customer.customer_id, customer.tier) == ("C-1", "premium")
    assert (customer.organization, customer.name, customer.related) == ("Acme", "김민수", ())


@pytest.mark.parametrize("url", [BY_QUERY, BY_PATH])
async def test_an_empty_list_and_a_404_are_nobody(ask, url):
    assert await ask(("email", "else@acme.example"), url=url) == []


async def test_jmespath_leads_to_every_field(ask, crm):
    crm.records[EMAIL] = {
        "data": [
            {
                "id": 7,
                "plan": {"code": "GOLD"},
                "company": {"name": "Acme"},
                "deals": [{"key": "D-1"}],
                "mails": ["Minsu@acme.example"],
            }
        ]
    }
    fields = {
        "customer_id": "id",
        "tier": "plan.code",
        "organization": "company.name",
        "related": "deals[].{system: 'crm', type: 'Deal', id: key}",
        "address": "mails",
    }
    (known,) = await ask(EMAIL, records="data", fields=fields, tiers={"gold": "premium"})
    customer = known.customer
    assert (customer.customer_id, customer.tier, customer.organization) == ("7", "premium", "Acme")
    assert [(one.system, one.type, one.id) for one in customer.related] == [("crm", "Deal", "D-1")]


@pytest.mark.parametrize(
    "value",
    [
        "a&kind=x@b.example",
        "a/../b@b.example",
        "a%2f@b.example",
        "a?x#y@b.example",
        "김@b.example",
        "a{kind}@b.example",
    ],
)
@pytest.mark.parametrize("url", [BY_QUERY, BY_PATH])
async def test_an_address_stays_one_value_of_the_url(ask, crm, value, url):
    crm.records["email", value] = MINSU
    (known,) = await ask(("email", value), url=url)
    assert known.customer.customer_id == "C-1"


@pytest.mark.parametrize("step", [".", ".."])
async def test_an_address_that_climbs_is_not_asked_for(ask, crm, step):
    assert await ask(("slack", step), url=BY_PATH, kinds=("slack",)) == []
    assert crm.paths == []


async def test_only_kinds_that_it_knows_are_asked_for_and_domains_last(ask, crm):
    crm.records["domain", "b.example"] = MINSU
    addresses = ("twitter", "1"), ("email", "a@b.example"), ("phone", "+8210")
    (known,) = await ask(*addresses, kinds=("phone", "email", "domain"))
    assert known.customer.customer_id == "C-1"
    *exact, last = [path.partition("?")[2] for path in crm.paths]
    assert sorted(exact) == ["kind=email&value=a%40b.example", "kind=phone&value=%2B8210"]
    assert last == "kind=domain&value=b.example"


async def test_two_addresses_of_two_customers_are_told_of(crm):
    crm.records["phone", "+8210"] = MINSU | {"customer_id": "C-2"}
    async with open_directory(prepare([HttpOptions(url=crm.url + BY_QUERY)], NAMES), Limits(budget=30)) as directory:
        lookup = await directory.find([Address("phone", "+8210"), Address(*EMAIL)])
    assert lookup.customer is not None
    assert (lookup.customer.customer_id, [note.code for note in lookup.notes]) == ("C-2", ["customer_conflict"])


async def test_exact_addresses_are_asked_for_at_once_and_each_once(ask, crm):
    both = asyncio.Barrier(2)

    async def trouble(request):
        await both.wait()
        return server.json_response(data=[])

    crm.trouble = trouble
    async with asyncio.timeout(10):
        assert await ask(EMAIL, EMAIL, ("phone", "+8210")) == []
    assert len(crm.paths) == 2


async def test_an_address_that_is_not_answered_leaves_no_question_behind(ask, crm):
    async def trouble(request):
        if request.query["kind"] == "phone":
            await asyncio.Event().wait()
        return server.Response(status=500)

    crm.trouble = trouble
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match=r"^HTTP 500$"):
            await ask(EMAIL, ("phone", "+8210"))


async def test_tokens_are_changed_once_by_questions_that_are_refused_together(ask, crm):
    crm.tokens, refused = {"Bearer old"}, asyncio.Barrier(2)

    async def trouble(request):
        if request.headers["Authorization"] != "Bearer old":
            await refused.wait()
            return server.Response(status=401)
        return server.json_response(data=MINSU)

    crm.trouble = trouble
    async with asyncio.timeout(10):
        assert len(await ask(EMAIL, ("phone", "+8210"), tokens=("new", "old"))) == 2


async def test_the_newest_token_that_is_taken_is_used(ask, crm):
    crm.tokens = {"Bearer old"}
    assert await ask(EMAIL, tokens=("new", "old"))
    with pytest.raises(Unavailable, match="HTTP 401: refuses our credentials"):
        await ask(EMAIL, tokens=("new", "newer"))


async def test_a_token_may_go_without_a_scheme(ask, crm):
    crm.tokens = {"raw"}
    assert await ask(EMAIL, tokens=("raw",), scheme="")


def test_no_token_is_shown():
    assert "t0ken" not in repr(HttpOptions(url="https://a.example/{value}", tokens=("t0ken",)))


async def test_an_answer_about_somebody_else_names_nobody(ask, crm):
    crm.records[EMAIL] = [MINSU | {"email": "somebody@else.example"}, MINSU | {"customer_id": "C-2", "email": EMAIL[1]}]
    (known,) = await ask(EMAIL, fields={"address": "email"})
    assert known.customer.customer_id == "C-2"


async def test_several_records_are_several_customers(ask, crm):
    crm.records[EMAIL] = [MINSU, MINSU | {"customer_id": "C-2"}]
    assert [one.customer.customer_id for one in await ask(EMAIL)] == ["C-1", "C-2"]


@pytest.mark.parametrize(
    ("record", "tier"), [({"tier": "platinum"}, "free"), ({"tier": None}, "free"), ({"tier": " Business "}, "business")]
)
async def test_a_tier_that_is_not_known_is_the_default_and_says_so(ask, crm, record, tier):
    crm.records[EMAIL] = MINSU | record
    (known,) = await ask(EMAIL)
    assert known.customer.tier == tier
    assert [note.code for note in known.notes] == (["tier_unmapped"] if tier == "free" else [])


async def test_words_of_an_answer_are_tamed(ask, crm):
    crm.records[EMAIL] = MINSU | {"name": "a\nb\u202e" + "x" * 10_000, "organization": " "}
    (known,) = await ask(EMAIL)
    assert known.customer.name.startswith("a b")
    assert len(known.customer.name) == 200
    assert known.customer.organization is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "an answer without a customer_id"),
        ({"customer_id": " ", "tier": "free"}, "an answer without a customer_id"),
        ({"customer_id": ["C-1"], "tier": "free"}, "an answer whose customer_id is no text"),
        ({"customer_id": True, "tier": "free"}, "an answer whose customer_id is no text"),
        (MINSU | {"tier": {"name": "premium"}}, "an answer whose tier is no text"),
        ("premium", "an answer whose records are no objects"),
        ([MINSU, None], "an answer whose records are no objects"),
        ([MINSU] * 101, "an answer of more than 100 records"),
    ],
)
async def test_nonsense_is_no_answer(ask, crm, answer, said):
    crm.records[EMAIL] = answer
    with pytest.raises(Unavailable, match=f"^{said}$"):
        await ask(EMAIL)


@pytest.mark.parametrize(
    "bad", [{"tier": "premium"}, "premium", [MINSU] * 101, MINSU | {"name": "x" * web.MAX_ANSWER}, None]
)
async def test_a_bad_record_costs_its_customer_and_nobody_else(crm, bad):
    bad_one, links = Address("email", "bad@acme.example"), []

    async def trouble(request):
        if bad is None:
            return server.Response(status=400)
        return server.json_response(data=bad)

    callbacks, limits = Callbacks(on_link=lambda *link: links.append(link)), Limits(budget=30)
    async with open_directory(prepare([HttpOptions(url=crm.url + BY_QUERY)], NAMES), limits, callbacks) as directory:
        crm.trouble = trouble
        lookups = [await directory.find([bad_one]) for _ in range(FAILURES)]
        others = [await directory.find([Address("email", f"bad{n}@acme.example")]) for n in range(FAILURES)]
        crm.trouble = None
        assert (await directory.find([Address(*EMAIL)])).status == "known"
    assert {one.status for one in (*lookups, *others)} == {"failed"}
    assert {tuple(note.code for note in one.notes) for one in lookups} == {("customer_unreadable",)}
    assert len(crm.paths) == 1 + FAILURES + 1
    assert links == []


async def test_an_expression_that_does_not_fit_is_no_answer(ask, crm):
    crm.records[EMAIL] = MINSU | {"name": 7}
    with pytest.raises(Unavailable, match="that the JMESPath does not fit"):
        await ask(EMAIL, fields={"name": "join(', ', name)"})


@pytest.mark.parametrize(
    ("status", "headers", "said", "pause"),
    [
        (500, {}, "HTTP 500", None),
        (403, {}, "HTTP 403: refuses our credentials", 5.0),
        (429, {"Retry-After": "120"}, "HTTP 429: asks to be left alone for 120 s", 120.0),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, "HTTP 429: too many questions", 5.0),
        (301, {"Location": "/people/minsu@acme.example"}, "HTTP 301", None),
        (200, {}, "an answer that is not JSON", None),
    ],
)
async def test_an_answer_that_is_no_success_is_told(ask, crm, status, headers, said, pause):
    async def trouble(request):
        return server.Response(status=status, headers=headers, text="<html>minsu@acme.example</html>")

    crm.trouble = trouble
    with pytest.raises(Unavailable) as caught:
        await ask(EMAIL)
    assert (str(caught.value), caught.value.pause) == (said, pause)


async def test_a_connection_that_breaks_is_told(ask, crm):
    async def trouble(request):
        response = server.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"customer_id"')
        request.transport.close()
        return response

    crm.trouble = trouble
    with pytest.raises(Unavailable, match=r"^the connection failed: ClientPayloadError$"):
        await ask(EMAIL)


async def test_a_slow_directory_costs_the_budget_once_and_is_known_for_the_next_message(crm):
    answer = asyncio.Event()

    async def trouble(request):
        await answer.wait()
        return server.json_response(data=MINSU)

    crm.trouble = trouble
    prepared = prepare([HttpOptions(url=crm.url + BY_QUERY, timeout=60)], NAMES)
    async with open_directory(prepared, Limits(budget=0.02)) as directory:
        found = await directory.find([Address(*EMAIL)])
        assert (found.status, found.source) == ("failed", "http")
        answer.set()
        async with asyncio.timeout(10):
            while (found := await directory.find([Address(*EMAIL)])).status != "known":
                pass
        assert found.matched == Address(*EMAIL)
    assert len(crm.paths) == 1
