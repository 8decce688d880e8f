"""What a server's error answer says: nobody can write just now, or this one entry cannot be written."""

import re

from redis.exceptions import ResponseError

_PLAIN = "ERR"
_FROM_SCRIPT = re.compile(r"user_script: ?\d+")
_WITHIN = re.compile(r"user_script: ?\d+: -?([A-Z]{3,}) ")
"""Redis 6.2 hands the errors of a script's commands on inside its own: `@user_script:23: -OOM command not …`."""
_OF_NO_ENTRY = (
    "The user executing the script",  # 6.2, 7.0: the ACL forbids a command of the script
    "ACL failure in script",
    "non local key",  # the slot left while the script ran
    "Script killed",
)


def nobody_can_write(error: ResponseError, *, handed_on: bool = False) -> bool:
    """Whether any other write to this server would fail as well: it is full, read-only, loading, elsewhere, forbidden …

    Every error with a code of its own says so (OOM READONLY LOADING MISCONF MASTERDOWN CLUSTERDOWN NOREPLICAS NOAUTH
    WRONGPASS NOPERM BUSY MOVED ASK TRYAGAIN CROSSSLOT …, and those still to be invented), and so does a plain one from
    outside the script (an unknown command, a proxy). What is left is the fault of what was written: WRONGTYPE,
    and what the script stumbled over; `handed_on` is an error the script met and gave as an entry's answer.
    """
    code, text = word(error), str(error)
    if code != _PLAIN:
        return code != "WRONGTYPE"
    return not (handed_on or _FROM_SCRIPT.search(text)) or any(sign in text for sign in _OF_NO_ENTRY)


def word(error: Exception) -> str:
    """The server's own word for an error, or the name of ours: fit for a log, it holds nothing that was sent."""
    if not isinstance(error, ResponseError):
        code = getattr(error, "status_code", None)
        return code if isinstance(code, str) else type(error).__name__
    # The client cuts off the codes it knows.
    code = error.status_code or str(error).partition(" ")[0]
    if not (code.isalpha() and code.isupper()):
        code = _PLAIN
    within = _WITHIN.search(str(error)) if code == _PLAIN else None
    return within[1] if within else code
