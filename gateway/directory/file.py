"""Customers from a CSV file, held in memory: exact address first, then mail domain."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from gateway.directory.lookup import UNKNOWN, Customer, Lookup
from normalizers.message import Address, Related
from normalizers.text import find_email

COLUMNS = (
    "customer_id,organization,tier,name,email,domain,phone,twitter,"
    "slack_team,slack_user,salesforce_account,salesforce_opportunity"
).split(",")
_NOT_DIGITS = re.compile(r"\D")
_REQUIRED = {"customer_id", "tier"}


class DirectoryError(Exception):
    """The file cannot be used; one line per fault, as `file:line: column: what is wrong`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class FileDirectory:
    """An index of one CSV file; two different customers for one address are ambiguous, never a guess."""

    def __init__(self, rows: Iterable[tuple[Address, Customer]], *, source: str, as_of: datetime) -> None:
        index: dict[Address, Lookup] = {}
        self.ambiguous: set[Address] = set()
        """Addresses that name several customers: nobody gets a tier by them."""
        for address, customer in rows:
            here = index.get(address)
            if here is None or (here.customer and here.customer.customer_id == customer.customer_id):
                known = Lookup(status="known", customer=customer, matched=address, source=source, as_of=as_of)
                index.setdefault(address, known)
            else:
                self.ambiguous.add(address)
                index[address] = Lookup(status="ambiguous", matched=address, source=source, as_of=as_of)
        self._index: Mapping[Address, Lookup] = index

    async def find(self, addresses: Sequence[Address], /) -> Lookup:
        """The first address that is known as it stands, else the first whose mail domain is."""
        for address in addresses:
            if (found := self._index.get(address)) is not None:
                return found
        for address in addresses:
            mailbox, _, domain = address.value.rpartition("@")
            if address.kind == "email" and mailbox and (found := self._index.get(Address("domain", domain))):
                return found
        return UNKNOWN

    def __len__(self) -> int:
        return len(self._index)


def load(path: Path, *, tiers: Collection[str], as_of: datetime) -> FileDirectory:
    """Read `path` (UTF-8, with or without a byte order mark). Raises DirectoryError with every fault."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DirectoryError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise DirectoryError([f"{path}: is not UTF-8 (Excel: save as 'CSV UTF-8'): {error.reason}"]) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    faults = _header_faults(path, reader.fieldnames or ())
    if faults:
        raise DirectoryError(faults)
    rows: list[tuple[Address, Customer]] = []
    tier_of: dict[str, str] = {}
    for row in _read(reader, path):
        where = f"{path}:{reader.line_num}"
        if "" in row:
            faults.append(f"{where}: more cells than the header has columns")
            continue
        cells = {column: (row.get(column) or "").strip() for column in COLUMNS}
        if cells["email"] and find_email(cells["email"]) is None:
            faults.append(f"{where}: email: is not one address")
        if tier_of.setdefault(cells["customer_id"], cells["tier"]) != cells["tier"]:
            faults.append(f"{where}: tier: this customer has another tier in an earlier line")
        if cells["tier"] not in tiers:
            faults.append(f"{where}: tier: must be one of {', '.join(tiers)}")
        if not cells["customer_id"]:
            faults.append(f"{where}: customer_id: is empty")
        if cells["phone"] and not cells["phone"].startswith("+"):
            faults.append(f"{where}: phone: must begin with + and the country code (E.164), such as +821012345678")
        if bool(cells["slack_team"]) != bool(cells["slack_user"]):
            faults.append(f"{where}: slack_team and slack_user only mean something together")
        customer = _customer(cells)
        rows.extend((address, customer) for address in _addresses(cells))
    if faults:
        raise DirectoryError(faults)
    return FileDirectory(rows, source="file", as_of=as_of)


def _read(reader: "csv.DictReader[str]", path: Path) -> Iterable[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise DirectoryError([f"{path}:{reader.line_num}: cannot be read as CSV: {error}"]) from error


def _header_faults(path: Path, header: Sequence[str]) -> list[str]:
    if len(header) == 1 and ";" in header[0]:
        return [f"{path}:1: the columns are separated by semicolons: save the file with commas"]
    faults = [f"{path}:1: the column {name} is missing" for name in sorted(_REQUIRED - set(header))]
    faults += [f"{path}:1: the column {name} is unknown" for name in header if name not in COLUMNS]
    faults += [f"{path}:1: the column {name} stands twice" for name in COLUMNS if list(header).count(name) > 1]
    return faults


def _customer(cells: Mapping[str, str]) -> Customer:
    related = [
        Related(system="salesforce", type=kind, id=cells[column])
        for kind, column in (("Account", "salesforce_account"), ("Opportunity", "salesforce_opportunity"))
        if cells[column]
    ]
    return Customer(
        customer_id=cells["customer_id"],
        tier=cells["tier"],
        organization=cells["organization"] or None,
        name=cells["name"] or None,
        related=tuple(related),
    )


def _addresses(cells: Mapping[str, str]) -> Iterable[Address]:
    for kind in ("email", "domain", "twitter"):
        if cells[kind]:
            yield Address(kind, (find_email(cells[kind]) or cells[kind]).lower().removeprefix("@"))
    if cells["phone"]:
        yield Address("phone", "+" + _NOT_DIGITS.sub("", cells["phone"]))
    if cells["slack_user"]:
        yield Address("slack", f"{cells['slack_team']}/{cells['slack_user']}")
