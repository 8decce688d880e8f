"""Which channels there are: ours by name, a stranger's by entry point; each imported only when asked for."""

import importlib
import importlib.util
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeGuard

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
    installed = _installed()  # a claim on one of our names must not go unnoticed
    if name in BUILT_IN:
        return _manifest(importlib.import_module(f"channels.{room(name)}").CHANNEL, name)
    return _manifest(_point(name, installed).load(), name)


def room(name: str) -> str:
    """The name of a built-in channel's modules: `channels.<room>`, `normalizers.<room>`."""
    return _ROOMS.get(name, name)


def settings_class(name: str) -> type[ChannelSettings]:
    """The settings of a channel, planned ones included. Raises LookupError."""
    from channels.planned import PLANNED

    if name in PLANNED:
        return PLANNED[name]
    if name in BUILT_IN:
        # Without the adapter: reading a configuration must not import the SDK of every channel it switches off.
        module = importlib.import_module(f"channels.{room(name)}.settings")
        return next(own for own in vars(module).values() if _is_settings_of(own, module.__name__))
    if name in names():
        return load(name).settings
    raise LookupError(f"no channel named {name!r}; there are: {', '.join(sorted({*names(), *PLANNED}))}")


def _is_settings_of(value: object, module: str) -> TypeGuard[type[ChannelSettings]]:
    return isinstance(value, type) and issubclass(value, ChannelSettings) and value.__module__ == module


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
    point = _point(name, _installed())
    spec = importlib.util.find_spec(point.module)  # found, not imported
    if spec is None or spec.origin is None:
        raise LookupError(f"the channel {name!r} is not where its entry point says: {point.value}")
    return Path(spec.origin).parent


def _point(name: str, installed: Sequence[EntryPoint]) -> EntryPoint:
    """The one entry point of that name. Raises LookupError."""
    found = [point for point in installed if point.name == name]
    if len(found) > 1:
        claims = ", ".join(sorted(point.value for point in found))
        raise LookupError(f"the channel {name!r} is claimed more than once: {claims}")
    if not found:
        raise LookupError(f"no channel named {name!r}; there are: {', '.join(names())}")
    return found[0]


def _manifest(found: object, name: str) -> Channel[Any, Any]:
    if not isinstance(found, Channel) or found.name != name:
        raise LookupError(f"the channel {name!r} has no manifest of that name (CHANNEL = Channel(name={name!r}, …))")
    return found
