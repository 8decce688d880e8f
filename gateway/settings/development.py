"""Throw-away secrets that let a newcomer try every channel: never beyond this machine."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from pydantic import BaseModel, SecretStr

from gateway.settings.file import KeyPath

PREFIX = "development-only"
_TOKEN_SHA256 = "d8d52f7804aa9c75a61b8e419f94c5433a5c336d916ae91fce1b4c5a13d730a4"
"""Of `development-only-portal`, the token that `simulate api` presents."""


def find(value: object, path: KeyPath) -> Iterator[KeyPath]:
    """Where below `path` a secret that everybody knows is in use."""
    if isinstance(value, BaseModel):
        value = dict(iter(value))  # a field named `keys` would pass for the method of a mapping
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str):
        if value.startswith(PREFIX) or value == _TOKEN_SHA256:
            yield path
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from find(below, (*path, str(key)))
    elif isinstance(value, tuple | list):
        for number, below in enumerate(value):
            yield from find(below, (*path, number))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
