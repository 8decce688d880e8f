import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession

from gateway.directory.build import open_directory, prepare
from gateway.directory.file import FileSource
from gateway.directory.in_order import InOrder
from gateway.directory.lookup import UNKNOWN, Lookup
from gateway.directory.options import (
    DirectoryError,
    FileOptions,
    HttpOptions,
    Limits,
    RedisOptions,
    SalesforceOptions,
    SourceOptions,
    TierNames,
)
from gateway.settings import ConfigError, load
from normalizers.message import Address
from tests.support import free_port, until

NAMES = TierNames(order=("premium", "business", "free"), default="free")
ENVIRON = {"CRM_TOKEN": "t0ken", "SALESFORCE_CLIENT_ID": "id", "SALESFORCE_CLIENT_SECRET": "s3cret"}
DOCUMENT = Path("docs/directory.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
SAMPLE = FileOptions(path=Path("config/customers.csv"))
AWAY = HttpOptions(url="http://127.0.0.1:9/{value}")


@pytest.fixture
def settings(tmp_path):
    """The settings a text says."""

    def settings(text):
        path = tmp_path / "gateway.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, environ=ENVIRON)

    return settings


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.startswith("directory:")])
async def test_every_example_of_the_document_works(settings, block):
    given = settings(block)
    names = TierNames(order=given.tiers.order, default=given.tiers.default)
    prepared = prepare([source.options() for source in given.directory], names)
    async with open_directory(prepared) as directory:
        assert isinstance(directory, InOrder)


async def test_the_yaml_of_the_document_is_a_directory(tmp_path):
    (block,) = [block for block in BLOCKS if block.startswith("customers:")]
    path = tmp_path / "customers.yaml"
    path.write_text(block)
    directory = InOrder([FileSource(FileOptions(path=path), tiers=NAMES.order)])
    for kind, value in (
        ("email", "minsu.kim@acme.example"),
        ("slack", "T0ACME001/U0MINSU01"),
        ("phone", "+821012345678"),
    ):
        assert (await directory.find([Address(kind, value)])).status == "known"


def test_what_the_document_says_of_defaults_is_so(settings):
    given = settings("{}").lookup
    assert (given.budget, given.fresh) == (timedelta(milliseconds=500), timedelta(minutes=15))
    assert (given.stale, given.negative, given.entries) == (timedelta(hours=24), timedelta(seconds=60), 50_000)
    assert given.limits() == Limits()


async def test_commented_options_of_the_document_are_options(settings):
    for block in BLOCKS:
        if block.startswith("directory:"):
            assert settings(re.sub(r"^(\s*)#", r"\1", block, flags=re.MULTILINE)).directory


def test_sources_are_named_by_their_type_or_as_they_are_told():
    named = prepare([SAMPLE, SAMPLE, AWAY, HttpOptions(url=AWAY.url, name="crm")], NAMES).named
    assert [name for name, _ in named] == ["file", "file-2", "http", "crm"]


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    with pytest.raises(DirectoryError) as caught:
        prepare(
            [
                FileOptions(path=tmp_path / "none.csv"),
                RedisOptions(url="redis://127.0.0.1/?s3cret=1", name="crm", tiers={"gold": "best"}),
                HttpOptions(url=AWAY.url, name="crm", records="a[", fields={"tier": "(("}),
                SalesforceOptions(
                    instance_url="https://a.example", client_id="id", client_secrets=("s3cret",), tier_field="A B"
                ),
            ],
            NAMES,
        )
    assert caught.value.faults == (
        f"{tmp_path}/none.csv: cannot be read: No such file or directory",
        "directory.1.tiers.gold: must be one of tiers.order: premium, business, free",
        "directory.1.url: a part or an option of the URL is not known",
        "directory.2.name: 'crm' is the name of an earlier source",
        "directory.2.records: is not a JMESPath expression",
        "directory.2.fields.tier: is not a JMESPath expression",
        "directory.3.A B: is not the API name of a field",
    )


async def test_a_customer_of_the_file_is_found_while_everything_else_is_away():
    sources: list[SourceOptions] = [SAMPLE, AWAY, RedisOptions(url=f"redis://127.0.0.1:{free_port()}")]
    async with open_directory(prepare(sources, NAMES)) as directory:
        assert (await directory.find([Address("email", "minsu@acme.example")])).source == "file"
        assert (await directory.find([Address("email", "nobody@else.example")])).status == "failed"


async def test_a_probe_says_which_source_is_well(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text("customer_id,tier\nC-1,free\n")
    prepared = prepare([SAMPLE, FileOptions(path=path, refresh=0.01), AWAY], NAMES)
    async with open_directory(prepared) as directory:
        assert await directory.probe() == {"file": True, "file-2": True, "http": False}
        path.unlink()
        await until(lambda: prepared.files[1].down)
        assert (await directory.probe())["file-2"] is False


async def test_a_probe_holds_no_slow_source_against_another():
    class Slow:
        name, down = "slow", False

        async def find(self, question, deadline, /):
            clock = asyncio.get_running_loop()
            await asyncio.sleep(deadline - clock.time())
            return Lookup(status="failed")

    class Quick(Slow):
        name = "quick"

        async def find(self, question, deadline, /):
            return UNKNOWN if asyncio.get_running_loop().time() < deadline else Lookup(status="failed")

    assert await InOrder([Slow(), Quick()], budget=5).probe(within=0.01) == {"slow": False, "quick": True}


@pytest.mark.parametrize(
    ("url", "noted"),
    [("http://crm.example/{value}", True), ("https://crm.example/{value}", False), ("http://127.0.0.1/{value}", False)],
)
def test_addresses_that_cross_a_network_in_the_clear_are_noted(settings, url, noted):
    (source,) = settings(f"directory: [{{type: http, url: '{url}'}}]").directory
    told = ["directory.0.url: addresses of customers cross the network in the clear"] if noted else []
    prepared = prepare([source.options()], NAMES)
    assert (prepared.notes, prepared.exposed) == (told, told)


def test_a_token_may_go_in_the_clear_where_nobody_else_reads_it(settings):
    assert settings("directory: [{type: http, url: 'http://localhost:81/{value}', tokens: [t0ken]}]").directory


async def test_without_sources_nobody_is_known():
    async with open_directory(prepare([], NAMES)) as directory:
        assert (await directory.find([Address("email", "minsu@acme.example")])).status == "unknown"


@pytest.mark.parametrize(("sources", "sessions"), [([SAMPLE], 0), ([AWAY, AWAY], 1)])
async def test_there_is_one_session_where_there_must_be_any_and_it_is_closed(monkeypatch, sources, sessions):
    opened = []
    begin = ClientSession.__aenter__

    async def enter(self):
        opened.append(self)
        return await begin(self)

    monkeypatch.setattr(ClientSession, "__aenter__", enter)
    async with open_directory(prepare(sources, NAMES)):
        assert len(opened) == sessions
    assert all(session.closed for session in opened)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("type: http, url: 'https://a.example/customers'", "url: must be a URL with {value} behind the host"),
        ("type: http, url: 'https://{value}.example/'", "url: must be a URL with {value} behind the host"),
        ("type: http, url: 'ftp://a.example/{value}'", "url: must be a URL with {value} behind the host"),
        ("type: http, url: 'https://u:p@a.example/{value}'", "url: must be a URL with {value} behind the host"),
        ("type: http, url: 'https://a.example/{id}/{value}'", "url: knows the placeholders {value} and {kind}"),
        (
            "type: http, url: 'http://a.example/{value}', tokens: [t0ken]",
            "tokens: would cross the network in the clear: url must begin with https://",
        ),
        ("type: http, url: 'https://a.example/{value}', header: 'X Y'", "header: must be the name of a header"),
        ("type: http, url: 'https://a.example/{value}', fields: {plan: a}", "fields.plan: must be 'customer_id'"),
        ("type: file, path: a.csv, encoding: latin1", "encoding: must be 'utf-8' or 'cp949'"),
        ("type: file, path: a.csv, name: A B", "name: must be a-z, 0-9, _ and -"),
        ("type: redis, url: 'redis://a', fields: {email: a}", "fields.email: must be 'customer_id'"),
        (
            "type: salesforce, instance_url: 'http://a.example', client_id: i, client_secrets: [s]",
            "instance_url: must begin with https://",
        ),
        (
            "type: salesforce, instance_url: 'https://a.example', client_id: i, client_secrets: [s], tier_field: a b",
            "tier_field: must be the API name of a field",
        ),
    ],
)
def test_a_wrong_setting_is_told_where_it_stands(settings, source, fault):
    with pytest.raises(ConfigError, match=re.escape(f"directory.0.{fault}")):
        settings(f"directory: [{{{source}}}]")


def test_no_secret_of_the_settings_is_shown(settings):
    text = "\n".join(
        ["directory:", *re.findall(r"^  - type: (?:http|salesforce)\n(?:    .*\n)*", DOCUMENT, re.MULTILINE)]
    )
    given = settings(text)
    assert len(given.directory) == 2
    for shown in (repr(given), repr([source.options() for source in given.directory])):
        assert "t0ken" not in shown
        assert "s3cret" not in shown
