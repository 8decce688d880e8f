"""Log lines on stderr: colours for a person at a terminal, one JSON object per line for a machine."""

import asyncio
import atexit
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, TextIO, cast

import msgspec
import structlog

LogFormat = Literal["auto", "console", "json"]

# They write addresses, peers and pieces of requests; our own events say what matters.
_SILENCED = ("mail.log", "aiohttp.access", "aiohttp.server")


def configure(level: str = "info", format: LogFormat = "auto", *, worker: int | None = None) -> None:
    """Set up structlog and route the libraries' own loggers through it; `auto` asks whether stderr is a tty.

    Every line of a worker says which one it is.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Any]
    wrapper: Any = structlog.make_filtering_bound_logger(number)
    always: list[Any] = [] if worker is None else [lambda _logger, _method, event: {"worker": worker, **event}]
    if format == "console" or (format == "auto" and sys.stderr.isatty()):
        processors = [
            *always,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(pad_event_to=18, sort_keys=False),
        ]
        foreign: list[Any] = processors
        factory: Any = structlog.PrintLoggerFactory(cast(TextIO, _Unbreakable(sys.stderr)))
    else:
        lines = Lines(sys.stderr.buffer)
        atexit.register(lines.flush)
        processors, factory = [*always, _to_json], lambda *_: lines
        if number <= logging.INFO:
            wrapper = _straight(wrapper, {} if worker is None else {"worker": worker})
        foreign = [*always, structlog.processors.format_exc_info, lambda *event: _to_json(*event).decode()]
    structlog.configure(
        processors=processors,
        wrapper_class=wrapper,
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[remove, *foreign], foreign_pre_chain=[structlog.stdlib.add_logger_name]
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Lines:
    """A logger that writes the lines of one turn of the event loop with one system call."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._waiting: list[bytes] = []

    def info(self, line: bytes) -> None:
        """Write a line, at the latest when the loop comes round; at once where no loop runs."""
        self._waiting.append(line)
        if len(self._waiting) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    debug = warning = error = critical = info

    def flush(self) -> None:
        """Write what waits."""
        lines, self._waiting = self._waiting, []
        if lines:
            with suppress(OSError):  # nobody reads our log any more: that must not be a customer's problem
                self._file.write(b"\n".join((*lines, b"")))
                self._file.flush()


class _Unbreakable:
    """A text stream that nobody has to be reading."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


_encode = msgspec.json.Encoder(enc_hook=repr).encode


def _to_json(_logger: object, method: str, event: structlog.typing.EventDict) -> bytes:
    name = event.pop("event")
    return _encode({"time": datetime.now(UTC), "level": method, "event": name, **event})


def _straight(plain: Any, always: Mapping[str, Any]) -> Any:
    """`info`, which says one line per message, past the chain of processors: the same line for a third of the time."""

    class StraightLogger(plain):  # type: ignore[misc]  # structlog makes its loggers at run time
        def info(self, event: str, **fields: Any) -> None:
            head = {"time": datetime.now(UTC), "level": "info", "event": event}
            self._logger.info(_encode({**head, **always, **self._context, **fields}))

    return StraightLogger
