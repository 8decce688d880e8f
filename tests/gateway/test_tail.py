"""`tail` as an operator runs it, against a real server."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from redis import Redis

from gateway.cli import Exit, tail
from gateway.queue.keys import Keys
from tests.support import free_port

ROOT = Path(__file__).parents[2]
KEYS = Keys()


@pytest.fixture
def server(valkey_url):
    with Redis.from_url(valkey_url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def config(tmp_path, valkey_url):
    file = tmp_path / "gateway.yaml"
    inboxes = ", ".join(f"{name}: {{type: web_form}}" for name in ("support", "contact", "billing", "quiet"))
    file.write_text(f'queue: {{url: "{valkey_url}"}}\nchannels: {{{inboxes}}}\n')
    return str(file)


def event(number, *, tier="free", **more):
    """A ticket envelope as it stands on the queue."""
    address = {"kind": "email", "value": "minsu@acme.example"}
    data = {
        **{"reference": f"T-0000-{number:04}", "channel": "email", "medium": "smtp", "inbox": "support"},
        **{"kind": "message", "tier": {"value": tier, "status": "known"}, "tags": [], "priority": "normal"},
        **{"requester": {"name": "Minsu", "addresses": [address], "proof": "claimed", "evidence": []}},
        **{"recipients": [], "subject": f"number {number}", "text": "text", "thread": {"key": "k", "references": []}},
        **{"attachments": [], "external_id": "x", "idempotency_key": "y", "received_at": "2026-11-22T05:00:00.000Z"},
        **{"sla": {"policy": "p", "calendar": "c", "clock_start": "2026-11-22T05:00:00.000Z"}, "related": []},
        **{"flags": {}, "warnings": [], **more},
    }
    about = {"specversion": "1.0", "id": f"id-{number}", "source": "/channels/support", "type": "t", "subject": "k"}
    return {**about, "time": "2026-11-22T05:00:00.000Z", "dataschema": "s", "data": data}


def add(server, number, *, tier="free", channel="email", inbox="support", kind="message.received", entry="*", **more):
    fields = {"id": f"id-{number}", "type": f"support.{kind}.v1", "channel": channel, "inbox": inbox, "tier": tier}
    fields["event"] = json.dumps(event(number, tier=tier, **more))
    server.xadd(KEYS.stream(tier), fields, id=entry)


def run(config, *arguments):
    return CliRunner().invoke(tail.command, ["--config", config, *arguments])


def ids(done):
    assert done.exit_code == Exit.OK, done.output
    return [json.loads(line)["id"] for line in done.stdout.splitlines()]


@pytest.fixture
def some(server):
    seconds, _ = server.time()
    add(server, 1, tier="premium", inbox="billing", entry=f"{(seconds - 7200) * 1000}-0")
    add(server, 2, channel="web_form", inbox="contact", entry=f"{(seconds - 1800) * 1000}-0")
    add(server, 3, kind="callback.requested", entry=f"{(seconds - 5) * 1000}-0")
    add(server, 4, tier="premium")


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], [1, 2, 3, 4]),
        (["-n", "2"], [3, 4]),
        (["--tier", "premium"], [1, 4]),
        (["--channel", "web_form"], [2]),
        (["--inbox", "billing"], [1]),
        (["--inbox", "quiet"], []),
        (["--type", "support.callback.requested.v1"], [3]),
        (["--type", "callback.requested"], [3]),
        (["--since", "1h"], [2, 3, 4]),
        (["--since", "60s"], [3, 4]),
        (["--grep", "t-0000-0002"], [2]),
        (["--grep", "ID-3"], [3]),
        (["--tier", "premium", "--grep", "0000", "-n", "1"], [4]),
    ],
)
def test_filters(config, arguments, wanted):
    assert ids(run(config, "--json", *arguments)) == [f"id-{number}" for number in wanted]


@pytest.mark.parametrize("arguments", [["--since", "yesterday"], ["--since", "60"], ["-n", "0"]])
def test_wrong_usage(server, config, arguments):
    assert run(config, *arguments).exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tier", "gold"], "no tier gold; there are: premium, business, free"),
        (["--channel", "emial"], "no channel emial; there are: api, chat, email, "),
        (["--inbox", "nosuch"], "no inbox nosuch; there are: support, contact, billing, quiet"),
        (["--type", "nosuch"], "no type nosuch; there are: message.received, message.edited, "),
    ],
)
def test_what_is_not_there_is_said_with_what_is(server, config, arguments, said):
    done = run(config, *arguments)
    assert done.exit_code == Exit.USAGE
    assert said in done.stderr


def test_a_line_for_people(server, config):
    add(server, 1, tier="premium")
    (line,) = run(config).stdout.splitlines()
    assert line == "2026-11-22 05:00:00 premium   email        T-0000-0001  claimed   Minsu: number 1"


def test_nothing_found_is_said(server, config):
    done = run(config)
    assert (done.exit_code, done.stdout) == (Exit.OK, "")
    assert done.stderr == "nothing on the streams; what every group has acknowledged is trimmed after queue.trim\n"
    add(server, 1)
    assert run(config, "--json", "--grep", "nowhere").stderr.startswith("nothing that fits on the streams; ")
    assert run(config, "--json").stderr == ""


def test_what_a_customer_wrote_cannot_steer_the_terminal(server, config):
    add(
        server,
        1,
        subject="\x1b]0;owned\x07 \u202etxt.exe\nsecond line",
        requester={**event(1)["data"]["requester"], "name": "\x1b[2J"},
    )
    (line,) = run(config).stdout.splitlines()
    assert all(letter.isprintable() for letter in line)
    assert "second line" in line


def test_an_entry_of_a_stranger_is_said_and_passed_over(server, config):
    server.xadd(KEYS.stream("free"), {"event": "not json"})
    server.xadd(KEYS.stream("free"), {"other": "field"})
    add(server, 3)
    done = run(config, "--json")
    assert ids(done) == ["id-3"]
    assert done.stderr.count("is no ticket envelope") == 2
    assert ids(run(config, "--json", "--grep", "0003")) == ["id-3"]


def test_a_queue_that_is_away(tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text(f'queue: {{url: "redis://user:secret@127.0.0.1:{free_port()}"}}\n')
    done = run(str(file), "--follow")
    assert done.exit_code == Exit.DEPENDENCY
    assert "secret" not in done.output


def test_following_until_interrupted(server, config):
    add(server, 1)
    command = [sys.executable, "-m", "gateway", "tail", "--json", "--follow", "--config", config]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        try:
            assert json.loads(_line(process))["id"] == "id-1"
            add(server, 2)
            assert json.loads(_line(process))["id"] == "id-2"
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == Exit.INTERRUPTED
        finally:
            process.kill()


def _line(process):
    """The next line, within seconds."""
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], 20)
        assert ready, process.stderr.read()
        chunk = os.read(process.stdout.fileno(), 65_536)
        assert chunk, process.stderr.read()
        line += chunk
    return line
