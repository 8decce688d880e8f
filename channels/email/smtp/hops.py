"""Mail that goes round in circles, seen in its header."""

LOOP_MARK = "X-Gateway-Loop"
"""On every mail the gateway's own side sends out; a mail that comes with it has been here."""
MAX_HOPS = 50
"""Received lines; each server that handled the mail wrote one. Postfix calls it hopcount_limit."""

_HEADER_CAP = 256 * 1024
_MARK = f"\n{LOOP_MARK.lower()}:".encode()


def is_loop(content: bytes) -> bool:
    """Whether the mail passed too many servers, or ours before. Looks at the header only."""
    end = content.find(b"\r\n\r\n", 0, _HEADER_CAP)
    header = b"\n" + content[: end if end >= 0 else _HEADER_CAP].lower()
    return header.count(b"\nreceived:") > MAX_HOPS or _MARK in header
