"""Log lines on stderr: colours for a person at a terminal, one JSON object per line for a machine."""

import logging
import sys
from typing import Any, Literal

import msgspec
import structlog

LogFormat = Literal["auto", "console", "json"]

_SILENCED = ("mail.log", "aiohttp.access")  # they write addresses; our own events say what matters


def configure(level: str = "info", format: LogFormat = "auto") -> None:
    """Set up structlog and route the libraries' own loggers through it; `auto` asks whether stderr is a tty."""
    number = logging.getLevelNamesMapping()[level.upper()]
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(
            fmt="%H:%M:%S" if console else "iso", utc=not console, key="timestamp" if console else "time"
        ),
    ]
    render: list[Any]
    if console:
        render = [structlog.dev.ConsoleRenderer(pad_event_to=18)]
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        render = [structlog.processors.format_exc_info, _to_json]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(render if console else [structlog.processors.format_exc_info, _to_json_text]),
            ],
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _to_json(_logger: object, _method: str, event: structlog.typing.EventDict) -> bytes:
    first = {key: event.pop(key) for key in ("time", "level", "event") if key in event}
    return msgspec.json.encode({**first, **event}, enc_hook=repr)


def _to_json_text(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    return _to_json(logger, method, event).decode()
