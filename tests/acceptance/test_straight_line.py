"""From a customer's client to the stream of the customer's tier, through real processes."""

import fcntl
import json
import signal
import smtplib
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.acceptance.conftest import Gateway
from tests.acceptance.load import TIERS
from tests.gateway.servers import eventually
from tests.support import wait_for_port


def mail(subject: str = "결제 오류", sender: str = "김민수 <minsu@acme.example>", number: int = 1) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = "support@example.com"
    message["Subject"] = subject
    message["Message-ID"] = f"<{number}@acme.example>"
    message.set_content("영수증이 두 번 결제됐어요.\n")
    return message


def send_mail(gateway: Gateway, message: EmailMessage, to: str = "support@example.com") -> None:
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=10) as client:
        client.send_message(message, to_addrs=[to])


def post(gateway: Gateway, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"{gateway.url}/channels/contact", body, {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def form(**fields: str) -> bytes:
    return json.dumps({"email": "jane@initech.example", "message": "Charged twice.", **fields}).encode()


def events(gateway: Gateway, tier: str) -> list[dict[str, Any]]:
    with gateway.redis() as redis:
        return [json.loads(fields["event"]) for _, fields in redis.xrange(f"{{tickets}}:{tier}")]


def test_a_mail_and_a_form_reach_the_stream_of_their_customers_tier(gateway):
    send_mail(gateway, mail())
    status, answer = post(gateway, form())
    assert status == 202
    (premium,), (business,) = events(gateway, "premium"), events(gateway, "business")
    assert premium["data"]["text"].strip() == "영수증이 두 번 결제됐어요."
    assert premium["data"]["subject"] == "결제 오류"
    assert premium["data"]["tier"]["status"] == "known"
    assert "tier_unproven" in premium["data"]["tags"]
    assert business["data"]["reference"] == answer["reference"]
    assert business["id"] == answer["id"]


def test_what_stands_on_the_stream_keeps_the_published_schema(gateway):
    send_mail(gateway, mail())
    post(gateway, form())
    with urllib.request.urlopen(f"{gateway.url}/schemas/ticket-envelope-1.json", timeout=10) as answer:
        schema = json.load(answer)
    for event in (*events(gateway, "premium"), *events(gateway, "business")):
        jsonschema.validate(event, schema)


def test_a_retry_is_the_same_ticket_before_and_after_a_crash(gateway):
    first = post(gateway, form(), **{"Idempotency-Key": "k-1"})[1]
    send_mail(gateway, mail())
    gateway.stop(signal.SIGKILL)
    gateway.start()
    again = post(gateway, form(), **{"Idempotency-Key": "k-1"})[1]
    send_mail(gateway, mail())
    assert (again["reference"], again["duplicate"]) == (first["reference"], True)
    assert (len(events(gateway, "premium")), len(events(gateway, "business"))) == (1, 1)


def test_the_same_key_with_other_words_is_refused(gateway):
    assert post(gateway, form(), **{"Idempotency-Key": "k-1"})[0] == 202
    status, problem = post(gateway, form(message="Something else."), **{"Idempotency-Key": "k-1"})
    assert status == 422
    assert problem["errors"][0]["code"] == "conflict"


def test_what_was_accepted_survives_a_kill_9_and_a_restart(gateway):
    for number in range(5):
        send_mail(gateway, mail(number=number))
    gateway.stop(signal.SIGKILL)
    gateway.start()
    send_mail(gateway, mail(number=5))
    assert len(events(gateway, "premium")) == 6
    assert gateway.stop() == 0
    gateway.start()
    assert len(events(gateway, "premium")) == 6


def test_sigterm_finishes_and_takes_the_embedded_server_with_it(gateway):
    assert gateway.stop() == 0
    with pytest.raises(Exception, match="refused"), gateway.redis() as redis:
        redis.ping()


def test_ctrl_c_is_130(gateway):
    assert gateway.stop(signal.SIGINT) == 130


def test_a_second_start_says_in_words_that_the_address_is_taken(gateway):
    second = gateway.call("run")
    assert second.returncode == 1
    assert f"127.0.0.1:{gateway.http} is taken" in second.stderr
    assert "Traceback" not in second.stderr
    assert post(gateway, form())[0] == 202


def test_a_wrong_configuration_names_file_line_and_key_and_exits_3(gateway):
    gateway.configure(more="tiers: {order: [premium], defualt: premium}\n")
    for name in ("check", "run"):
        done = gateway.call(name)
        assert done.returncode == 3
        assert f"{gateway.config}:" in done.stderr
        assert "tiers.defualt" in done.stderr


def test_only_starts_only_what_is_named(new_gateway):
    gateway = new_gateway()
    gateway.start("--only", "web_form")
    assert post(gateway, form())[0] == 202
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=5)


def test_a_mail_to_a_foreign_domain_is_refused(gateway):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        send_mail(gateway, mail(), to="somebody@elsewhere.example")
    ((code, text),) = caught.value.recipients.values()
    assert (code, text[:5]) == (550, b"5.7.1")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"email": "jane@initech.example"}', 422),
        (b'{"email": 5, "message": []}', 422),
        (b"{broken", 422),
        (b"\xff\xfe", 422),
        (b'{"email": "jane@initech.example", "message": "nul \\u0000 byte"}', 202),
        (b'{"email": "jane@initech.example", "message": "' + b"x" * 2**20 + b'"}', 413),
    ],
)
def test_a_bad_form_gets_a_clear_answer(gateway, body, status):
    answered, answer = post(gateway, body)
    assert answered == status
    assert status == 202 or answer["status"] == status
    assert "Traceback" not in json.dumps(answer)


def test_bad_mail_is_answered_at_once_and_harms_nobody(gateway):
    hostile = [
        b"Subject: " + b"x" * 1_000_000 + b"\r\n\r\nbody",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000,
        b"Content-Type: text/plain; charset=klingon\r\n\r\n\xff\xfe words",
        b"From: \x00\r\n\r\nnul \x00 bytes",
        b"not a header at all",
        b"From: a@b.example\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
    ]
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=10) as client:
        for content in hostile:
            began = time.monotonic()
            client.sendmail("minsu@acme.example", ["support@example.com"], content)
            assert time.monotonic() - began < 5
    assert post(gateway, form())[0] == 202
    with gateway.redis() as redis:
        kept = sum(redis.xlen(f"{{tickets}}:{name}") for name in ("premium", "business", "free", "dead"))
    assert kept == len(hostile) + 1


def test_ready_says_what_it_can_write_to(gateway):
    with urllib.request.urlopen(f"{gateway.url}/readyz", timeout=10) as answer:
        assert json.load(answer)["checks"] == {"queue": "ok", "objects": "ok"}
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=10) as answer:
        assert b"gateway_messages_total" in answer.read()


def test_simulate_goes_through_the_front_door_and_tail_shows_it(gateway):
    for channel in ("email", "web_form"):
        done = gateway.call("simulate", channel, "--repeat", "2")
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 2
    shown = gateway.call("tail", "--json")
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    assert sorted(event["data"]["channel"] for event in found) == ["email", "email", "web_form", "web_form"]
    assert len(gateway.call("tail", "--channel", "email").stdout.splitlines()) == 2


def test_simulate_says_when_nobody_listens(new_gateway):
    for channel in ("email", "web_form"):
        done = new_gateway().call("simulate", channel)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert "is the gateway running" in done.stderr


def test_tail_follow_shows_what_comes(gateway):
    following = subprocess.Popen(gateway.command("tail", "--follow", "--json"), stdout=subprocess.PIPE)
    try:
        post(gateway, form())
        assert following.stdout is not None
        event = json.loads(following.stdout.readline())
        assert event["data"]["channel"] == "web_form"
    finally:
        following.terminate()
        following.wait(10)
        assert following.stdout is not None
        following.stdout.close()


def test_tail_says_when_there_is_no_queue(new_gateway):
    done = new_gateway().call("tail")
    assert done.returncode == 4
    assert "is the gateway running" in done.stderr


def test_nothing_of_the_customer_is_in_the_log(gateway):
    send_mail(gateway, mail())
    post(gateway, form())
    gateway.stop()
    lines = [json.loads(line) for line in gateway.logged().splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines].count("message.accepted") == 2
    for word in ("minsu", "jane", "김민수", "결제", "Charged"):
        assert word not in gateway.logged()


def test_two_gateways_may_share_the_embedded_server(gateway, new_gateway: Callable[[], Gateway]):
    second = new_gateway()
    second.folder, second.valkey = gateway.folder, gateway.valkey
    second.configure()
    second.start()
    assert post(second, form())[0] == 202
    assert gateway.stop() == 0
    assert post(second, form())[0] == 202
    assert len(events(second, "business")) == 2


def test_a_password_of_the_queue_is_never_on_the_screen(gateway, new_gateway: Callable[[], Gateway]):
    other = new_gateway()
    other.configure(queue=f"redis://default:hunter2@127.0.0.1:{gateway.valkey}/0")
    other.start()
    other.stop()
    assert f"redis://127.0.0.1:{gateway.valkey}/0" in other.logged()
    assert "hunter2" not in other.logged()


def test_a_wrong_directory_is_a_wrong_configuration_for_check_and_run_alike(gateway, tmp_path):
    (tmp_path / "customers.csv").write_text("customer_id,tier,email\nC-1,gold,a@b.example\n")
    text = gateway.config.read_text().replace("config/customers.csv", str(tmp_path / "customers.csv"))
    gateway.config.write_text(text)
    for name in ("check", "run"):
        done = gateway.call(name)
        assert (done.returncode, "customers.csv:2: tier" in done.stderr) == (3, True)
        assert "Traceback" not in done.stderr


def test_a_stop_closes_every_door_before_it_waits_for_anybody(gateway):
    with socket.create_connection(("127.0.0.1", gateway.http), timeout=10) as slow:
        slow.sendall(b"POST /channels/contact HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n")
        slow.sendall(b"Content-Type: application/json\r\n\r\n{")
        assert post(gateway, form())[0] == 202  # so the half request has been met
        gateway.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=5).close()
            except (OSError, smtplib.SMTPException):
                break
        assert time.monotonic() < deadline
        assert gateway.process.poll() is None
    assert gateway.process.wait(25) == 0


def test_it_is_ready_as_long_as_the_spool_takes_what_redis_does_not(gateway):
    def checks() -> dict[str, str]:
        with urllib.request.urlopen(f"{gateway.url}/readyz", timeout=10) as answer:
            return dict(json.load(answer)["checks"])

    with gateway.redis() as redis:
        redis.config_set("maxmemory", 1)
        assert post(gateway, form())[0] == 202
        assert checks()["queue"] == "away: 1 in the spool"
        redis.config_set("maxmemory", 0)
        eventually(lambda: checks()["queue"] == "ok")
        assert sum(redis.xlen(f"{{tickets}}:{tier}") for tier in TIERS) == 1
    events = [json.loads(line)["event"] for line in gateway.logged().splitlines() if line.startswith("{")]
    told = [event for event in events if event.startswith(("link.", "spool."))]
    assert sorted(told) == ["link.down", "link.up", "spool.drained", "spool.started"]


def test_not_ready_while_nothing_can_be_written(new_gateway: Callable[[], Gateway]):
    gateway = new_gateway()
    gateway.configure(min_free="1000TB")
    gateway.start()
    with gateway.redis() as redis:
        redis.config_set("maxmemory", 1)
        assert post(gateway, form())[0] == 503
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{gateway.url}/readyz", timeout=10)
        redis.config_set("maxmemory", 0)
        eventually(lambda: post(gateway, form())[0] == 202)


def test_ctrl_c_while_it_waits_to_start_is_obeyed(new_gateway: Callable[[], Gateway]):
    gateway = new_gateway()
    (gateway.folder / "valkey").mkdir()
    with (gateway.folder / "valkey" / "users.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = subprocess.Popen(gateway.command("run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(gateway.http, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
