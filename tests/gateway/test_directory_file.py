import asyncio
import csv
import tempfile
from array import array
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory import encodings, rows, yaml_file
from gateway.directory.cells import COLUMNS
from gateway.directory.file import FileSource
from gateway.directory.in_order import InOrder
from gateway.directory.options import DirectoryError, FileOptions
from gateway.directory.table import MOST_FAULTS
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


def load(path: Path, encoding="utf-8") -> FileSource:
    return FileSource(FileOptions(path=path, encoding=encoding), tiers=TIERS, clock=lambda: NOW)


def opened(path, encoding="utf-8"):
    return InOrder([load(path, encoding)])


def faults(path: Path, encoding="utf-8") -> list[str]:
    """What is wrong with a file, without its path."""
    with pytest.raises(DirectoryError) as caught:
        load(path, encoding)
    return [fault.removeprefix(f"{path}:") for fault in caught.value.faults]


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text(ROWS, encoding="utf-8-sig")
    return opened(path)


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


def test_what_is_odd_is_noted_with_its_count(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text(ROWS + "C-6,Free,free,,,gmail.com,,\n", encoding="utf-8")
    assert load(path).notes == (
        f"{path}: addresses that name several customers, and so give no tier: 1",
        f"{path}: rows whose domain belongs to a free-mail provider, and so never matches: 1",
    )


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
        load(path)


def test_semicolons_are_named(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text("customer_id;tier;email\n")
    with pytest.raises(DirectoryError, match="semicolons"):
        load(path)


async def test_nobody_is_unknown(directory):
    assert (await directory.find([])).status == "unknown"
    assert (await directory.find([email("x@elsewhere.example")])).status == "unknown"


def test_every_fault_is_named_with_its_line(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,tier,email\nC-1,gold,a@b.example\n,free,c@d.example\nC-3,free,e@f.example,surplus\n")
    with pytest.raises(DirectoryError) as caught:
        load(path)
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
        load(path)


def test_an_export_in_another_encoding_says_what_to_do(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_bytes("customer_id,tier,name\nC-1,free,김민수\n".encode("cp949"))
    (fault,) = faults(path)
    assert fault.startswith("2: is not UTF-8: save it as 'CSV UTF-8', or set `encoding: cp949`")


async def test_a_korean_export_of_excel_is_read_where_the_settings_say_so(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_bytes("customer_id,tier,name,email\nC-1,free,김민수,a@b.example\n".encode("cp949"))
    found = await opened(path, "cp949").find([email("a@b.example")])
    assert found.customer.name == "김민수"


def test_bytes_of_no_known_encoding_are_not_called_korean(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_bytes(b"customer_id,tier\nC-1,free\n\xff\xff\n")
    assert faults(path) == ["3: is not UTF-8: save it as 'CSV UTF-8'"]


def test_utf_16_is_named(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_bytes("customer_id\ttier\n".encode("utf-16"))
    assert faults(path) == [" is UTF-16 (Excel: 'Unicode Text'): save it as 'CSV UTF-8'"]


@pytest.mark.parametrize("text", ["", "\n", ",,\n"])
def test_an_empty_file_is_no_directory(tmp_path, text):
    path = tmp_path / "customers.csv"
    path.write_text(text)
    assert faults(path) == ["1: is empty: the first line must name the columns, such as " + ",".join(COLUMNS[:5])]


def test_a_wholly_wrong_file_is_not_told_line_by_line(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,tier\n" + "C-1,gold\n" * (MOST_FAULTS + 50))
    told = faults(path)
    assert len(told) == MOST_FAULTS + 1
    assert told[-1] == " and more faults after these"


async def test_what_a_spreadsheet_leaves_behind_is_no_fault(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_bytes(b"customer_id, tier ,email,phone\r\n C-1 ,free, A@b.example ,\r\n,,,\r\n\r\nC-2,premium\r\n")
    directory = opened(path)
    assert (await directory.find([email("a@B.example")])).customer.customer_id == "C-1"
    assert (await directory.find([Address("customer_id", "C-2")])).customer.tier == "premium"


async def test_a_cell_may_have_line_breaks_and_commas(tmp_path):
    path = tmp_path / "customers.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [["customer_id", "tier", "name", "email"], ["C-1", "free", 'A\nB, "C"', "a@b.example"]]
        )
        csv.writer(file).writerow(["C-2", "premium", "", "c@d.example"])
    directory = opened(path)
    assert (await directory.find([email("a@b.example")])).customer.name == 'A\nB, "C"'
    assert (await directory.find([email("c@d.example")])).customer.customer_id == "C-2"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
async def test_lines_end_as_on_any_system(tmp_path, ending):
    path = tmp_path / "customers.csv"
    path.write_bytes(ending.join(["customer_id,tier,email", "C-1,free,a@b.example", ""]).encode())
    assert (await opened(path).find([email("a@b.example")])).status == "known"


@given(
    st.lists(
        st.tuples(st.sampled_from(["C-1", "C-2", "C-3"]), st.text(st.characters(codec="utf-8")), st.integers(0, 5)),
        max_size=12,
    ),
    st.sampled_from(["\n", "\r\n"]),
)
async def test_whatever_stands_in_the_cells_each_address_finds_its_rows(rows, ending):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator=ending, quoting=csv.QUOTE_ALL)
            writer.writerow(["customer_id", "tier", "name", "email"])
            writer.writerows([id, "free", name, f"a{number}@b.example"] for id, name, number in rows)
        directory = opened(path)
    for number in range(6):
        named = [(id, name.strip() or None) for id, name, other in rows if other == number]
        found = await directory.find([email(f"a{number}@b.example")])
        if len({id for id, _ in named}) > 1:
            assert found.status == "ambiguous"
        elif named:
            assert (found.customer.customer_id, found.customer.name) == named[0]
        else:
            assert found.status == "unknown"


EVERY = """\
customer_id,tier,email,domain,phone,twitter,slack_team,slack_user
C-1,premium,a@b.example,b.example,+82 10-1234-5678,@Acme,T1,U1
C-2,free,,,,123456,,
"""


@pytest.mark.parametrize(
    ("kind", "value", "customer"),
    [
        ("email", "a@b.example", "C-1"),
        ("email", "else@b.example", "C-1"),
        ("phone", "+821012345678", "C-1"),
        ("twitter", "acme", "C-1"),
        ("twitter", "@ACME", "C-1"),
        ("twitter", "123456", "C-2"),
        ("slack", "T1/U1", "C-1"),
        ("customer_id", "C-2", "C-2"),
        ("slack", "T2/U1", None),
        ("phone", "+12345678", None),
        ("phone", "12345678", None),
        ("domain", "b.example", None),
    ],
)
async def test_every_kind_of_address_matches_as_a_whole(tmp_path, kind, value, customer):
    path = tmp_path / "customers.csv"
    path.write_text(EVERY)
    found = await opened(path).find([Address(kind, value)])
    assert (found.customer.customer_id if found.customer else None) == customer


async def test_an_answer_of_a_file_needs_no_task_and_no_timer(directory):
    tasks = asyncio.all_tasks()
    coroutine = directory.find([email("minsu@acme.example")])
    with pytest.raises(StopIteration) as answered:
        coroutine.send(None)  # runs to its end without waiting for anything
    assert answered.value.value.status == "known"
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("bits", [0, 1])
async def test_addresses_whose_hashes_collide_are_told_apart(tmp_path, monkeypatch, bits):
    monkeypatch.setattr(rows, "_HASH", bits)
    path = tmp_path / "customers.csv"
    path.write_text(ROWS, encoding="utf-8")
    directory = opened(path)
    expected = {
        "minsu@acme.example": "C-1",
        "minsu.kim@acme.example": "C-1",
        "bob@initech.example": "C-3",
        "anyone@initech.example": "C-2",
        "nobody@b.example": None,
    }
    for address, customer in expected.items():
        found = await directory.find([email(address)])
        assert (found.customer.customer_id if found.customer else None) == customer
    assert (await directory.find([email("both@shared.example")])).status == "ambiguous"


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_entries_are_sorted_a_few_at_a_time(at_once, monkeypatch):
    monkeypatch.setattr(rows, "MOST_AT_ONCE", at_once)
    sizes, by_value = [], sorted

    def watched(entries):
        sizes.append(len(entries))
        return by_value(entries)

    monkeypatch.setattr(rows, "sorted", watched, raising=False)
    shared = [rows.pack("domain", "shared.example", number) for number in range(300)]
    entries = [rows.pack("customer_id", f"C-{number}", number) for number in range(300)] + shared
    assert list(rows.in_runs(array("Q", entries))) == by_value(entries)
    assert max(sizes) <= at_once


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
@pytest.mark.parametrize("size", [1, 2, 3, 1 << 20])
async def test_a_text_is_decoded_in_blocks_wherever_they_end(tmp_path, monkeypatch, encoding, size):
    monkeypatch.setattr(encodings, "BLOCK", size)
    path = tmp_path / "customers.csv"
    text = "customer_id,organization,tier,email\nC-1,에이컴 주식회사,premium,a@b.example\n"
    path.write_bytes(text.encode(encoding))
    found = await opened(path, encoding).find([email("a@b.example")])
    assert found.customer.organization == "에이컴 주식회사"
    path.write_bytes(text.encode(encoding) + b"C-2,\xff\xff,free,\n")
    assert faults(path, encoding)[0].startswith(f"3: is not {encoding.upper()}")
    path.write_bytes(text.encode(encoding) + "C-2,가".encode(encoding)[:-1])
    assert faults(path, encoding)[0].startswith(f"3: is not {encoding.upper()}")


async def test_many_customers_under_one_domain_are_ambiguous_and_found_at_once(tmp_path):
    path = tmp_path / "customers.csv"
    rows = "".join(f"C-{number},free,shared.example\n" for number in range(2000))
    path.write_text(f"customer_id,tier,domain\n{rows}")
    source = load(path)
    assert (await InOrder([source]).find([email("x@shared.example")])).status == "ambiguous"
    assert len(source) == 2000 + 2  # of the domain only as many rows are kept as show that it is ambiguous


def test_a_missing_file_is_a_fault(tmp_path):
    with pytest.raises(DirectoryError, match="cannot be read"):
        load(tmp_path / "none.csv")


def test_the_shipped_sample_has_every_column():
    header = Path("config/customers.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.split(",") == list(COLUMNS)


YAML = """\
customers:
  - customer_id: C-1
    tier: premium
    organization: Acme
    emails: [a@b.example, "c@d.example"]
    domains: [b.example]
    phones: +821012345678
    slack: [T1/U1, T1/U2]
  - {customer_id: 007, tier: free, twitter: acme}
"""


@pytest.mark.parametrize(
    ("kind", "value", "customer"),
    [
        ("email", "a@b.example", "C-1"),
        ("email", "c@d.example", "C-1"),
        ("email", "else@b.example", "C-1"),
        ("phone", "+821012345678", "C-1"),
        ("slack", "T1/U2", "C-1"),
        ("twitter", "acme", "007"),
    ],
)
async def test_yaml_names_a_customer_once_with_all_addresses(tmp_path, kind, value, customer):
    path = tmp_path / "customers.yaml"
    path.write_text(YAML)
    found = await opened(path).find([Address(kind, value)])
    assert (found.status, found.customer.customer_id) == ("known", customer)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("customers: [", ["1: cannot be read as YAML"]),
        ("", ["1: must be a mapping with the key customers"]),
        ("[]", ["1: must be a mapping with the key customers"]),
        ("customers: {a: b}", ["1: customers: must be a list"]),
        ("customers:\n- {customer_id: C-1, tier: gold}", ["2: tier: must be one of premium, business, free"]),
        ("customers:\n- {customer_id: C-1}", ["2: tier: is missing"]),
        ("customers:\n- {customer_id: C-1, tier: free, mail: a}", ["2: mail: unknown key; known here: "]),
        ("customers:\n- {customer_id: C-1, tier: free, tier: free}", ["2: tier: stands twice"]),
        ("customers:\n- {customer_id: C-1, tier: [free]}", ["2: tier: must be text"]),
        ("customers:\n- {customer_id: C-1, tier: free, phones: ['010']}", ["2: phone: must begin with +"]),
        (
            "customers:\n- {customer_id: C-1, tier: free}\n- {customer_id: C-1, tier: premium}",
            ["3: tier: this customer"],
        ),
    ],
)
def test_what_is_wrong_in_yaml_is_told_with_its_line(tmp_path, text, told):
    path = tmp_path / "customers.yml"
    path.write_text(text)
    found = faults(path)
    assert len(found) == len(told)
    assert all(fault.startswith(start) for fault, start in zip(found, told, strict=True)), found


def test_yaml_that_would_take_minutes_is_refused(tmp_path):
    path = tmp_path / "customers.yaml"
    path.write_bytes(b"#" * (yaml_file.MAX_BYTES + 1))
    assert "larger than 8 MiB: put so many customers into a CSV file" in faults(path)[0]


def test_aliases_do_not_make_much_of_little(tmp_path, monkeypatch):
    monkeypatch.setattr(yaml_file, "MAX_BYTES", 20_000)
    path = tmp_path / "customers.yaml"
    emails = ", ".join(f"a{number}@b.example" for number in range(100))
    customers = "\n".join(f"- {{customer_id: C-{number}, tier: free, emails: *all}}" for number in range(40))
    path.write_text(f"customers:\n- {{customer_id: C, tier: free, emails: &all [{emails}]}}\n{customers}\n")
    assert faults(path) == [" is too large with its aliases written out"]
