"""`${NAME}`, `${NAME:-default}` and `${file:/run/secrets/x}` inside a text of the configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_REFERENCE = re.compile(
    r"\$(?P<escaped>\$\{)"
    r"|\$\{file:(?P<file>[^}]*)\}"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<optional>:-(?P<default>[^}]*))?\}"
    r"|(?P<broken>\$\{)"
)
_MAX_SECRET = 64 * 1024


@dataclass(kw_only=True)
class Substituted:
    """A text after replacement. `secrets` pairs what came from outside with the reference that brought it."""

    text: str
    faults: list[tuple[int, str]] = field(default_factory=list)
    """Offset of the reference in the original text, and what is wrong with it."""
    secrets: list[tuple[str, str]] = field(default_factory=list)


def substitute(text: str, environ: Mapping[str, str]) -> Substituted:
    """`$${` stands for `${`; an empty variable is unset only where there is a default, as in a shell."""
    done = Substituted(text="")

    def replacement(match: re.Match[str]) -> str:
        if match["escaped"]:
            return match["escaped"]
        try:
            value, foreign = _resolve(match, environ)
        except _Unresolved as fault:
            done.faults.append((match.start(), str(fault)))
            return ""
        if foreign and value:
            done.secrets.append((value, match[0]))
        return value

    done.text = _REFERENCE.sub(replacement, text)
    return done


class _Unresolved(Exception):
    pass


def _resolve(match: re.Match[str], environ: Mapping[str, str]) -> tuple[str, bool]:
    """The value, and whether it came from outside the configuration."""
    if match["broken"]:
        raise _Unresolved("a variable is written ${NAME} or ${NAME:-default}; write $${ for a literal ${")
    if match["file"] is not None:
        return _secret_file(match["file"]), True
    name = match["name"]
    value = environ.get(name)
    if match["optional"] is not None:
        return (value, True) if value else (match["default"], False)
    if value is None:
        raise _Unresolved(f"the environment variable {name} is not set (a default is written ${{{name}:-…}})")
    return value, True


def _secret_file(name: str) -> str:
    what = f"the secret file {name!r}"
    path = Path(name)
    try:
        # Not a device or a pipe: those have no end.
        if name and path.exists() and not path.is_file():
            raise _Unresolved(f"{what} is not a regular file")
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET + 1)
        if len(content) > _MAX_SECRET:
            raise _Unresolved(f"{what} is larger than 64 KiB")
        return content.decode("utf-8").rstrip("\r\n")
    except (FileNotFoundError, IsADirectoryError):
        raise _Unresolved(f"{what} was not found") from None
    except OSError as error:
        raise _Unresolved(f"{what} cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL in the path, or bytes that are not UTF-8
        raise _Unresolved(f"{what} is not UTF-8 text") from None
