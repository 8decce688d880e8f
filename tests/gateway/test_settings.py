import re
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import AfterValidator, Field, ValidationError

from channels.api import ChannelSettings
from channels.email.authentication.settings import AuthenticationSettings
from channels.email.imap.settings import ImapSettings
from channels.email.settings import EmailSettings
from channels.email.webhooks.settings import WebhookSettings
from channels.planned import PLANNED
from channels.registry import BUILT_IN, settings_class
from gateway.settings import ConfigError, ConfigProblem, Settings, load, not_in_use
from normalizers.message import Proof

CONFIG = Path(__file__).parents[2] / "config"


def _quoting(value: str) -> str:
    if value != "open sesame":
        raise ValueError(f"{value!r} is not the word")
    return value


class DoorSettings(ChannelSettings):
    type: Literal["door"]
    listen: str = "127.0.0.1:2525"
    languages: Annotated[tuple[str, ...], Field(min_length=1)] = ("en",)
    word: Annotated[str, AfterValidator(_quoting)] = "open sesame"
    token: Annotated[str, AfterValidator(_quoting)] = "open sesame"


def door_or_planned(name: str) -> type[ChannelSettings]:
    known: dict[str, type[ChannelSettings]] = {"door": DoorSettings, **PLANNED}
    for ours in ("api", "chat", "email", "twitter"):
        known[ours] = settings_class(ours)
    if name not in known:
        raise LookupError(f"no channel named {name!r}; there are: door")
    return known[name]


Read = Callable[..., Settings]
Errors = Callable[..., list[str]]


@pytest.fixture
def settings(tmp_path) -> Read:
    def parse(text: str, **environ: str) -> Settings:
        path = tmp_path / "gateway.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return load(path, environ=environ, channel_settings=door_or_planned)

    return parse


@pytest.fixture
def errors(settings, tmp_path) -> Errors:
    """What is wrong with a YAML text, as `line:column: key: …`."""

    def parse(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            settings(text, **environ)
        return [str(error).removeprefix(f"{tmp_path}/gateway.yaml:") for error in caught.value.errors]

    return parse


def test_an_empty_file_is_a_working_gateway(settings):
    found = settings("")
    assert (found.http.host, found.http.port, found.http.public_url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert (found.queue.url, found.queue.prefix, found.queue.dedupe_window) == (
        "embedded",
        "tickets",
        timedelta(days=7),
    )
    assert found.tiers.order == ("premium", "business", "free")
    assert found.tiers.minimum_proof == {"premium": Proof.CLAIMED, "business": Proof.CLAIMED}
    assert found.channels == {}


def test_a_section_whose_lines_are_commented_out_is_absent(settings):
    assert settings("http:\nchannels:\nrules:\n").http.port == 8080


def test_what_the_environment_brings_is_converted(settings):
    text = """
        http: {port: "${PORT}", max_header: "${BODY}"}
        queue: {dedupe_window: "${WINDOW}"}
        channels: {front: {type: door, enabled: "${ON}"}}
    """
    found = settings(text, PORT="9000", BODY="2MiB", WINDOW="90s", ON="no")
    assert (found.http.port, found.http.max_header) == (9000, 2 * 2**20)
    assert found.queue.dedupe_window == timedelta(seconds=90)
    assert found.channels["front"].enabled is False


def test_public_url_follows_the_listener_where_it_is_empty(settings):
    def public_url(text: str) -> str:
        return str(settings(f"http: {{{text}}}").http.public_url)

    assert public_url("port: 9000") == "http://127.0.0.1:9000"
    assert public_url('host: 0.0.0.0, public_url: "${GONE:-}"') == "http://127.0.0.1:8080"
    assert public_url('host: "::1"') == "http://[::1]:8080"
    assert public_url('public_url: "https://support.example.com/desk/"') == "https://support.example.com/desk"


def test_channels_keep_their_own_settings(settings):
    inbox = settings("channels: {front: {type: door, brand: example, languages: [ko]}}").channels["front"]
    assert isinstance(inbox, DoorSettings)
    assert (inbox.brand, inbox.languages, inbox.enabled) == ("example", ("ko",), True)


def test_everything_is_frozen(settings):
    found = settings("")
    with pytest.raises(ValidationError):
        found.http.port = 1
    with pytest.raises(ValidationError):
        found.http = found.http


def test_every_error_of_a_file_at_once_in_the_order_of_its_lines(errors):
    text = """\
        http:
          host: 127
          port: ${PORT}
          prot: 1
          max_header: 12 parsecs
        queu: {}
        queue: {url: "redis5://h", partitions: 0}
        embedded: {fsync: sometimes, dir: 3}
        tiers: {order: [gold, Silver]}
        directory:
          - {type: fil}
          - {path: x}
          - {type: file, pth: x}
        logs: loud
        channels:
          Front: {type: door}
          front: {type: door, emabled: true, brand: 0212345678, languages: []}
          back: {type: dor, listen: "${GONE}"}
          side: {brand: x}
          none:
        """
    assert errors(text, PORT="70000") == [
        "2:9: http.host: must be text: put the number (a leading 0 would be lost) in quotes",
        "3:9: http.port: must be at most 65535",
        "4:3: http.prot: unknown key; did you mean 'port'?",
        "5:15: http.max_header: must be a size such as 65536, 256mb, 1GB or 1MiB",
        "6:1: queu: unknown key; did you mean 'queue'?",
        "7:14: queue.url: must be embedded, or a URL that begins with redis://, rediss://, unix://, "
        "redis+cluster://, redis+sentinel://, rediss+cluster://, rediss+sentinel://",
        "7:40: queue.partitions: must be at least 1",
        "8:19: embedded.fsync: must be 'always' or 'everysec'",
        "8:35: embedded.dir: must be a path",
        "9:23: tiers.order.1: must be a-z, 0-9 and _, at most 40, a letter first",
        "11:12: directory.0.type: must be one of 'file', 'redis', 'http', 'salesforce'",
        "12:5: directory.1.type: is required, and missing",
        "13:5: directory.2.path: is required, and missing",
        "13:18: directory.2.pth: unknown key; did you mean 'path'?",
        "14:7: logs: must be a mapping (key: value)",
        "16:3: channels.Front: the name of an inbox begins with a-z and has at most 40 of a-z, 0-9, _ and -",
        "17:23: channels.front.emabled: unknown key; did you mean 'enabled'?",
        "17:45: channels.front.brand: must be text: put the number (a leading 0 would be lost) in quotes",
        "17:68: channels.front.languages: must not be empty",
        "18:16: channels.back.type: no channel named 'dor'; there are: door",
        "18:30: channels.back.listen: the environment variable GONE is not set (a default is written ${GONE:-…})",
        "19:3: channels.side.type: is required, and missing",
        "20:3: channels.none: must be a mapping with at least a type",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http: {port: 80.5}", "1:14: http.port: must be a whole number"),
        ("http: {port: true}", "1:14: http.port: must be a whole number"),
        ("http: {zzz: 1}", "known here: host, max_header, port, public_url"),
        ("http: {public_url: example.com}", "must be a URL such as https://support.example.com"),
        ("http: {public_url: 'http://h:port'}", "must be a URL such as"),
        ("queue: {dedupe_window: 0s}", "1:24: queue.dedupe_window: must be more than 0s"),
        ("queue: {dedupe_window: 7}", "queue.dedupe_window: must be a duration with its unit, such as 500ms, 90s"),
        ("queue: {timeout: 1m}", "queue.timeout: must be at most 30s"),
        ("queue: {keep_stats: 59m}", "queue.keep_stats: must be at least 1h"),
        ("spool: {max_bytes: 5}", "1:20: spool.max_bytes: must be at least 1MiB"),
        ("http: {max_header: 5}", "http.max_header: must be at least 1KiB"),
        ("queue: {url: 'redis+sentinel://a,b'}", "must name the master"),
        ("queue: {url: 'redis://h:port'}", "1:14: queue.url: the port must be a number from 1 to 65535"),
        ("queue: {url: 'redis://h:65536'}", "queue.url: the port must be a number from 1 to 65535"),
        ("queue: {url: 'redis://:pa#ss@h'}", "queue.url: letters such as / ? # @ in a user or password must be perc"),
        ("queue: {url: 'redis://:pa?ss@h'}", "must be percent-encoded: %2F %3F %23 %40"),
        ("queue: {url: 'redis://h?timeout=3'}", "1:14: queue.url: the option timeout of the URL is not known; there"),
        ("queue: {url: 'redis://h?db=3&db=4'}", "queue.url: the option db of the URL stands twice"),
        ("queue: {url: 'redis://h/0?sentinel_password=x'}", "the option sentinel_password of the URL is not known"),
        ("queue: {url: 'redis+cluster://h?db=3'}", "queue.url: a cluster has no databases to choose from"),
        ("queue: {url: 'redis://'}", "nothing follows redis://"),
        ("objects: {url: 's3://key:secret@bucket/prefix'}", "must be a bucket and a prefix alone"),
        ("objects: {url: 's3://bucket/prefix?secret=x'}", "must be a bucket and a prefix alone"),
        ("objects: {url: var/objects}", "must begin with file://, s3://, gs://, az:// and a place"),
        ("objects: {endpoint: minio}", "objects.endpoint: must be a URL such as https://support.example.com"),
        ("objects: {options: {allow_http: true}}", "objects.options.allow_http: must be text: put true or false in"),
        ("objects: {readers: [{name: core, token_sha256: letmein}]}", "must be the 64 hex digits of a SHA-256"),
        (
            f"objects: {{readers: [{{name: a, token_sha256: {'0' * 64}}}, {{name: a, token_sha256: {'1' * 64}}}]}}",
            "objects.readers.1.name: the reader 'a' stands twice",
        ),
        ("tiers: {order: [gold, free, gold]}", "1:29: tiers.order.2: the tier 'gold' stands twice"),
        ("tiers: {order: [dead, free]}", "tiers.order.0: the queue keeps a key of its own named 'dead'"),
        ("tiers: {order: []}", "tiers.order: must not be empty"),
        ("tiers: {order: [gold]}", "1:1: tiers.default: must be one of tiers.order: gold"),
        ("tiers: {default: gold}", "1:18: tiers.default: must be one of tiers.order: premium, business, free"),
        ("tiers: {minimum_proof: {gold: claimed}}", "1:31: tiers.minimum_proof.gold: is not a tier"),
        ("tiers: {minimum_proof: {free: sure}}", "must be 'suspect', 'anonymous', 'claimed', 'platform' or 'verified'"),
        ("rules: {when: {}}", "1:8: rules: must be a list"),
        ("rules: [{then: {}}]", "1:16: rules.0.then: must add tags, a priority or a brand"),
        ("rules: [{when: {form: x}, then: {tags: [a]}}]", "rules.0.when.form: unknown key; did you mean 'from'?"),
        ("rules: [{then: {tags: [A b]}}]", "rules.0.then.tags.0: must be a-z, 0-9 and _"),
        ("sla: {calendars: {kr: {timezone: Asia/Soul}}}", "timezone: is not a time zone"),
        ("sla: {calendars: {kr: {timezone: ../UTC}}}", "timezone: is not a time zone"),
        (
            "sla: {calendars: {kr: {timezone: UTC, hours: {someday: '09:00-18:00'}}}}",
            "1:47: sla.calendars.kr.hours.someday: must be a day or days such as sat or mon-fri",
        ),
        (
            "sla: {calendars: {kr: {timezone: UTC, hours: {mon: '18:00-18:00'}}}}",
            "hours.mon: must be opening hours such as 09:00-18:00",
        ),
        ("sla: {policies: [{calendar: kr}]}", "sla.policies.0: must set first_reply, callback or both"),
        (
            "sla: {policies: [{first_reply: 1h, calendar: kr}]}",
            "1:46: sla.policies.0.calendar: is not a calendar; sla.calendars has none",
        ),
        ("directory: [{type: redis, url: 'http://x'}]", "directory.0.url: must be a URL that begins with redis://"),
        ("logs: {level: loud}", "logs.level: must be 'debug', 'info', 'warning' or 'error'"),
        ("channels: [a]", "1:11: channels: must be a mapping of inboxes"),
        ("channels: {front: {type: 5}}", "channels.front.type: must be text"),
        ("channels: {front: {type: door, brand: Big}}", "channels.front.brand: must be a-z, 0-9 and _, at most 40"),
        ("channels: {s: {type: chat, signing_secrets: ['']}}", "channels.s.signing_secrets.0: must not be empty"),
        (
            "channels: {x: {type: twitter, consumer_secrets: [a], mention_poll: 0}}",
            "channels.x.mention_poll: must be at least",
        ),
        ("channels: {p: {type: api, clients: [{name: a, token_sha256: x}]}}", "the SHA-256 of the token"),
    ],
)
def test_each_mistake_is_named_where_it_stands(errors, text, said):
    found = errors(text)
    assert len(found) == 1
    assert said in found[0]


def test_values_that_could_not_be_read_are_not_judged_as_well(errors):
    text = """\
        http: {port: "${GONE}", public_url: "${GONE}"}
        tiers: {default: "${GONE}"}
        channels: {front: {type: "${GONE}"}}
        """
    assert [error.partition(" (")[0] for error in errors(text)] == [
        "1:15: http.port: the environment variable GONE is not set",
        "1:38: http.public_url: the environment variable GONE is not set",
        "2:19: tiers.default: the environment variable GONE is not set",
        "3:27: channels.front.type: the environment variable GONE is not set",
    ]


def test_a_value_from_outside_is_never_quoted_even_by_a_validator_that_does(errors):
    assert errors('channels: {front: {type: door, word: "${WORD}"}}', WORD="hunter2") == [
        "1:38: channels.front.word: '${WORD}' is not the word"
    ]


def test_a_secret_typed_into_the_file_is_not_quoted_either(errors):
    assert errors("channels: {front: {type: door, token: hunter2}}") == [
        "1:39: channels.front.token: '***' is not the word"
    ]


def test_an_error_carries_no_trace_of_the_values(settings):
    with pytest.raises(ConfigError) as caught:
        settings('queue: {url: "redis5://:hunter2@host"}')
    assert caught.value.__context__ is None
    assert "hunter2" not in repr(caught.value)


def test_secrets_are_not_in_the_representation(settings):
    text = """
        queue: {url: "redis://:hunter2@host"}
        channels: {slack: {type: chat, signing_secrets: [hunter2], bot_token: hunter2}}
    """
    assert "hunter2" not in repr(settings(text))


def test_two_inboxes_on_one_address_clash_at_the_second(errors):
    text = """\
        channels:
          support: {type: door}
          billing: {type: door, listen: "127.0.0.1:${SMTP:-2525}"}
          sales: {type: door, listen: "0.0.0.0:2525"}
        """
    assert errors(text) == [
        "3:33: channels.billing.listen: 127.0.0.1:2525 is already the address of inbox 'support'",
        "4:31: channels.sales.listen: 0.0.0.0:2525 is already the address of inbox 'support'",
    ]


def test_the_web_server_the_queue_and_an_inbox_need_addresses_of_their_own(errors):
    assert errors("http: {port: 6390}\nembedded: {port: 6390}") == [
        "2:18: embedded.port: 127.0.0.1:6390 is already the address of http"
    ]
    assert errors("embedded: {port: 6390}\nhttp: {port: 6390}") == [
        "2:14: http.port: 127.0.0.1:6390 is already the address of the embedded queue"
    ]
    assert errors("channels: {front: {type: door, listen: '127.0.0.1:8080'}}") == [
        "1:40: channels.front.listen: 127.0.0.1:8080 is already the address of http"
    ]


def test_addresses_clash_even_where_other_things_are_wrong(errors):
    text = "http: {zzz: 1}\nchannels: {a: {type: door}, b: {type: door}}"
    assert [error.split(": ")[1] for error in errors(text)] == ["http.zzz", "channels.b.listen"]


def test_inboxes_of_mail_may_share_a_listener_they_agree_on(errors):
    text = """\
        channels:
          support: {type: email, recipients: [a@x.example], hostname: mx.a.example, max_size: 1MB}
          billing: {type: email, recipients: [b@x.example], max_size: 1MB, tls: {certificate: a, key: b}}
          sales:
            type: email
            hostname: mx.b.example
            recipients: [c@x.example, B@X.example, "*@x.example"]
          other: {type: email, recipients: [a@x.example], listen: "127.0.0.1:2526"}
          spam: {type: email, recipients: ["*@x.example"], enabled: false}
          front: {type: door}
        """
    assert errors(text) == [
        "6:15: channels.sales.hostname: on 127.0.0.1:2525 it differs from that of inbox 'support'",
        "7:31: channels.sales.recipients.1: on 127.0.0.1:2525 b@x.example is already a mailbox of inbox 'billing'",
        "10:3: channels.front.listen: 127.0.0.1:2525 is already the address of inbox 'support'",
    ]


def test_what_one_inbox_says_of_a_shared_listener_is_so_for_all(settings):
    found = settings("""\
        channels:
          support: {type: email, brand: a, recipients: [a@x.example], hostname: mx.x.example}
          billing: {type: email, brand: b, recipients: [b@x.example], max_size: 1MB, imap: null}
          other: {type: email, recipients: [c@x.example], listen: "127.0.0.1:2526"}
          off: {type: email, recipients: [d@x.example], enabled: false}
          fetched: {type: email, recipients: [e@x.example], listen: null, imap: {host: h, user: u, password: p}}
        """)
    listeners = {name: (inbox.hostname, inbox.max_size) for name, inbox in found.channels.items()}
    plain = ("mail.gateway", 36_700_160)
    both = ("mx.x.example", 1_000_000)
    assert listeners == {"support": both, "billing": both, "other": plain, "off": plain, "fetched": plain}
    assert [inbox.brand for inbox in found.channels.values()][:2] == ["a", "b"]
    assert found.source.locate(("channels", "billing")) == (3, 3)


@pytest.mark.parametrize(
    ("inbox", "wrong"),
    [
        ("recipients: [a@x.example], listen: null", "listen: is null, and nothing else brings mail"),
        ("recipients: ['a@*.example']", "recipients.0: may have one *, before the @, such as support-*@example.com"),
        ("recipients: ['*a*@x.example']", "recipients.0: may have one *, before the @"),
        ("recipients: [a@müller.example, A@xn--mller-kva.example]", "recipients: names an address twice"),
        ("recipients: [a@x.example], proxy_protocol_from: [10.0.0.1/8]", "proxy_protocol_from.0: must be an address"),
        ("recipients: [a@x.example], tls: {certificate: a}", "tls.key: is required, and missing"),
        ("recipients: [a@x.example], tls: {certificate: a, key: b, mode: on}", "tls.mode: must be 'starttls', 'requ"),
        ("recipients: [a@x.example], tls: {certificate: a, key: b, minimum_version: 1.2}", "tls.minimum_version: must"),
        ("recipients: [a@x.example], max_rate: 0", "max_rate: must be at least 1"),
        ("recipients: [a@x.example], error_delay: 2m", "error_delay: must be at most 1m"),
    ],
)
def test_what_is_wrong_with_an_inbox_of_mail_is_said(errors, inbox, wrong):
    (found,) = errors(f"channels: {{support: {{type: email, {inbox}}}}}")
    assert f"channels.support.{wrong}" in found


@pytest.mark.parametrize(
    "text",
    [
        "channels: {a: {type: door}, b: {type: door, enabled: false}}",
        "channels: {a: {type: door, listen: '127.0.0.1:0'}, b: {type: door, listen: '127.0.0.1:0'}}",
        "channels: {a: {type: door, listen: '127.0.0.1:25'}, b: {type: door, listen: '127.0.0.2:25'}}",
        "{http: {port: 6390}, queue: {url: 'redis://h'}}",
    ],
)
def test_addresses_that_do_not_meet_are_fine(settings, text):
    assert settings(text)


def test_a_partial_minimum_proof_keeps_the_defaults_of_the_other_tiers(settings):
    tiers = settings("tiers: {order: [a, b, c, d], default: c, minimum_proof: {b: verified}}").tiers
    assert tiers.minimum_proof == {"a": Proof.CLAIMED, "b": Proof.VERIFIED}


def test_a_pattern_may_be_one_or_many(settings):
    rules = settings("rules: [{when: {to: 'a@*', from: [b, c]}, then: {tags: [t]}}]").rules
    assert (rules[0].when.to, rules[0].when.sender) == (("a@*",), ("b", "c"))


def test_what_waits_for_a_later_version_is_noted_where_it_stands(settings, tmp_path):
    text = """\
        channels:
          front: {type: door}
          partner: {type: webhook, anything: [goes]}
        """
    notes = not_in_use(settings(text))
    assert [str(note).removeprefix(f"{tmp_path}/gateway.yaml:") for note in notes] == [
        "3:3: channels.partner: accepted, not in use yet"
    ]


def _without_place(note: ConfigProblem) -> str:
    return f"{note.key}: {note.what}"


@pytest.mark.parametrize("text", ["", "channels: {a: {type: webhook}}", "channels: {a: {type: door, enabled: no}}"])
def test_a_file_that_nothing_can_arrive_by_is_noted(settings, text):
    assert "channels: no inbox is switched on: nothing can arrive" in map(_without_place, not_in_use(settings(text)))


def test_settings_made_in_code_have_nothing_to_note_but_the_missing_inbox():
    assert [note.key for note in not_in_use(Settings())] == ["channels"]


def test_the_shipped_configuration_loads_in_an_empty_environment():
    found = load(CONFIG / "gateway.yaml", environ={})
    assert sorted(inbox.type for inbox in found.channels.values()) == sorted(BUILT_IN)
    assert not_in_use(found) == ()


def _uncommented() -> str:
    text = (CONFIG / "gateway.yaml").read_text(encoding="utf-8")
    return re.sub(r"(?m)^(\s*)#(?=[a-z-])", r"\1", text)


def _public_key() -> str:
    key = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    return b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def test_every_commented_option_of_the_shipped_configuration_is_right(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text(_uncommented(), encoding="utf-8")
    example = (CONFIG / ".env.example").read_text(encoding="utf-8")
    of_vendors = r"(?m)^#((?:SLACK|X|TWILIO|SALESFORCE|CRM|IMAP|MAILGUN)_\w+)="
    environ = dict.fromkeys(re.findall(of_vendors, example), "AC1")
    environ |= dict.fromkeys(("PORTAL_TOKEN_SHA256", "CORE_TOKEN_SHA256"), "0" * 64)
    environ |= dict.fromkeys(("SES_S3_KEY_ID", "SES_S3_SECRET", "REPLY_TOKEN_KEY"), "K" * 32)
    environ |= dict.fromkeys(("SENDGRID_CREDENTIAL", "POSTMARK_CREDENTIAL"), f"desk:{'p' * 16}")
    found = load(path, environ=environ | {"SENDGRID_PUBLIC_KEY": _public_key()})
    assert {inbox.type for inbox in found.channels.values()} == {*BUILT_IN, *PLANNED}
    assert found.model_fields_set == set(Settings.model_fields)


def test_every_key_of_a_mail_inbox_is_in_the_shipped_configuration():
    text = (CONFIG / "gateway.yaml").read_text(encoding="utf-8")
    inbox = re.search(r"(?ms)^  support:.*?^  callback:", text)
    assert inbox is not None
    for model in (EmailSettings, ImapSettings, AuthenticationSettings, WebhookSettings):
        assert [name for name in model.model_fields if not re.search(rf"\b{name}:", inbox[0])] == [], model.__name__


def test_every_variable_of_the_shipped_configuration_is_explained():
    example = (CONFIG / ".env.example").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", _uncommented())) - {"NAME"}
    assert set(re.findall(r"(?m)^#([A-Z][A-Z0-9_]*)=", example)) == used
