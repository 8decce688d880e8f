"""An answer written in one piece, for routes that programs knock at thousands of times a second."""

from aiohttp import HttpVersion11
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web import BaseRequest, Response, StreamResponse

SERVER = "gateway"
"""What every answer calls the software: no name or version that a scanner could look up."""


class AcceptedResponse(StreamResponse):
    """A 202 with a JSON body. aiohttp's own way through headers and signals costs as much as sealing a message.

    An HTTP/1.0 client, or one that closes the connection, gets an ordinary response of the same words.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(status=202)
        self.body = body
        self._ordinary: Response | None = None

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Write head and body at once."""
        if not request.keep_alive or request.version != HttpVersion11:
            self._ordinary = Response(status=202, body=self.body, content_type="application/json")
            return await self._ordinary.prepare(request)
        await request.writer.write(b"%b%d\r\n\r\n%b" % (_head(), len(self.body), self.body))
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """The body went with the head."""
        if self._ordinary is not None:
            await self._ordinary.write_eof(data)

    @property
    def keep_alive(self) -> bool | None:
        """Whether another request may follow."""
        return self._ordinary is None or self._ordinary.keep_alive


def _head() -> bytes:
    """Everything up to the length; made anew when the second changes."""
    global _second, _made
    if (date := rfc822_formatted_time()) is not _second:
        _second = date
        _made = (
            f"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nDate: {date}\r\n"
            f"Server: {SERVER}\r\nContent-Length: "
        ).encode()
    return _made


_second, _made = "", b""
