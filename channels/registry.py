"""Which channels there are: ours by name, a stranger's by entry point; each imported only when asked for."""

import importlib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from channels.api import Channel, ChannelSettings

BUILT_IN = ("api", "chat", "email", "phone", "twitter", "web_callback", "web_form")
_ROOMS = {"api": "api_inbox"}
"""Where a channel's room has another name than the channel: `channels.api` is the contract of all of them."""
ENTRY_POINTS = "omnichannel_gateway.channels"


def names() -> list[str]:
    """Every channel with an adapter, built in and installed, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in _installed())})


def load(name: str) -> Channel[Any, Any]:
    """Import one channel's manifest. Raises LookupError in an operator's words."""
    if name in BUILT_IN:
        return _manifest(importlib.import_module(f"channels.{room(name)}").CHANNEL, name)
    found = [point for point in _installed() if point.name == name]
    if len(found) == 1:
        return _manifest(found[0].load(), name)
    if found:
        claims = ", ".join(sorted(point.value for point in found))
        raise LookupError(f"the channel {name!r} is claimed more than once: {claims}")
    raise LookupError(f"no channel named {name!r}; there are: {', '.join(names())}")


def room(name: str) -> str:
    """The name of a built-in channel's modules: `channels.<room>`, `normalizers.<room>`."""
    return _ROOMS.get(name, name)


def settings_class(name: str) -> type[ChannelSettings]:
    """The settings of a channel, planned ones included. Raises LookupError."""
    from channels.planned import PLANNED

    if name in PLANNED:
        return PLANNED[name]
    if name in names():
        return load(name).settings
    raise LookupError(f"no channel named {name!r}; there are: {', '.join(sorted({*names(), *PLANNED}))}")


def is_planned(name: str) -> bool:
    """Whether the type is accepted in a configuration but has no adapter yet."""
    from channels.planned import PLANNED

    return name in PLANNED


def readme(name: str) -> str:
    """The channel's own guide. Raises LookupError where there is none."""
    try:
        return (_folder(name) / "README.md").read_text(encoding="utf-8")
    except OSError as error:
        raise LookupError(f"the channel {name!r} has no README.md") from error


def samples(name: str) -> list[Path]:
    """The files `simulate` can send for a channel, in the order it offers them."""
    return sorted(path for path in (_folder(name) / "samples").glob("*") if path.is_file())


def _installed() -> list[EntryPoint]:
    points = list(entry_points(group=ENTRY_POINTS))
    for point in points:
        if point.name in BUILT_IN:
            raise LookupError(f"{point.value} claims the name of the built-in channel {point.name!r}: uninstall it")
    return points


def _folder(name: str) -> Path:
    if name in BUILT_IN:
        return Path(__file__).parent / room(name)
    point = next((point for point in _installed() if point.name == name), None)
    if point is None:
        raise LookupError(f"no channel named {name!r}; there are: {', '.join(names())}")
    return Path(str(importlib.import_module(point.module).__file__)).parent


def _manifest(found: object, name: str) -> Channel[Any, Any]:
    if not isinstance(found, Channel) or found.name != name:
        raise LookupError(f"the channel {name!r} has no manifest of that name (CHANNEL = Channel(name={name!r}, …))")
    return found
