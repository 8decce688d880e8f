"""A real IMAP server on loopback: Debian's Dovecot with a configuration, users and a TLS certificate of its own."""

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import trustme
from imapclient import IMAPClient  # type: ignore[import-untyped]  # it comes without types

from tests.channels.oauth2_provider import OAuth2Provider
from tests.support import free_port, wait_for_port

PASSWORD = "개나리-spring-24"
TRUSTED = "127.0.0.1"
PROGRAM = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
instance_name = test-{port}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
default_process_limit = 20
default_client_limit = 1000
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{folder}/mail/%u
mail_uid = {user}
mail_gid = {group}
mail_fsync = never
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
auth_cache_size = 0
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
ssl_dh =
imap_idle_notify_interval = 2 mins
mailbox_idle_check_interval = 1 secs
mail_max_userip_connections = 0
passdb {{
  driver = static
  args = password={password}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/home/%u
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls_port}
    ssl = yes
  }}
}}
"""
_OAUTH2 = """\
introspection_url = http://127.0.0.1:{port}/introspect
introspection_mode = post
username_attribute = email
active_attribute = active
active_value = true
timeout_msecs = 5000
"""


class Account:
    """A mailbox nobody else uses, and a client that keeps it."""

    def __init__(self, server: "Dovecot", user: str) -> None:
        self.server, self.user = server, user
        self.client: Any = IMAPClient(TRUSTED, server.port, ssl=False, timeout=10)
        self.client.plain_login(user, PASSWORD)

    def put(self, mail: bytes, *, folder: str = "INBOX", flags: tuple[bytes, ...] = ()) -> None:
        self.client.append(folder, mail, flags)

    def settings(self, **more: Any) -> dict[str, Any]:
        """To fetch from it."""
        place = {"host": TRUSTED, "port": self.server.tls_port, "ca": str(self.server.ca)}
        return {**place, "user": self.user, "password": PASSWORD, "poll": "50ms", **more}

    def close(self) -> None:
        self.client.logout()


class Dovecot:
    """Every account comes into being when it is first used; the password is the same for all."""

    def __init__(self, folder: Path, provider: OAuth2Provider) -> None:
        self.folder, self.provider = folder, provider
        self.port, self.tls_port = free_port(), free_port()
        self.ca = folder / "ca.pem"
        self._accounts = count(1)

    def account(self) -> Account:
        return Account(self, f"desk-{next(self._accounts)}@example.com")

    def connections(self, user: str) -> int:
        """How often somebody has logged in."""
        return self.logged().count(f"Login: user=<{user}>")

    def logged(self) -> str:
        return "".join(
            path.read_text(errors="replace") for name in ("console", "log") if (path := self.folder / name).exists()
        )

    def write(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        certificate = authority.issue_cert(TRUSTED)
        certificate.private_key_and_cert_chain_pem.write_to_path(self.folder / "server.pem")
        # Its login processes refuse to be root's, and who is not root can start them as himself only.
        user = pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam("nobody")
        names = {"folder": self.folder, "user": user.pw_name, "group": grp.getgrgid(user.pw_gid).gr_name}
        ports = {"port": self.port, "tls_port": self.tls_port}
        config = _CONFIG.format(**names, **ports, password=PASSWORD)
        (self.folder / "dovecot.conf").write_text(config, encoding="utf-8")
        (self.folder / "oauth2.conf").write_text(_OAUTH2.format(port=self.provider.port), encoding="utf-8")
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, user.pw_uid, user.pw_gid)

    @contextmanager
    def running(self) -> Iterator[None]:
        assert PROGRAM is not None
        with (self.folder / "console").open("ab") as console:
            process = subprocess.Popen(
                [PROGRAM, "-F", "-c", self.folder / "dovecot.conf"], stdout=console, stderr=console
            )
        try:
            wait_for_port(self.port, process)
            yield
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def dovecot_running() -> Iterator[Dovecot]:
    """In a folder its own processes may enter, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
    folder.chmod(0o755)
    try:
        with OAuth2Provider() as provider:
            server = Dovecot(folder, provider)
            server.write()
            with server.running():
                yield server
    finally:
        shutil.rmtree(folder)
