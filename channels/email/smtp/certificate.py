"""The certificate of the SMTP server, read again when its files change."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from channels.email.smtp.settings import TlsSettings

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the files."""
_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_State = tuple[tuple[int, ...], ...] | None

log = structlog.get_logger()


class Certificate:
    """Raises OSError in an operator's words where there is none to begin with; later the last good one is kept."""

    def __init__(self, settings: TlsSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._state = self._files()
        self._context = load(settings)
        self._looked = self._clock()

    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        if self._clock() - self._looked >= LOOK_EVERY:
            self._looked = self._clock()
            self._look()
        return self._context

    def _look(self) -> None:
        state = self._files()  # before they are read: what is written meanwhile is seen the next time
        if state == self._state:
            return
        self._state = state
        try:
            self._context = load(self._settings)
        except OSError as error:
            log.error("certificate.kept", channel="email", reason=str(error))
        else:
            log.info("certificate.renewed", channel="email")

    def _files(self) -> _State:
        """What changes with them; None while they are not there."""
        try:
            stats = [path.stat() for path in (self._settings.certificate, self._settings.key)]
        except OSError:
            return None
        return tuple((found.st_mtime_ns, found.st_size, found.st_ino) for found in stats)


def load(settings: TlsSettings) -> ssl.SSLContext:
    """Raises OSError in an operator's words; reads the files in the calling thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.minimum_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    for key, path in (("certificate", settings.certificate), ("key", settings.key)):
        _check_readable(key, path)
    try:
        # Without a password OpenSSL would ask for one at the terminal, and wait.
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except ssl.SSLError as error:
        why = _WHY_NOT.get(error.reason or "", "are no certificate and key in PEM, or the key has a passphrase")
        raise OSError(f"tls.certificate and tls.key {why}") from error
    return context


def _check_readable(key: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise OSError(f"tls.{key} cannot be read: {error.strerror}") from error


_WHY_NOT: Final = {
    "KEY_VALUES_MISMATCH": "do not belong together",
    "KEY_TYPE_MISMATCH": "do not belong together",
    "EE_KEY_TOO_SMALL": "are too weak: the key is too short",
    "CA_MD_TOO_WEAK": "are too weak: the signature is of a kind that is broken",
}
