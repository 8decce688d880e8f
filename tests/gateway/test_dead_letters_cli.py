"""`dead-letters` and `doctor` as an operator calls them: words, JSON and exit codes."""

import base64
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from redis import Redis

from gateway.cli import cli
from tests.support import free_port

CONFIG = """\
http: {{port: {port}}}
queue: {{url: "{queue}", partitions: 2}}
spool: {{dir: "{folder}/spool"}}
objects: {{url: "file://{folder}/objects"}}
directory: [{{type: file, path: config/customers.csv}}]
channels: {{contact: {{type: web_form}}}}
"""
SECRET = "minsu@acme.example"


@pytest.fixture
def queue(valkey_url):
    with Redis.from_url(valkey_url, decode_responses=True) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def configured(valkey_url, tmp_path):
    def configured(queue=valkey_url):
        """The arguments that name a configuration file."""
        config = tmp_path / "gateway.yaml"
        config.write_text(CONFIG.format(port=free_port(), queue=queue, folder=tmp_path), encoding="utf-8")
        return ["--config", str(config)]

    return configured


@pytest.fixture
def looks(configured):
    def looks(*arguments, **options):
        """Run a command that only looks, in this process."""
        return CliRunner().invoke(cli, [*arguments, *configured(**options)])

    return looks


@pytest.fixture
def runs(configured):
    def runs(*arguments, **options):
        """Run a command that sets up a log, in a process of its own."""
        command = [sys.executable, "-m", "gateway", *arguments, *configured(**options)]
        return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)

    return runs


def bury(queue, n, *, body=None, partition=0):
    """A letter as the gateway writes it; its id."""
    id = f"00000000-0000-8000-8000-{n:012}"
    form = json.dumps({"name": "김민수", "email": SECRET, "message": "결제 오류"}) if body is None else body
    payload = {"body": base64.b64encode(form.encode()).decode(), "media_type": "application/json"}
    fields = {"id": id, "channel": "web_form", "inbox": "contact", "reason": "error"}
    fields |= {"error": f"KeyError at web_form.py:9\nTraceback …\nKeyError: '{SECRET}'", "attempts": "1"}
    fields |= {"payload": json.dumps({**payload, "submission_id": f"s-{n}"}), "received_at": "2026-11-22T05:00:00.123Z"}
    queue.xadd(f"{{tickets:{partition}}}:dead", fields, id=f"{n + 1}-0")
    return id


def test_letters_are_listed_and_shown_without_anything_a_customer_wrote(looks, queue):
    ids = [bury(queue, n, partition=n % 2) for n in range(3)]
    listed = looks("dead-letters", "list", "-n", "2")
    assert (listed.exit_code, listed.stderr) == (0, "1 older ones: -n shows more\n")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [ids[2], ids[1]]
    assert "KeyError at web_form.py:9" in listed.stdout
    shown = looks("dead-letters", "show", ids[0], "--json")
    about = json.loads(shown.stdout)
    assert (about["id"], about["reason"], about["attempts"]) == (ids[0], "error", 1)
    assert about["received_at"] == "2026-11-22T05:00:00.123Z"
    for said in (listed, shown):
        assert SECRET not in said.stdout + said.stderr
        assert "payload" not in said.stdout or "payload_bytes" in said.stdout


def test_the_payload_is_shown_when_asked_for(looks, queue):
    id = bury(queue, 1)
    about = json.loads(looks("dead-letters", "show", id, "--payload", "--json").stdout)
    assert SECRET in base64.b64decode(about["payload"]["body"]).decode()
    assert SECRET in about["error"]


def test_letters_are_replayed_by_name_or_all_and_the_exit_says_whether_one_failed(runs, queue):
    good, bad, other = bury(queue, 1), bury(queue, 2, body="{"), bury(queue, 3, partition=1)
    dry = runs("dead-letters", "replay", "--all", "--dry-run")
    assert dry.returncode == 1
    assert "would be published: T-" in dry.stdout
    assert "would fail: Malformed at web_form.py" in dry.stdout
    one = runs("dead-letters", "replay", good, "T-0000-0000", "--json")
    assert (one.returncode, one.stderr) == (1, "no dead letter named T-0000-0000: `dead-letters list` shows them\n")
    assert json.loads(one.stdout)["verdict"] == "published"
    rest = runs("dead-letters", "replay", "--all")
    assert rest.returncode == 1
    assert {line.split()[0] for line in rest.stdout.splitlines()} == {bad, other}
    assert SECRET not in dry.stdout + dry.stderr + one.stdout + one.stderr + rest.stdout + rest.stderr
    ((_, left),) = queue.xrange("{tickets:0}:dead") + queue.xrange("{tickets:1}:dead")
    assert (left["id"], left["attempts"]) == (bad, "2")
    assert queue.xlen("{tickets:0}:premium") + queue.xlen("{tickets:1}:premium") == 2


def test_letters_are_deleted_with_the_mark_of_their_burial(looks, queue):
    ids = [bury(queue, n, partition=n % 2) for n in range(4)]
    for n, id in enumerate(ids):
        queue.zadd(f"{{tickets:{n % 2}}}:seen", {bytes.fromhex(id.replace("-", "")): 9e12})
    done = looks("dead-letters", "delete", ids[0], ids[1])
    assert (done.exit_code, done.stdout) == (0, f"{ids[0]}  deleted\n{ids[1]}  deleted\n")
    one = looks("dead-letters", "delete", "--json", ids[2], "T-0000-0000")
    assert one.exit_code == 1
    assert (json.loads(one.stdout)["id"], json.loads(one.stdout)["verdict"]) == (ids[2], "deleted")
    assert "no dead letter named T-0000-0000" in one.stderr
    assert [fields["id"] for n in range(2) for _, fields in queue.xrange(f"{{tickets:{n}}}:dead")] == [ids[3]]
    assert [queue.zcard(f"{{tickets:{n}}}:seen") for n in range(2)] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("replay",), 2, "name the letters, or say --all"),
        (("delete",), 2, "Missing argument"),
        (("delete", "T-0000-0000"), 1, "no dead letter named T-0000-0000"),
        (("replay", "x", "--all"), 2, "name the letters, or say --all"),
        (("show", "T-0000-0000"), 1, "no dead letter named T-0000-0000"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(looks, queue, arguments, status, says):
    done = looks("dead-letters", *arguments)
    assert (done.exit_code, done.stdout) == (status, "")
    assert says in done.stderr


def test_a_queue_that_is_away_is_exit_4(looks, runs):
    away = f"redis://127.0.0.1:{free_port()}"
    letters, doctor = looks("dead-letters", "list", queue=away), runs("doctor", "--json", queue=away)
    assert (letters.exit_code, doctor.returncode) == (4, 4)
    assert "is the gateway running?" in letters.stderr
    found = {one["check"]: one for one in json.loads(doctor.stdout)["checks"]}
    assert found["queue"]["queue_down"]
    assert found["objects"]["findings"][0]["level"] == "ok"


def test_a_doctor_says_what_it_found_and_fails_only_where_something_does(runs, queue, tmp_path):
    well = runs("doctor")
    assert well.returncode == 0, well.stdout + well.stderr
    assert "no gateway runs at" in well.stdout
    assert "→ start it: python -m gateway run" in well.stdout
    (tmp_path / "objects").write_text("in the way")
    assert runs("doctor").returncode == 1
