"""A provider of OAuth 2 tokens on loopback: grants them (RFC 6749) and says which are good (RFC 7662)."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.support import free_port

REFRESH_TOKEN, CLIENT_ID, CLIENT_SECRET = "refresh-1", "the-gateway", "client-secret-1"


class OAuth2Provider:
    """While entered; `good` are the tokens in force, by user."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/token"
        self.good: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        self.user = ""
        """For whom the next token is."""
        self.status = 200
        self.grant: Callable[[], dict[str, Any]] = self._grant
        self._server: Any = None

    def settings(self, **more: Any) -> dict[str, Any]:
        named = {"token_url": self.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        return {**named, "refresh_token": REFRESH_TOKEN, **more}

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path == "/introspect":
            user = self.good.get(form.get("token", ""))
            return 200, {"active": True, "email": user} if user else {"active": False}
        self.asked.append(form)
        if self.status != 200:
            return self.status, {"error": "invalid_grant"}
        return 200, self.grant()

    def _grant(self) -> dict[str, Any]:
        token = f"access-{len(self.asked)}"
        self.good[token] = self.user
        return {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}

    def __enter__(self) -> "OAuth2Provider":
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
                status, answer = provider.answer(self.path, form)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nowhere."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
