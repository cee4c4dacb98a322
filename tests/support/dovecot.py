"""A real Dovecot on loopback, with one account. Debian: dovecot-imapd."""

import base64
import contextlib
import imaplib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from local.ports import free_port
from tests.support.tls import Papers

USER: Final = "bounces@example.org"
PASSWORD: Final = "se cret,@:/"
_START_S: Final = 20.0
_CONFIGURATION: Final = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
mail_location = maildir:{folder}/mail
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """`port`: plain and STARTTLS; `tls_port`: TLS from the first byte."""

    def __init__(self, papers: Papers) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.port, self.tls_port, self._papers = free_port(), free_port(), papers
        self._process: subprocess.Popen[bytes] | None = None
        self._write()

    def start(self) -> Self:
        binary = shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin")
        assert binary, "dovecot is needed: apt-get install dovecot-imapd"
        self._process = subprocess.Popen(
            [binary, "-F", "-c", str(self.folder / "dovecot.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "stderr").open("ab"),
            start_new_session=True,
        )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                with self.client():
                    return self
            except (OSError, imaplib.IMAP4.error) as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"Dovecot did not start: {error}\n{self.log()}") from error
                time.sleep(0.1)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        self._process = None

    def kill(self) -> None:
        """SIGKILL to it and to all of its children."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It stands still, and so do its children."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, *, tls: str = "none", folder: str = "INBOX", password: str = PASSWORD) -> str:
        """As MAILROOM_MAILBOXES takes it."""
        user = f"{quote(USER, safe='')}:{quote(password, safe='')}"
        if tls == "implicit":
            return f"imaps://{user}@localhost:{self.tls_port}/{folder}?ca={self._papers.authority}"
        ca = f"&ca={self._papers.authority}" if tls == "starttls" else ""
        return f"imap://{user}@localhost:{self.port}/{folder}?tls={tls}{ca}"

    @contextlib.contextmanager
    def client(self) -> Iterator[imaplib.IMAP4]:
        made = imaplib.IMAP4("127.0.0.1", self.port, timeout=5)
        try:
            made.login(USER, PASSWORD)
            yield made
        finally:
            made.logout()

    def put(self, *mails: bytes, folder: str = "INBOX") -> None:
        """These mails arrive."""
        with self.client() as client:
            for mail in mails:
                status, answer = client.append(folder, "", imaplib.Time2Internaldate(time.time()), mail)
                assert status == "OK", answer

    def flags(self, folder: str = "INBOX") -> list[set[str]]:
        """The flags of each mail, in the order of their arrival."""
        with self.client() as client:
            _, count = client.select(folder, readonly=True)
            if not int(count[0] or 0):
                return []
            _, rows = client.fetch("1:*", "(FLAGS)")
        return [{flag.decode() for flag in imaplib.ParseFlags(row)} - {"\\Recent"} for row in rows]

    def mark_unread(self, folder: str = "INBOX") -> None:
        """As a person does who wants all of it to be looked at again."""
        with self.client() as client:
            _, count = client.select(folder)
            if int(count[0] or 0):
                client.store("1:*", "-FLAGS.SILENT", r"(\Seen \Flagged)")

    def log(self) -> str:
        return "\n".join(
            (self.folder / name).read_text(errors="replace")[-4_000:]
            for name in ("stderr", "log")
            if (self.folder / name).exists()
        )

    def _write(self) -> None:
        me = pwd.getpwuid(os.getuid())
        is_root = me.pw_uid == 0
        owner = pwd.getpwnam("nobody") if is_root else me
        for name in ("mail", "home"):
            (self.folder / name).mkdir()
            if is_root:
                os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o755)
        for name in ("server", "server_key"):
            shutil.copy(getattr(self._papers, name), self.folder / f"{name}.pem")
        # In base64: colons separate the cells of the file.
        password = base64.b64encode(PASSWORD.encode()).decode()
        (self.folder / "users").write_text(f"{USER}:{{PLAIN.b64}}{password}::::::\n")
        words = _CONFIGURATION.format(
            folder=self.folder,
            certificate=self.folder / "server.pem",
            key=self.folder / "server_key.pem",
            internal="dovecot" if is_root else me.pw_name,
            internal_group="dovecot" if is_root else me.pw_name,
            login="dovenull" if is_root else me.pw_name,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            plain=self.port,
            tls=self.tls_port,
        )
        (self.folder / "dovecot.conf").write_text(words)
