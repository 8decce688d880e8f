from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.directory.file import COLUMNS, DirectoryError, load
from normalizers.message import Address

TIERS = ("premium", "business", "free")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = """\
customer_id,organization,tier,name,email,domain,salesforce_account,salesforce_opportunity
C-1,에이컴,premium,김민수,Minsu@acme.example,,001A,006B
C-2,Initech,business,,,initech.example,,
C-3,Initech,free,Bob,bob@initech.example,,,
C-4,Left,business,,both@shared.example,,,
C-5,Right,premium,,both@shared.example,,,
C-1,에이컴,premium,김민수,minsu.kim@acme.example,,,
"""


def email(value: str) -> Address:
    return Address("email", value)


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text(ROWS, encoding="utf-8-sig")
    return load(path, tiers=TIERS, as_of=NOW)


async def test_an_exact_address_names_its_customer(directory):
    found = await directory.find([email("minsu@acme.example")])
    assert (found.status, found.source, found.as_of) == ("known", "file", NOW)
    assert (found.customer.customer_id, found.customer.organization) == ("C-1", "에이컴")
    assert [(r.system, r.type, r.id) for r in found.customer.related] == [
        ("salesforce", "Account", "001A"),
        ("salesforce", "Opportunity", "006B"),
    ]


async def test_a_domain_matches_every_mailbox_at_it_and_no_other(directory):
    assert (await directory.find([email("anyone@initech.example")])).customer.customer_id == "C-2"
    for stranger in ("anyone@sub.initech.example", "anyone@notinitech.example", "initech.example"):
        assert (await directory.find([email(stranger)])).status == "unknown"


async def test_an_exact_address_wins_over_its_domain(directory):
    assert (await directory.find([email("bob@initech.example")])).customer.customer_id == "C-3"


async def test_several_rows_may_name_one_customer(directory):
    assert (await directory.find([email("minsu.kim@acme.example")])).customer.customer_id == "C-1"


async def test_two_customers_for_one_address_are_ambiguous(directory):
    found = await directory.find([email("both@shared.example")])
    assert (found.status, found.customer) == ("ambiguous", None)


async def test_ambiguous_addresses_are_counted(directory):
    assert directory.ambiguous == {email("both@shared.example")}


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("C-1,free,not-an-address,", ":2: email: is not one address"),
        ("C-1,free,,1", ":2: phone: must begin with"),
        ('C-1,free,"a@b.example,', "cannot be read as CSV"),
        ("C-1,free,a@b.example,\nC-1,premium,c@b.example,", ":3: tier: this customer has another tier"),
    ],
)
def test_a_mistyped_cell_is_a_fault(tmp_path, rows, fault):
    path = tmp_path / "customers.csv"
    path.write_text(f"customer_id,tier,email,phone\n{rows}\n")
    with pytest.raises(DirectoryError, match=fault):
        load(path, tiers=TIERS, as_of=NOW)


def test_semicolons_are_named(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text("customer_id;tier;email\n")
    with pytest.raises(DirectoryError, match="semicolons"):
        load(path, tiers=TIERS, as_of=NOW)


async def test_nobody_is_unknown(directory):
    assert (await directory.find([])).status == "unknown"
    assert (await directory.find([email("x@elsewhere.example")])).status == "unknown"


def test_every_fault_is_named_with_its_line(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,tier,email\nC-1,gold,a@b.example\n,free,c@d.example\nC-3,free,e@f.example,surplus\n")
    with pytest.raises(DirectoryError) as caught:
        load(path, tiers=TIERS, as_of=NOW)
    assert caught.value.faults == (
        f"{path}:2: tier: must be one of premium, business, free",
        f"{path}:3: customer_id: is empty",
        f"{path}:4: more cells than the header has columns",
    )


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("customer_id,email", "the column tier is missing"),
        ("customer_id,tier,tier", "the column tier stands twice"),
        ("customer_id,tier,mail", "the column mail is unknown"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, header, fault):
    path = tmp_path / "customers.csv"
    path.write_text(header + "\n")
    with pytest.raises(DirectoryError, match=fault):
        load(path, tiers=TIERS, as_of=NOW)


def test_an_export_in_another_encoding_says_what_to_do(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_bytes("customer_id,tier,name\nC-1,free,뷁\n".encode("cp949"))
    with pytest.raises(DirectoryError, match="CSV UTF-8"):
        load(path, tiers=TIERS, as_of=NOW)


def test_a_missing_file_is_a_fault(tmp_path):
    with pytest.raises(DirectoryError, match="cannot be read"):
        load(tmp_path / "none.csv", tiers=TIERS, as_of=NOW)


def test_the_shipped_sample_has_every_column():
    header = Path("config/customers.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.split(",") == list(COLUMNS)
