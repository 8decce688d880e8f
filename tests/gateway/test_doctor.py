"""The doctor looks at everything once, in bounded time, and says what to do."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from aiohttp import web

import gateway.doctor
from channels.email.adapter import EmailAdapter
from channels.testing_host import FakeHost
from gateway.doctor import CHECKS, checks, examine, ok
from gateway.doctor import queue as queue_check
from gateway.queue.depths import Depths
from gateway.queue.entry import QueueUnavailable
from gateway.queue.spool.spool import open_spool
from gateway.settings import load
from tests.gateway.publishing import entry
from tests.support import free_port

CONFIG = """\
http: {{port: {port}{public}}}
queue: {{url: "{queue}"}}
spool: {{dir: "{folder}/spool", max_bytes: 1MiB, min_free: 1MiB}}
objects: {{url: "file://{folder}/objects"}}
directory: [{{type: file, path: "{folder}/customers.csv"}}]
channels: {{contact: {{type: web_form}}}}
"""


class Scene:
    """A configuration that is changed, and looked at by one check."""

    def __init__(self, folder: Path, queue: str) -> None:
        self.folder, self.queue, self.port, self.public, self.more = folder, queue, free_port(), "", ""
        (folder / "customers.csv").write_text("customer_id,tier,email\nC-1,premium,minsu@acme.example\n")

    def settings(self):
        """As they are read from the file."""
        file = self.folder / "gateway.yaml"
        public = f', public_url: "{self.public}"' if self.public else ""
        text = CONFIG.format(port=self.port, public=public, queue=self.queue, folder=self.folder)
        file.write_text(text + self.more, encoding="utf-8")
        return load(file, environ={})

    async def look(self, name):
        """What one check says: level and words."""
        (diagnosis,) = await examine(self.settings(), {name: checks()[name]})
        assert all(bool(one.remedy) is (one.level != "ok") for one in diagnosis.findings)
        return [(one.level, one.what) for one in diagnosis.findings]


@pytest.fixture
def scene(tmp_path, valkey_url, redis):
    return Scene(tmp_path, valkey_url)


@asynccontextmanager
async def serving(port, routes, tls=None):
    """A small web server."""
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield
    finally:
        await runner.cleanup()


def says(status=200, body=None, location=None):
    async def handler(_):
        return web.json_response(body, status=status, headers={"Location": location} if location else None)

    return handler


def test_every_module_with_a_check_is_asked():
    folder = Path(gateway.doctor.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "async def check(" in path.read_text(encoding="utf-8")}
    assert modules - {"__init__"} == set(CHECKS)
    assert set(checks()) == set(CHECKS)


async def test_one_check_that_fails_or_hangs_keeps_no_other_from_its_answer(scene):
    async def sound(_):
        return [ok("well")]

    async def hangs(_):
        await asyncio.Event().wait()

    async def bug(_):
        raise KeyError("secret")

    async def away(_):
        raise QueueUnavailable("ConnectionError")

    looks = {"a": (hangs, 0.01), "b": (bug, 1.0), "c": (away, 1.0), "d": (sound, 1.0)}
    found = {one.check: one for one in await examine(scene.settings(), looks)}
    assert [found[name].findings[0].level for name in "abcd"] == ["failing", "failing", "failing", "ok"]
    assert [found[name].queue_down for name in "abcd"] == [False, False, True, False]
    assert "secret" not in str(found["b"])


async def test_a_queue_that_is_well(scene):
    said = await scene.look("queue")
    assert said[0] == ("ok", f"{scene.queue} answers")
    assert all(level == "ok" or "once a second" in what for level, what in said)  # the tests' server is a fast one


async def test_a_queue_that_is_away_is_down(scene):
    scene.queue = f"redis://127.0.0.1:{free_port()}"
    (found,) = await examine(scene.settings(), {"queue": checks()["queue"]})
    assert found.queue_down
    assert found.findings[0].level == "failing"


async def test_a_queue_that_takes_no_write_fails(scene, redis):
    user = ("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", "-xadd")
    await redis.execute_command(*user)
    scene.queue = scene.queue.replace("redis://", "redis://reader:pw@")
    said = await scene.look("queue")
    await redis.execute_command("ACL", "DELUSER", "reader")
    assert ("failing", "it takes no write (NOPERM)") in said
    assert "pw" not in str(said)


async def test_a_queue_that_refuses_the_login_is_told_so(scene, redis):
    await redis.execute_command("ACL", "SETUSER", "gate", "on", ">right", "~*", "+@all")
    scene.queue = scene.queue.replace("redis://", "redis://gate:wrong@")
    (found,) = await examine(scene.settings(), {"queue": checks()["queue"]})
    await redis.execute_command("ACL", "DELUSER", "gate")
    assert found.queue_down
    assert found.findings[0].what.startswith("the queue refuses the login (")
    assert found.findings[0].remedy == "mend user and password in queue.url"


@pytest.mark.parametrize(
    ("used", "most", "level", "said"),
    [
        (2_500_000, 0, "ok", "2.5 MB of memory in use, without a limit of the server's own"),
        (1, 2, "ok", "50% of its memory in use"),
        (900, 1_000, "warning", "90% of its memory in use: 900 B of 1.0 kB"),
        (2_500_000, 1, "failing", "more than all of its memory in use: 2.5 MB of 1 B"),
    ],
)
def test_memory_is_told_beside_its_limit(used, most, level, said):
    depths = Depths(
        streams=(),
        dead_letters=0,
        oldest_dead_letter_seconds=None,
        seen_marks=0,
        memory_bytes=used,
        memory_max_bytes=most,
    )
    (found,) = queue_check._memory(depths)
    assert (found.level, found.what) == (level, said)


async def test_streams_over_the_bound_without_readers_and_dead_letters_are_told(scene, redis):
    for _ in range(3):
        await redis.xadd("{tickets}:free", {"a": "b"})
    await redis.xadd("{tickets}:premium", {"a": "b"})
    await redis.xgroup_create("{tickets}:free", "core", id="0")
    await redis.xadd("{tickets}:dead", {"id": "x"})
    scene.queue += '", stream_bound: 2, prefix: "tickets'
    said = await scene.look("queue")
    assert ("warning", "the stream of free has 3 entries, over queue.stream_bound") in said
    assert ("warning", "nobody reads the stream of premium: it has no consumer group, and is never trimmed") in said
    assert ("warning", "1 dead letters") in said


@pytest.mark.parametrize("check", ["spool", "objects"])
async def test_a_folder_that_is_not_there_yet_is_well_where_it_can_be_made(scene, check, tmp_path):
    ((level, _),) = await scene.look(check)
    assert level == "ok"
    assert not (tmp_path / check).exists()


@pytest.mark.parametrize("check", ["spool", "objects"])
async def test_a_folder_nobody_can_write_to_fails(scene, check, tmp_path):
    (tmp_path / check).write_text("in the way")
    ((level, what),) = await scene.look(check)
    assert level == "failing"
    assert "it is not a folder" in what


async def test_a_disk_without_room_is_told(scene, monkeypatch):
    for room, level in ((2**20 - 1, "failing"), (2**21 - 1, "warning"), (2**21, "ok")):
        monkeypatch.setattr("gateway.doctor.disks.free", lambda _, room=room: room)
        assert (await scene.look("spool"))[-1][0] == level
    assert (await scene.look("objects"))[0][0] == "warning"


async def test_what_waits_in_the_spool_is_told(scene, tmp_path):
    async with open_spool(tmp_path / "spool") as spool:
        await spool.append([entry("a"), entry("b")])
        said = await scene.look("spool")
    assert said[-1][0] == "warning"
    assert said[-1][1].startswith("2 messages wait")


async def test_a_spool_that_is_full_fails(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.doctor.spool.spooled", lambda _: (2, 2**20, None))
    said = await scene.look("spool")
    full = "it is full, 1.0 MB of 1.0 MB: while the queue is away senders are turned away"
    assert said[-2:] == [("failing", full), ("warning", "2 messages wait")]
    monkeypatch.setattr("gateway.doctor.spool.spooled", lambda _: (2, 2**20 - 1, None))
    assert "failing" not in [level for level, _ in await scene.look("spool")]


async def test_a_spool_file_that_is_no_spool_fails(scene, tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "spool-7.sqlite3").write_bytes(b"nonsense" * 1000)
    assert (await scene.look("spool"))[-1] == ("failing", "a spool file cannot be read (DatabaseError)")


async def test_a_directory_says_how_many_it_knows_and_whom_it_doubts(scene, tmp_path):
    assert await scene.look("directory") == [("ok", "the source 'file' has 2 addresses")]  # and one by its id
    with (tmp_path / "customers.csv").open("a") as file:
        file.write("C-2,free,minsu@acme.example\n")
    said = await scene.look("directory")
    assert [level for level, _ in said] == ["ok", "warning"]


async def test_a_directory_that_does_not_load_fails_with_its_lines(scene, tmp_path):
    (tmp_path / "customers.csv").write_text("customer_id,tier,email\nC-1,gold,a@acme.example\n")
    ((level, what),) = await scene.look("directory")
    assert level == "failing"
    assert "customers.csv:2" in what


async def test_a_directory_that_does_not_answer_is_told(scene):
    scene.folder.joinpath("customers.csv").unlink()
    away = f"redis://127.0.0.1:{free_port()}"
    settings = scene.settings().model_copy(update={"directory": _sources(scene, scene.queue, away)})
    (found,) = await examine(settings, {"directory": checks()["directory"]})
    said = [(one.level, one.what) for one in found.findings]
    assert said == [("ok", "the source 'well' answers"), ("warning", "the source 'redis' gives no answer")]


async def test_a_directory_that_is_asked_in_the_clear_is_told(scene):
    file = scene.folder / "other.yaml"
    file.write_text(f"directory: [{{type: http, url: 'http://gateway.invalid:{free_port()}/{{value}}'}}]\n")
    (found,) = await examine(load(file, environ={}), {"directory": checks()["directory"]})
    (remedy,) = [one.remedy for one in found.findings if "in the clear" in one.what]
    assert remedy == "let its url begin with https://"


def _sources(scene, well, away):
    file = scene.folder / "other.yaml"
    text = f'directory: [{{type: redis, name: well, url: "{well}"}}, {{type: redis, url: "{away}"}}]\n'
    file.write_text(text, encoding="utf-8")
    return load(file, environ={}).directory


async def test_development_secrets_and_inboxes_switched_off_are_told(scene):
    assert await scene.look("credentials") == [("ok", "no inbox has a secret that everybody knows")]
    file = scene.folder / "gateway.yaml"
    text = file.read_text().replace(
        "contact: {type: web_form}",
        "slack: {type: chat, signing_secrets: [own-secret, development-only-slack]}, "
        "off: {type: web_form, enabled: false}",
    )
    file.write_text(text)
    (found,) = await examine(load(file, environ={}), {"credentials": checks()["credentials"]})
    assert [(one.level, one.what) for one in found.findings] == [
        ("warning", "slack (chat) has a development secret everybody knows: signing_secrets.1"),
        ("ok", "off (web_form) is switched off"),
    ]


@pytest.mark.parametrize(
    ("status", "body", "level", "words"),
    [
        (200, {"status": "ok", "checks": {"queue": "ok"}}, "ok", "is ready"),
        (503, {"status": "failing", "checks": {"queue": "away"}}, "failing", "is not ready: queue away"),
        (404, {}, "failing", "another program answers"),
    ],
)
async def test_a_gateway_that_runs_says_how_it_is(scene, status, body, level, words):
    async with serving(scene.port, {"/readyz": says(status, body)}):
        ((graded, what),) = await scene.look("listening")
    assert graded == level
    assert words in what


async def test_a_gateway_that_does_not_run_is_no_failure(scene):
    ((level, what),) = await scene.look("listening")
    assert level == "warning"
    assert what == f"no gateway runs at http://127.0.0.1:{scene.port} (Connection refused)"


@pytest.mark.parametrize(("greeting", "level"), [(b"220 mail.gateway ESMTP\r\n", "ok"), (b"SSH-2.0\r\n", "failing")])
async def test_an_inbox_with_a_port_of_its_own_has_to_greet(scene, greeting, level):
    async def greet(reader, writer):
        writer.write(greeting)
        await reader.read()
        writer.close()

    port = free_port()
    scene.settings()
    text = (scene.folder / "gateway.yaml").read_text()
    mail = f'support: {{type: email, listen: "127.0.0.1:{port}", recipients: [a@b.example]}}'
    (scene.folder / "gateway.yaml").write_text(text.replace("contact: {type: web_form}", mail))
    settings = load(scene.folder / "gateway.yaml", environ={})
    look = {"listening": checks()["listening"]}
    (away,) = await examine(settings, look)
    async with await asyncio.start_server(greet, "127.0.0.1", port):
        (found,) = await examine(settings, look)
    assert (away.findings[1].level, found.findings[1].level) == ("warning", level)


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        (says(200, {"status": "ok"}), "ok", "leads here"),
        (says(200, {"hello": "world"}), "failing", "something else (HTTP 200)"),
        (says(502, {}), "failing", "something else (HTTP 502)"),
        (says(302, {}, "https://elsewhere.example/"), "failing", "redirects elsewhere"),
    ],
)
async def test_the_public_url_has_to_lead_here(scene, answer, level, words):
    async with serving(scene.port, {"/livez": answer}):
        ((graded, what),) = await scene.look("public_url")
    assert graded == level
    assert words in what
    assert "elsewhere.example" not in what


async def test_a_public_url_of_this_machine_is_waited_for_and_a_foreign_one_has_failed(scene, monkeypatch):
    assert (await scene.look("public_url"))[0][0] == "warning"
    monkeypatch.setattr("gateway.settings.development.is_loopback", lambda host: False)
    assert (await scene.look("public_url"))[0][0] == "failing"


@pytest.fixture
def authority(monkeypatch, tmp_path):
    """An authority this machine trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


@pytest.mark.parametrize(
    ("days", "level", "words"), [(90.5, "ok", "good for 90 days"), (5.5, "warning", "ends in 5 days")]
)
async def test_a_certificate_is_good_until_shortly_before_its_end(scene, authority, days, level, words):
    await tls(
        scene, authority.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=days)), level, words
    )


async def test_a_certificate_nobody_signed_fails(scene, authority):
    await tls(scene, trustme.CA().issue_cert("localhost"), "failing", "is not trusted")


async def test_a_certificate_of_somebody_else_fails(scene, authority):
    await tls(scene, authority.issue_cert("elsewhere.example"), "failing", "is not trusted")


async def tls(scene, certificate, level, words):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    scene.public = f"https://localhost:{scene.port}"
    async with serving(scene.port, {}, context):
        ((graded, what),) = await scene.look("tls")
    assert graded == level
    assert words in what


MAIL = 'channels: {support: {type: email, listen: "%s", recipients: [a@b.example], hostname: mx.b.example%s}}'


@pytest.mark.parametrize(
    ("name", "days", "found"),
    [
        ("mx.b.example", 90.5, ["ok: the mail certificate of inbox support is good for 90 days"]),
        ("*.b.example", 5.5, ["warning: the mail certificate of inbox support ends in 5 days"]),
        ("mx.b.example", -0.5, ["failing: the mail certificate of inbox support has ended"]),
        (
            "mx.c.example",
            90.5,
            [
                "ok: the mail certificate of inbox support is good for 90 days",
                "warning: the mail certificate of inbox support is not for its hostname, mx.b.example",
            ],
        ),
    ],
)
async def test_the_certificate_of_mail_is_looked_at_on_disk(scene, monkeypatch, name, days, found):
    began = datetime.now(UTC) + timedelta(days=days - 300)
    pair = trustme.CA().issue_cert(name, not_before=began, not_after=began + timedelta(days=300))
    assert await mail_tls(scene, monkeypatch, pair, pair.private_key_pem) == found


async def test_a_certificate_of_mail_and_its_key_have_to_belong_together(scene, monkeypatch):
    authority = trustme.CA()
    other = authority.issue_cert("mx.b.example").private_key_pem
    found = await mail_tls(scene, monkeypatch, authority.issue_cert("mx.b.example"), other)
    assert found == ["failing: inbox support: tls.certificate and tls.key do not belong together"]


async def mail_tls(scene, monkeypatch, pair, key):
    """What is said of it, besides the public URL."""
    (scene.folder / "mail.pem").write_bytes(pair.cert_chain_pems[0].bytes())
    (scene.folder / "mail.key").write_bytes(key.bytes())
    tls = f", tls: {{certificate: {scene.folder}/mail.pem, key: {scene.folder}/mail.key}}"
    monkeypatch.setattr("tests.gateway.test_doctor.CONFIG", in_place_of_the_form(MAIL % ("0.0.0.0:2525", tls)))
    _, *found = await scene.look("tls")
    return [f"{level}: {what}" for level, what in found]


def in_place_of_the_form(channels):
    return CONFIG.replace("channels: {{contact: {{type: web_form}}}}", channels.replace("{", "{{").replace("}", "}}"))


@pytest.mark.parametrize(("listen", "said"), [("127.0.0.1:2525", []), ("0.0.0.0:2525", ["warning"])])
async def test_mail_without_tls_is_told_where_it_comes_from_beyond_this_machine(scene, monkeypatch, listen, said):
    monkeypatch.setattr("tests.gateway.test_doctor.CONFIG", in_place_of_the_form(MAIL % (listen, "")))
    assert [level for level, _ in (await scene.look("tls"))[1:]] == said


async def test_an_inbox_greets_through_its_tls_and_to_its_balancers(scene, monkeypatch):
    pair = trustme.CA().issue_cert("mx.b.example")
    (scene.folder / "mail.pem").write_bytes(pair.private_key_and_cert_chain_pem.bytes())
    files = f"certificate: {scene.folder}/mail.pem, key: {scene.folder}/mail.pem, mode: implicit"
    listen, more = f"127.0.0.1:{free_port()}", f", tls: {{{files}}}, proxy_protocol_from: [127.0.0.1]"
    monkeypatch.setattr("tests.gateway.test_doctor.CONFIG", in_place_of_the_form(MAIL % (listen, more)))
    inbox = EmailAdapter(scene.settings().channels["support"], FakeHost("support"))
    async with inbox.lifespan():
        _, (level, what) = await scene.look("listening")
    assert (level, what) == ("ok", f"inbox support greets at {listen}")


async def test_a_public_url_without_tls_is_told_unless_nobody_else_reaches_it(scene):
    assert (await scene.look("tls"))[0][0] == "ok"
    scene.public = "http://support.example.com"
    assert (await scene.look("tls"))[0][0] == "warning"
    scene.public = f"https://localhost:{free_port()}"
    assert (await scene.look("tls"))[0][0] == "warning"
