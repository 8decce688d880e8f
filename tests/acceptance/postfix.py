"""Debian's Postfix as a relay in front of a gateway: a configuration, a queue and ports of its own."""

import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import free_port, wait_for_port

PROGRAM = shutil.which("postfix", path="/usr/sbin:/usr/bin:/usr/local/sbin")
_DAEMONS = "/usr/lib/postfix/sbin"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
myhostname = mx.relay.example
mydomain = relay.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
notify_classes =
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
relay_domains = example.com
transport_maps = inline:{{ example.com=smtp:[127.0.0.1]:{gateway} }}
recipient_delimiter = +
message_size_limit = 36700160
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
{more}
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Takes mail at `port` of loopback and relays what is for example.com to a gateway."""

    def __init__(self, folder: Path, gateway: int, more: str) -> None:
        self.folder, self.port = folder, free_port()
        config, queue = folder / "config", folder / "queue"
        for made in (config, queue, folder / "data"):
            made.mkdir()
        main = _MAIN.format(folder=folder, daemons=_DAEMONS, gateway=gateway, more=more)
        (config / "main.cf").write_text(main, encoding="utf-8")
        (config / "master.cf").write_text(_MASTER.format(port=self.port), encoding="utf-8")
        shutil.chown(folder / "data", "postfix")

    def send(self, mail: bytes, *, sender: str, to: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.sendmail(sender, [to], mail)

    def queued(self) -> int:
        """Mails that wait for another try."""
        return sum(1 for path in (self.folder / "queue" / "deferred").rglob("*") if path.is_file())

    def logged(self) -> str:
        log = self.folder / "maillog"
        return log.read_text(errors="replace") if log.exists() else ""

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [PROGRAM or "postfix", "-c", str(self.folder / "config")]
        with (self.folder / "console").open("ab") as console:
            process = subprocess.Popen([*command, "start-fg"], stdout=console, stderr=console)
            try:
                wait_for_port(self.port, process)
                yield
            finally:
                subprocess.run([*command, "stop"], stdout=console, stderr=console, check=False, timeout=30)
                process.terminate()
                process.wait(20)


@contextmanager
def relaying(gateway: int, more: str = "") -> Iterator[Postfix]:
    """In front of the gateway that listens, or will, at that port; `more` lines for its main.cf."""
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))  # not below pytest's, which only its own user may enter
    folder.chmod(0o755)
    try:
        server = Postfix(folder, gateway, more)
        with server.running():
            yield server
    finally:
        shutil.rmtree(folder)
