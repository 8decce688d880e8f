"""Ten mails of 25 MB at once: nobody else waits for them, and they fit on disk, not in memory."""

import base64
import hashlib
import random
import smtplib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.acceptance.conftest import Gateway
from tests.acceptance.test_straight_line import events, form, mail, post, send_mail

MAILS = 10
ATTACHMENT = 25 * 2**20
MOST_GROWTH = 150 * 10**6
MOST_WAITING = 1.0
"""Seconds; five times what is promised, for machines that do more than this test."""
LINE = 57
"""Bytes of a line of base64."""


class Large:
    """Mails that differ in the first lines of their attachment, so that no two are one file."""

    def __init__(self) -> None:
        self._common = random.Random(7).randbytes(ATTACHMENT - 100 * LINE)
        self._encoded = base64.encodebytes(self._common).replace(b"\n", b"\r\n")

    def first(self, number: int) -> bytes:
        return random.Random(number).randbytes(100 * LINE)

    def digest(self, number: int) -> str:
        return hashlib.sha256(self.first(number) + self._common).hexdigest()

    def send(self, gateway: Gateway, number: int) -> None:
        head = (
            f"From: minsu@acme.example\r\nTo: support@example.com\r\nSubject: large {number}\r\n"
            f"Message-ID: <large-{number}@acme.example>\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/mixed; boundary=BB\r\n\r\n--BB\r\n\r\nSee the attachment.\r\n--BB\r\n"
            "Content-Type: application/zip; name=large.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        )
        with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=300) as client:
            client.ehlo()
            client.mail("minsu@acme.example")
            client.rcpt("support@example.com")
            assert client.docmd("DATA")[0] == 354
            assert client.sock is not None
            client.sock.sendall(head.encode())
            client.sock.sendall(base64.encodebytes(self.first(number)).replace(b"\n", b"\r\n"))
            client.sock.sendall(self._encoded)
            client.sock.sendall(b"--BB--\r\n.\r\n")
            code, said = client.getreply()
            assert code == 250, said


def family(pid: int) -> Iterator[int]:
    """A process and all below it, but the queue's server."""
    with suppress(OSError):
        if "valkey" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8"):
            return
        yield pid
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="utf-8").split():
                yield from family(int(child))


def resident(pid: int) -> int:
    """Bytes of memory that a process and all below it have resident."""
    found = 0
    for one in family(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/status").read_text(encoding="utf-8").splitlines():
                if line.startswith("VmRSS:"):
                    found += int(line.split()[1]) * 1024
    return found


@contextmanager
def repeatedly(action: Callable[[], None]) -> Iterator[None]:
    """In a thread of its own while entered; raises what it raised."""
    over = threading.Event()

    def act() -> None:
        while not over.is_set():
            action()

    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        try:
            yield
        finally:
            over.set()
        acting.result(60)


def timed(waited: list[float], action: Callable[[int], None]) -> Callable[[], None]:
    def act() -> None:
        began = time.monotonic()
        action(len(waited))
        waited.append(time.monotonic() - began)

    return act


def test_ten_mails_of_25_mb_at_once_hold_up_nobody_and_stay_out_of_memory(gateway, capsys):
    large, sizes = Large(), list[int]()
    mails, forms = list[float](), list[float]()
    assert gateway.process is not None
    pid = gateway.process.pid

    def small(number: int) -> None:
        send_mail(gateway, mail(number=number))

    def ask(_: int) -> None:
        assert post(gateway, form())[0] == 202

    def look() -> None:
        sizes.append(resident(pid))
        time.sleep(0.01)

    small(-1)
    ask(-1)
    before = resident(pid)
    with (
        repeatedly(look),
        repeatedly(timed(mails, small)),
        repeatedly(timed(forms, ask)),
        ThreadPoolExecutor(MAILS) as senders,
    ):
        began = time.monotonic()
        assert len(list(senders.map(lambda number: large.send(gateway, number), range(MAILS)))) == MAILS
        took = time.monotonic() - began
    growth = max(sizes) - before
    others = (("mails", mails), ("forms", forms))
    waited = " and ".join(f"{len(all_)} {what}, the slowest in {max(all_) * 1000:.0f} ms" for what, all_ in others)
    figures = f"{MAILS} mails of 25 MiB at once in {took:.1f} s: {growth / 1e6:.0f} MB more memory; meanwhile {waited}"
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")
    arrived = {one["data"]["subject"]: one["data"] for one in events(gateway, "premium")}
    for number in range(MAILS):
        data = arrived[f"large {number}"]
        (file,) = data["attachments"]
        assert (file["size"], file["sha256"], file["status"]) == (ATTACHMENT, large.digest(number), "stored")
        assert sha256_of(file["uri"]) == file["sha256"]
        assert sha256_of(data["raw"]["uri"]) == data["raw"]["sha256"]
        assert (data["text"].strip(), data["warnings"]) == ("See the attachment.", [])
    assert growth < MOST_GROWTH
    assert max(*mails, *forms) < MOST_WAITING
    assert not list((gateway.folder / "spool").glob("scratch-*/*[!k]"))


def sha256_of(uri: str) -> str:
    with Path(uri.removeprefix("file://")).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
