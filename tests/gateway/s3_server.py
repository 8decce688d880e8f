"""A real S3 server on loopback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer

from tests.support import free_port


class S3Server:
    """Has one bucket, `tickets`; takes any credentials until it is told not to."""

    access: Final = {"access_key_id": "who", "secret_access_key": "secret", "region": "us-east-1"}

    def __init__(self) -> None:
        self._port = free_port()
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self._server: ThreadedMotoServer | None = None

    @property
    def options(self) -> dict[str, str]:
        """What a gateway has to know of it."""
        return {"endpoint": self.endpoint, **self.access}

    def start(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        self._make()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody's credentials are good enough."""
        self._ask("POST", "/moto-api/reset-auth", b"0")
        try:
            yield
        finally:
            self._ask("POST", "/moto-api/reset-auth", b"inf")

    def empty(self) -> None:
        """As it was at the start."""
        self._ask("POST", "/moto-api/reset", b"")
        self._make()

    def _make(self) -> None:
        self._ask("PUT", "/tickets")
        # What is written again has another version, then.
        status = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        self._ask("PUT", "/tickets?versioning", status)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> None:
        headers = {"Content-Type": "text/plain"}
        with urlopen(Request(self.endpoint + path, data=body, method=method, headers=headers)):
            pass
