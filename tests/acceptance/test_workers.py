"""One gateway of several processes, as an operator runs it."""

import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from email.message import EmailMessage
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.acceptance.conftest import Gateway

PATIENCE = 60.0
SENDERS = 8


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def logged(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in gateway.logged().splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == event]


def alive(gateway: Gateway) -> dict[int, int]:
    """The process of each worker that was started last and still runs."""
    latest = {line["worker"]: line["pid"] for line in logged(gateway, "worker.started")}
    return {worker: pid for worker, pid in latest.items() if is_running(pid)}


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A killed process that nobody has asked for is still in the table: of a killed supervisor init will.
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start(gateway: Gateway, workers: int = 2) -> None:
    gateway.start("--workers", str(workers))
    wait_until(lambda: "The gateway is listening." in gateway.logged())


def post(gateway: Gateway, number: int) -> str:
    """The id that the answer names."""
    body = json.dumps({"email": "jane@initech.example", "message": f"Charged twice, number {number}."}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"key-{number}"}
    request = urllib.request.Request(f"{gateway.url}/channels/contact", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202
        return str(json.load(answer)["id"])


def mail(gateway: Gateway, number: int) -> str:
    message = EmailMessage()
    message["From"], message["To"] = "minsu@acme.example", "support@example.com"
    message["Subject"], message["Message-ID"] = "결제 오류", f"<{number}@acme.example>"
    message.set_content("영수증이 두 번 결제됐어요.\n")
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=10) as client:
        client.ehlo()
        client.mail("minsu@acme.example")
        client.rcpt("support@example.com")
        code, said = client.data(message.as_bytes())
    assert code == 250, said
    return re.search(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", said)[0].decode()  # type: ignore[index]  # or fail


def on_the_streams(gateway: Gateway) -> Counter[str]:
    with gateway.redis() as redis:
        entries = (redis.xrange(f"{{tickets}}:{tier}") for tier in ("premium", "business", "free"))
        return Counter(fields["id"] for stream in entries for _, fields in stream)


def metric(gateway: Gateway, sample: str) -> float:
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=10) as page:
        return float(re.search(rf"^{re.escape(sample)} (\S+)$", page.read().decode(), re.MULTILINE)[1])  # type: ignore[index]


@pytest.fixture
def gateway(new_gateway: Callable[[], Gateway]) -> Iterator[Gateway]:
    """A gateway that is stopped with all its workers: one killed by the fixture would leave them a moment longer."""
    made = new_gateway()
    yield made
    if made.process is not None:
        made.stop()
    if made.log.exists():
        wait_until(lambda: not alive(made))


@pytest.fixture
def scratch(gateway: Gateway, tmp_path: Path) -> Path:
    """Where the gateway puts its temporary files."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    gateway.environ["TMPDIR"] = str(scratch)
    return scratch


def test_what_heard_yes_while_a_worker_was_killed_is_on_the_stream_exactly_once(gateway):
    start(gateway, 3)
    yes: list[str] = []
    killed = Event()

    def send(sender: int) -> None:
        # Until the killed worker is back there is always somebody in mid-sentence with it.
        for number in range(sender, 10**6, SENDERS):
            how = post if number % 2 else mail
            while True:
                try:
                    yes.append(how(gateway, number))
                    break
                except (OSError, smtplib.SMTPException):  # it was cut off: a client comes again, with the same key
                    continue
            if killed.is_set():
                return

    with ThreadPoolExecutor(SENDERS) as senders:
        sending = [senders.submit(send, sender) for sender in range(SENDERS)]
        try:
            wait_until(lambda: len(yes) > 100)
            os.kill(alive(gateway)[2], signal.SIGKILL)
            wait_until(lambda: len(logged(gateway, "worker.started")) == 4)
        finally:
            killed.set()
        for one in sending:
            one.result()
    (died,) = logged(gateway, "worker.died")
    assert (died["worker"], died["status"]) == (2, -signal.SIGKILL)
    found = on_the_streams(gateway)
    assert {id: found[id] for id in yes} == dict.fromkeys(yes, 1)
    assert set(found.values()) == {1}
    assert gateway.stop() == 0


def test_any_worker_tells_the_numbers_of_all_even_of_one_that_died(gateway):
    start(gateway)
    sample = 'gateway_messages_total{channel="web_form",outcome="accepted"}'
    for number in range(40):
        post(gateway, number)
    assert {line["worker"] for line in logged(gateway, "message.accepted")} == {1, 2}
    assert {metric(gateway, sample) for _ in range(10)} == {40}
    os.kill(alive(gateway)[1], signal.SIGKILL)
    wait_until(lambda: len(logged(gateway, "worker.started")) == 3)
    for number in range(40, 50):
        post(gateway, number)
    assert {metric(gateway, sample) for _ in range(10)} == {50}


def test_sigterm_ends_all_within_the_bound_and_frees_the_addresses(gateway):
    start(gateway, 3)
    workers = alive(gateway)
    assert gateway.stop() == 0  # which has to be over within 30 s
    assert len(workers) == 3
    assert not alive(gateway)
    assert not any(map(listens, (gateway.http, gateway.smtp, gateway.valkey)))
    assert gateway.logged().count("The gateway is listening.") == 1


def test_sigterm_waits_for_what_a_worker_has_in_hand(gateway):
    start(gateway)
    with closing(smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=10)) as client:
        client.ehlo()
        client.mail("minsu@acme.example")
        client.rcpt("support@example.com")
        assert client.docmd("DATA")[0] == 354
        client.send(b"From: minsu@acme.example\r\nSubject: half\r\n\r\n")
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(gateway.smtp))
        client.send(b"a mail\r\n.\r\n")
        assert client.getreply()[0] == 250
    assert gateway.process.wait(30) == 0
    gateway.process = None
    assert not logged(gateway, "gateway.cut_short")
    gateway.start()
    assert on_the_streams(gateway).total() == 1


def test_a_second_signal_ends_all_at_once(gateway, scratch):
    start(gateway)
    assert [*scratch.iterdir()]
    with closing(smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=10)) as client:
        client.ehlo()
        client.mail("minsu@acme.example")
        client.rcpt("support@example.com")
        assert client.docmd("DATA")[0] == 354
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(gateway.smtp))
        assert gateway.stop(signal.SIGTERM) == -signal.SIGTERM
        wait_until(lambda: not alive(gateway))
    assert not [*scratch.iterdir()]


def test_ctrl_c_is_130_of_workers_too(gateway):
    start(gateway)
    assert gateway.stop(signal.SIGINT) == 130
    assert not alive(gateway)


def test_a_killed_supervisor_leaves_no_worker_no_taken_address_and_no_file(gateway, scratch):
    start(gateway)
    kept = post(gateway, 1)
    gateway.stop(signal.SIGKILL)
    wait_until(lambda: not alive(gateway))
    wait_until(lambda: not any(map(listens, (gateway.http, gateway.smtp))))
    assert not [*scratch.iterdir()]
    start_again = gateway.log.stat().st_size
    gateway.start("--workers", "2")
    wait_until(lambda: b"The gateway is listening." in gateway.log.read_bytes()[start_again:])
    assert on_the_streams(gateway) == {kept: 1}


def test_a_worker_can_be_asked_to_stop_and_another_takes_its_place(gateway):
    start(gateway)
    os.kill(alive(gateway)[2], signal.SIGTERM)
    wait_until(lambda: len(logged(gateway, "worker.started")) == 3)
    assert [line["status"] for line in logged(gateway, "worker.ended")] == [0]
    assert not logged(gateway, "worker.died")
    post(gateway, 1)


def test_a_second_start_says_that_the_address_is_taken_with_and_without_workers(gateway):
    start(gateway)
    for workers in ("1", "2"):
        second = gateway.call("run", "--workers", workers)
        assert second.returncode == 1
        assert f"127.0.0.1:{gateway.http} is taken" in second.stderr
        assert "Traceback" not in second.stderr


def test_a_worker_whose_dependency_is_down_says_so_once_and_the_start_exits_4(gateway):
    (gateway.folder / "valkey").write_text("where a directory should be")
    done = gateway.call("run", "--workers", "3")
    assert done.returncode == 4
    assert done.stderr.count("the embedded server cannot use") == 1
    assert "Traceback" not in done.stderr


def test_a_wrong_configuration_is_said_once_and_exits_3(gateway):
    gateway.config.write_text(gateway.config.read_text().replace("customers.csv", "nobody.csv"))
    done = gateway.call("run", "--workers", "3")
    assert done.returncode == 3
    assert done.stderr.count("nobody.csv") == 1


def test_a_mail_port_that_each_worker_would_choose_for_itself_is_refused(gateway):
    gateway.config.write_text(gateway.config.read_text().replace(f"127.0.0.1:{gateway.smtp}", "127.0.0.1:0"))
    done = gateway.call("run", "--workers", "2")
    assert done.returncode == 3
    assert "inbox support: listen" in done.stderr


def test_a_free_port_of_the_web_is_the_same_for_all(gateway):
    gateway.config.write_text(gateway.config.read_text().replace(f"port: {gateway.http},", "port: 0,"))
    with gateway.log.open("ab") as log:
        gateway.process = subprocess.Popen(
            gateway.command("run", "--workers", "2"), stdout=log, stderr=log, env=gateway.environ
        )
    wait_until(lambda: "The gateway is listening." in gateway.logged())
    urls = {line["url"] for line in logged(gateway, "gateway.started")}
    assert len(urls) == 1
    gateway.url = urls.pop()
    post(gateway, 1)


def test_nobody_becomes_a_worker_by_hand():
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "run", "--worker", "1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"use --workers" in done.stderr
