"""One connection to the mailbox: blocking calls that each end within the time-out, and raise in fixed words."""

import logging
import os
import re
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from imapclient import IMAPClient  # type: ignore[import-untyped]  # it comes without types
from imapclient.exceptions import (  # type: ignore[import-untyped]  # it comes without types
    IMAPClientAbortError,
    IMAPClientError,
)

from channels.email.imap import troubles
from channels.email.imap.settings import ImapSettings
from channels.email.imap.troubles import LinkDown, NoIdle, Refused

PIECE: Final = 1024 * 1024
"""Bytes of a large mail asked for at once."""

_LITERAL8 = re.compile(rb"~\{\d+\}")

# It logs what servers say and what is sent to them; the words of `troubles` say what matters.
logging.getLogger("imapclient").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder as it was found."""

    validity: int
    next_uid: int
    """No mail in it has this UID or a higher one."""
    numbered: bool
    """Whether the server itself said so: then it never becomes less."""
    mails: int


class Connection:
    """Connected and logged in by `open`; one thread uses it, any may `abort` it."""

    def __init__(self, settings: ImapSettings) -> None:
        self._settings = settings
        self._timeout = settings.timeout.total_seconds()
        self._client: Any = None
        self._aborted = False

    def open(self, token: str | None) -> None:
        """`token`: the OAuth 2 access token, if that is how to log in. Raises MailboxError."""
        try:
            try:
                with _in_words():
                    self._client = self._connected()
            except Refused:
                raise LinkDown(troubles.NO_GREETING) from None
            if self._aborted:
                raise LinkDown(troubles.CLOSED)
            with _in_words():
                if self._settings.tls == "starttls":
                    self._client.starttls(self._trust())
                self._login(token)
        except BaseException:
            self.close()
            raise

    def _connected(self) -> Any:
        host, port = self._settings.endpoint
        implicit = self._settings.tls == "implicit"
        context = self._trust() if implicit else None
        return IMAPClient(host, port, ssl=implicit, ssl_context=context, timeout=self._timeout)

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca)

    def _login(self, token: str | None) -> None:
        client, settings = self._client, self._settings
        try:
            if token is not None:
                client.oauth2_login(settings.user, token)
                return
            assert settings.password is not None
            password = settings.password.get_secret_value()
            if client.has_capability("AUTH=PLAIN"):  # LOGIN has no words for what is not ASCII
                client.plain_login(settings.user, password)
            else:
                client.login(settings.user, password)
        except IMAPClientError as error:
            # A LoginError hides what it was made from: a connection that broke is no refusal.
            cause = error.__context__
            if isinstance(cause, IMAPClientAbortError):
                raise cause from None
            raise troubles.login_failed(str(error)) from None

    def can_idle(self) -> bool:
        """Whether the server says so. Raises MailboxError."""
        with _in_words():
            return bool(self._client.has_capability("IDLE"))

    def examine(self, folder: str) -> Folder:
        """Select a folder for reading alone. Raises MailboxError; Refused where there is no such folder."""
        with _in_words():
            found = self._client.select_folder(folder, readonly=True)
            validity, mails = found.get(b"UIDVALIDITY"), found.get(b"EXISTS", 0)
            if not validity:
                raise Refused
            told = found.get(b"UIDNEXT")
            next_uid = told or max(self._client.search(["UID", "*"]), default=0) + 1
        return Folder(validity=validity, next_uid=next_uid, numbered=bool(told), mails=mails)

    def search(self, first: int, last: int, since: date | None = None) -> list[int]:
        """The UIDs of the mails there are, ascending; `since` by the day the server got them. Raises MailboxError."""
        criteria: list[object] = ["UID", f"{first}:{last}"]
        with _in_words():
            found = self._client.search(criteria if since is None else [*criteria, "SINCE", since])
        return sorted(uid for uid in set(found) if first <= uid <= last)

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """In bytes, of those that are still there. Raises MailboxError."""
        with _in_words():
            found = self._client.fetch(uids, ["RFC822.SIZE"])
        sizes = {uid: items.get(b"RFC822.SIZE") for uid, items in found.items()}
        return {uid: size for uid, size in sizes.items() if isinstance(size, int)}

    def fetch(self, uids: Sequence[int]) -> dict[int, bytes | None]:
        """Of those that are still there the mail, or None where the server gives none. Raises MailboxError."""
        with _in_words():
            found = self._client.fetch(uids, ["BODY.PEEK[]"])
        return {uid: _text(items, b"BODY[]") for uid, items in found.items()}

    def fetch_pieces(self, uid: int, size: int) -> Iterator[bytes]:
        """A large mail, piece by piece; `size` is what the server says it has, and some say too much.

        Raises MailboxError; Refused where it is not given out, or not to its end.
        """
        at = 0
        while True:
            with _in_words():
                found = self._client.fetch([uid], [f"BODY.PEEK[]<{at}.{PIECE}>"])
            piece = _text(found.get(uid, {}), b"BODY[]<%d>" % at)
            if not piece:
                # Nothing is an end; no answer about the mail is one that was removed meanwhile.
                if at == 0 or (piece is None and at < size):
                    raise Refused
                return
            yield piece
            at += len(piece)
            # Not by length alone: there are servers with a smaller largest piece of their own.
            if at >= size and len(piece) < PIECE:
                return

    def header(self, uid: int) -> bytes | None:
        """The header alone. Raises MailboxError."""
        with _in_words():
            found = self._client.fetch([uid], ["BODY.PEEK[HEADER]"])
        return _text(found.get(uid, {}), b"BODY[HEADER]")

    def idle(self, seconds: float) -> None:
        """Wait until the server tells of something, at most so long. Raises MailboxError; NoIdle where it refuses."""
        with _in_words():
            try:
                self._client.idle()
            except IMAPClientAbortError:
                raise
            except IMAPClientError as error:
                # News before the go-ahead, for which the library has no ear, is a connection to begin anew.
                raise LinkDown(troubles.NEWS) if "b'* " in str(error) else NoIdle from None
            self._silence(seconds)
            self._client.idle_done()

    def _silence(self, seconds: float) -> None:
        """Until there is something to read; what it is, the next command will find."""
        sock, ends = self._client.socket(), time.monotonic() + seconds
        poller = select.poll()
        poller.register(sock.fileno(), select.POLLIN)
        sock.settimeout(0)
        try:
            # What came in one packet with the go-ahead waits in a buffer that poll() knows nothing of.
            with suppress(ssl.SSLWantReadError):
                if self._client._imap.file.peek(1):
                    return
            poller.poll(max(ends - time.monotonic(), 0) * 1000)
        finally:
            sock.settimeout(self._timeout)

    def abort(self) -> None:
        """From another thread: whatever waits here for the server ends now."""
        self._aborted = True
        if self._client is not None:
            with suppress(OSError):
                # Past the TLS layer, which is the other thread's to use.
                socket.socket.shutdown(self._client.socket(), socket.SHUT_RDWR)

    def close(self) -> None:
        """Without a word: nothing here needs one, and a server that hangs would not hear it."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, IMAPClientError):
                client.shutdown()


def write(pieces: Iterator[bytes], path: Path) -> int:
    """Put a mail on the scratch disk; its size. Raises OSError beside what the pieces raise."""
    with path.open("xb") as file:
        for piece in pieces:
            file.write(piece)
        return file.tell()


def _text(items: dict[bytes, object], key: bytes) -> bytes | None:
    value = items.get(key)
    # The library drops what follows the sign of a binary literal, and returns the sign.
    if not isinstance(value, bytes) or _LITERAL8.fullmatch(value):
        return None
    return value


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except troubles.MailboxError:
        raise
    except ssl.SSLCertVerificationError:
        raise LinkDown(troubles.UNTRUSTED) from None
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        raise LinkDown(troubles.LOST) from None
    except ssl.SSLError:
        raise LinkDown(troubles.NO_TLS) from None
    except socket.gaierror:
        raise LinkDown(troubles.UNKNOWN_HOST) from None
    except TimeoutError:
        raise LinkDown(troubles.SILENT) from None
    except OSError as error:
        raise LinkDown(os.strerror(error.errno) if error.errno else type(error).__name__) from None
    except IMAPClientError as error:
        raise troubles.translated(str(error), lost=isinstance(error, IMAPClientAbortError)) from None
    except Exception:  # the library meets an answer that is none with whatever its parser stumbles over
        raise LinkDown(troubles.NONSENSE) from None
