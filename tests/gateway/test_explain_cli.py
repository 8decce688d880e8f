"""`explain` as an operator calls it: files, ids, words, JSON and exit codes, against a real server."""

import base64
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from redis import Redis

from gateway.cli import cli
from tests.support import free_port

SAMPLES = Path("channels/email/samples")
CONFIG = """\
http: {{port: {port}}}
queue: {{url: "{queue}", partitions: 2}}
spool: {{dir: "{folder}/spool"}}
objects: {{url: "file://{folder}/objects"}}
directory: [{{type: file, path: "{folder}/customers.csv"}}]
rules:
  - {{when: {{to: "billing@*"}}, then: {{tags: [billing]}}}}
  - {{when: {{tier: premium}}, then: {{priority: high}}}}
sla:
  calendars: {{kr: {{timezone: Asia/Seoul, hours: {{mon-fri: "09:00-18:00"}}, holidays: KR}}}}
  policies: [{{name: everybody, first_reply: 8h, calendar: kr}}]
channels:
  contact: {{type: web_form}}
  support: {{type: email, recipients: [help@example.com]}}
  billing: {{type: email, listen: "127.0.0.1:2526", recipients: [support@example.com, billing@example.com]}}
"""


@pytest.fixture(autouse=True)
def own_log():
    """The command sets one up for its process; here it must not outlive the test."""
    levels = {
        name: logger.level for name, logger in logging.root.manager.loggerDict.items() if hasattr(logger, "level")
    }
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger):
            logger.setLevel(levels.get(name, logging.NOTSET))


@pytest.fixture
def queue(valkey_url):
    with Redis.from_url(valkey_url, decode_responses=True) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def customers(tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text("customer_id,tier,email\nC-1,premium,minsu@acme.example\n", encoding="utf-8")
    return file


@pytest.fixture
def config(valkey_url, tmp_path, customers):
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG.format(port=free_port(), queue=valkey_url, folder=tmp_path), encoding="utf-8")
    return file


@pytest.fixture
def explain(config):
    def explain(*arguments):
        return CliRunner().invoke(cli, ["explain", *map(str, arguments), "--config", str(config)])

    return explain


def told(done):
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def letter(queue, *, body, reason="error", **more):
    id = "00000000-0000-8000-8000-000000000001"
    payload = {"body": base64.b64encode(body.encode()).decode(), "media_type": "application/json"}
    fields = {"id": id, "channel": "web_form", "inbox": "contact", "reason": reason, "attempts": "1"}
    fields |= {"error": "KeyError at web_form.py:9\nTraceback", "received_at": "2026-11-20T03:00:00.123Z"}
    fields |= {"payload": json.dumps({**payload, "submission_id": "s-1"}), **more}
    queue.xadd("{tickets:1}:dead", fields)
    return id


FORM = json.dumps({"name": "김민수", "email": "minsu@acme.example", "message": "결제 오류가 났어요."})


def test_a_mail_is_told_from_who_to_the_stream(explain, customers, config):
    done = explain(SAMPLES / "01-double-charge-ko.eml")
    assert done.exit_code == 0, done.output
    for part in (
        "the mail in 01-double-charge-ko.eml, as if it came to support@example.com now",
        f"file: known by email minsu@acme.example, customer C-1 ({customers}:2)",
        "proof      claimed, evidence: none",
        "which needs claimed: given, and it rests on less than platform: tier_unproven",
        f"rule 1 does not: to: billing@* ({config}:7)",
        f"rule 2 fits: priority high ({config}:8)",
        f"policy everybody fits: first_reply within 8:00:00 ({config}:11)",
        "calendar kr, Asia/Seoul: mon-fri 09:00-18:00; but on holidays of KR",
        "and the reference T-",
    ):
        assert part in done.stdout
    assert "inbox billing" in done.stdout


def test_a_mail_for_nobody_goes_to_the_inbox_that_is_named(explain, tmp_path):
    mail = tmp_path / "mail.eml"
    mail.write_bytes(b"From: =?utf-8?q?=1B=5B2J?= <x@y.example>\r\nTo: help+tag@EXAMPLE.com\r\n\r\nhello\x1b[2J\r\n")
    done = explain(mail)
    assert "as if it came to help+tag@example.com now" in done.stdout
    assert all(letter.isprintable() for line in done.stdout.splitlines() for letter in line)
    named = explain(mail, "--inbox", "billing")
    assert "as if it came to support@example.com now" in named.stdout


def test_an_envelope_is_explained_by_its_id_its_reference_and_from_a_file(explain, queue, customers, tmp_path):
    (mail,) = told(explain(SAMPLES / "01-double-charge-ko.eml", "--json"))
    event = mail["envelope"]
    queue.xadd(mail["stream"], {"id": event["id"], "event": json.dumps(event)}, id="5-1")
    queue.xadd(mail["stream"], {"id": "other", "event": json.dumps({**event, "id": "other", "data": {}})})
    (by_id,) = told(explain(event["id"].upper(), "--json"))
    (by_reference,) = told(explain(event["data"]["reference"].lower(), "--json"))
    file = tmp_path / "envelope.json"
    file.write_text(json.dumps(event), encoding="utf-8")
    (in_file,) = told(explain(file, "--json"))
    assert by_id["about"] == by_reference["about"] == "entry 5-1 of the stream premium"
    assert in_file["about"] == "the envelope in envelope.json"
    for one in (by_id, by_reference, in_file):
        assert (one["changed"], one["stream"], one["partition"]) == ([], mail["stream"], mail["partition"])
    customers.write_text("customer_id,tier,email\nC-1,free,minsu@acme.example\n", encoding="utf-8")
    now = explain(event["id"])
    assert "changed    tier.value: was premium, would be free" in now.stdout
    assert queue.xlen(mail["stream"]) == 2


def test_a_dead_letter_is_explained_in_its_own_time(explain, queue, tmp_path):
    id = letter(queue, body=FORM)
    (found,) = told(explain(id, "--json"))
    assert found["about"] == f"dead letter {id} (error: KeyError at web_form.py:9)"
    assert found["envelope"]["data"]["sla"]["clock_start"].startswith("2026-11-20T03:00:00.123")
    assert found["envelope"]["data"]["tier"]["value"] == "premium"
    config = ["--config", str(tmp_path / "gateway.yaml")]
    shown = CliRunner().invoke(cli, ["dead-letters", "show", id, "--payload", "--json", *config]).stdout
    whole, alone = tmp_path / "letter.json", tmp_path / "payload.json"
    whole.write_text(shown, encoding="utf-8")
    alone.write_text(json.dumps(json.loads(shown)["payload"]), encoding="utf-8")
    (from_file,) = told(explain(whole, "--json"))
    assert from_file["envelope"]["data"] | {"tier": 0} == found["envelope"]["data"] | {"tier": 0}
    (from_payload,) = told(explain(alone, "--inbox", "contact", "--json"))
    assert from_payload["envelope"]["id"] == found["envelope"]["id"]


def test_a_letter_that_is_an_envelope_is_explained_as_one(explain, queue):
    (mail,) = told(explain(SAMPLES / "01-double-charge-ko.eml", "--json"))
    id = letter(queue, body="", reason="poison", payload=json.dumps(mail["envelope"]))
    (found,) = told(explain(id, "--json"))
    assert (found["changed"], found["about"][:11]) == ([], "dead letter")


@pytest.mark.parametrize(
    ("body", "said"),
    [("{", "the channel web_form refuses it: payload:"), ("{}", "the channel web_form refuses it: /")],
)
def test_what_stopped_a_letter_is_said(explain, queue, body, said):
    done = explain(letter(queue, body=body))
    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "arguments", "status", "said"),
    [
        ("a.json", "{", (), 1, "cannot be read as JSON"),
        ("a.json", "{}", (), 2, "say with --inbox"),
        ("a.json", "{}", ("--inbox", "contact"), 1, "it is no payload of the channel web_form"),
        ("a.json", "{}", ("--inbox", "sales"), 1, "there is no inbox named 'sales'"),
        ("a.json", '{"reason": "error", "inbox": "contact"}', (), 2, "has no payload"),
        ("a.json", '{"specversion": "1.0"}', (), 1, "it is no ticket envelope of this version"),
        ("a.eml", "From: x\n\nhello", ("--inbox", "contact"), 2, "no inbox of type email is named contact"),
        ("a.eml", "", (), 1, "The mail is empty."),
    ],
)
def test_what_cannot_be_explained_is_said(explain, tmp_path, name, content, arguments, status, said):
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    done = explain(file, *arguments)
    assert (done.exit_code, done.stdout) == (status, "")
    assert said in done.stderr


def test_a_name_that_nothing_has(explain, queue):
    done = explain("T-0000-0000")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no file, no envelope and no dead letter is named T-0000-0000" in done.stderr


def test_a_queue_that_is_away_is_exit_4(explain, config, valkey_url):
    config.write_text(config.read_text(encoding="utf-8").replace(valkey_url, f"redis://127.0.0.1:{free_port()}"))
    done = explain("T-0000-0000")
    assert done.exit_code == 4
    assert "is the gateway running?" in done.stderr
    assert explain(SAMPLES / "01-double-charge-ko.eml").exit_code == 0  # a file needs no queue


def test_a_directory_that_is_wrong_is_exit_3(explain, customers):
    customers.unlink()
    assert explain(SAMPLES / "01-double-charge-ko.eml").exit_code == 3


def test_in_a_process_of_its_own_only_the_story_is_on_stdout(config):
    command = [
        sys.executable,
        "-m",
        "gateway",
        "explain",
        str(SAMPLES / "05-refund-reply-en.eml"),
        "--config",
        str(config),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the mail in 05-refund-reply-en.eml")
