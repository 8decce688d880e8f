import pytest

from gateway.directory.free_mail import FREE_MAIL
from gateway.directory.in_order import InOrder
from gateway.directory.lookup import UNKNOWN, Customer, Lookup
from gateway.directory.matching import MOST_ADDRESSES, question
from normalizers.message import Address
from tests.gateway.known_customers import KnownCustomers
from tests.gateway.test_directory_file import NOW, email


def customer(name, tier="premium"):
    return Customer(customer_id=name, tier=tier)


@pytest.mark.parametrize(
    ("given", "exact", "domains"),
    [
        ([email("A@B.example")], [email("a@b.example")], ["b.example"]),
        ([Address("twitter", "@Acme")], [Address("twitter", "acme")], []),
        ([Address("phone", "+8210")], [Address("phone", "+8210")], []),
        ([email("a@gmail.com"), email("b@NAVER.com")], [email("a@gmail.com"), email("b@naver.com")], []),
        ([email("no-domain")], [email("no-domain")], []),
        ([Address("domain", "b.example")], [], []),
        ([email("")], [], []),
        ([Address("slack", "T\ud800/U")], [], []),
        ([Address("slack", "a\nb")], [], []),
        ([Address("slack", "x" * 255)], [], []),
    ],
)
def test_addresses_become_questions(given, exact, domains):
    asked = question(given)
    assert (list(asked.exact), [address.value for address in asked.domains]) == (exact, domains)


def test_a_mail_with_many_addresses_asks_for_few():
    assert len(question([email(f"a{n}@b.example") for n in range(100)]).exact) == MOST_ADDRESSES


def test_free_mail_domains_are_spelled_as_they_are_looked_up():
    assert {"gmail.com", "naver.com", "hanmail.net", "qq.com", "126.com"} < FREE_MAIL
    assert all(domain == domain.lower() and "." in domain for domain in FREE_MAIL)


async def test_a_free_mail_domain_never_matches_even_where_a_directory_has_it():
    directory = KnownCustomers([(Address("domain", "gmail.com"), customer("C-1"))], as_of=NOW)
    assert await directory.find([email("anyone@gmail.com")]) is UNKNOWN


async def test_addresses_of_two_customers_are_told_of_and_the_first_has_the_say():
    rows = [(Address("twitter", "1"), customer("C-1")), (Address("twitter", "acme"), customer("C-2"))]
    found = await KnownCustomers(rows, as_of=NOW).find([Address("twitter", "1"), Address("twitter", "acme")])
    assert found.customer == customer("C-1")
    assert [note.code for note in found.notes] == ["customer_conflict"]


async def test_addresses_of_one_customer_are_no_conflict():
    rows = [(Address("phone", "+1"), customer("C-1")), (email("a@b.example"), customer("C-1"))]
    found = await KnownCustomers(rows, as_of=NOW).find([Address("phone", "+1"), email("a@b.example")])
    assert (found.status, found.notes) == ("known", ())


class Fixed:
    def __init__(self, name, status, customer=None):
        self.name, self.asked, self.down = name, 0, False
        self._lookup = UNKNOWN if status == "unknown" else Lookup(status=status, customer=customer, source=name)

    async def find(self, question, deadline, /):
        self.asked += 1
        return self._lookup


@pytest.mark.parametrize(
    ("statuses", "status", "source", "notes"),
    [
        (["known", "known"], "known", "0", []),
        (["unknown", "known"], "known", "1", []),
        (["unknown", "unknown"], "unknown", None, []),
        (["ambiguous", "known"], "ambiguous", "0", []),
        (["stale", "known"], "stale", "0", []),
        (["failed", "known"], "known", "1", ["directory_incomplete"]),
        (["failed", "stale"], "stale", "1", ["directory_incomplete"]),
        (["failed", "unknown"], "failed", "0", []),
        (["unknown", "failed"], "failed", "1", []),
        (["failed", "failed"], "failed", "0", []),
        ([], "unknown", None, []),
    ],
)
async def test_the_first_source_that_knows_or_doubts_has_the_say(statuses, status, source, notes):
    sources = [
        Fixed(str(n), one, customer("C") if one in ("known", "stale") else None) for n, one in enumerate(statuses)
    ]
    found = await InOrder(sources).find([email("a@b.example")])
    assert (found.status, found.source, [note.code for note in found.notes]) == (status, source, notes)


async def test_nobody_is_asked_about_nobody():
    source = Fixed("0", "known", customer("C"))
    assert await InOrder([source]).find([]) is UNKNOWN
    assert await InOrder([source]).find([Address("slack", "\0")]) is UNKNOWN
    assert source.asked == 0
