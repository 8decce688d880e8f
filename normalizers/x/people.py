"""Accounts of X: whose they are, and how they are reached."""

import re

import msgspec

from normalizers.message import Address, Requester
from normalizers.text import clean_line
from normalizers.x.place import Place

_HANDLE = re.compile(r"[A-Za-z0-9_]{1,20}")
_LONGEST_NAME = 200


class Ours(msgspec.Struct, frozen=True):
    """The accounts an event counts as ours, and the one whose subscription brought it."""

    subscriber: str | None
    ids: frozenset[str]

    def recipients(self, addressed: frozenset[str] = frozenset()) -> tuple[Address, ...]:
        """The subscriber where it is ours, else those of ours that were addressed."""
        found = [self.subscriber] if self.subscriber in self.ids else sorted(self.ids & addressed)
        return tuple(Address("twitter", one) for one in found if one)


def requester(user_id: str, user: Place) -> Requester:
    """Id first: a handle may be given up and taken by somebody else."""
    person = user.unwrapped()
    addresses = [Address("twitter", user_id)]
    handle = person.at("username", "screen_name").text() or ""
    # A handle may be all digits, and would pass for the id of another account.
    if _HANDLE.fullmatch(handle) and not handle.isdigit():
        addresses.append(Address("twitter", handle.lower()))
    name = clean_line(person.at("name").text() or "", _LONGEST_NAME)
    return Requester(addresses=tuple(addresses), name=name or None)


def find_user(users: Place, user_id: str) -> Place:
    """One user of a list, or of an object keyed by user id; each flat or under `data`."""
    for user in users.items():
        if user.unwrapped().at("id_str", "id").number() == user_id:
            return user
    return users.at(user_id)
