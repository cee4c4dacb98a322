"""`mailroom up`: how long from the command to the first mail in the simulator's inbox.

    python -m benchmarks.start [--rounds 7] [--senders 3]

Each round has two starts: `new` on an empty folder, then `again` on the same one, as after a reboot. A client asks the
API as soon as it answers, so `mail_s` holds all that a person would wait for: servers, indexes, API, lanes, the call.
`up_s` ends when the command says that all parts are up.
"""

import argparse
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests
from rich.console import Console

from benchmarks.quiet import Others, wait_until_quiet
from benchmarks.stage import cpu_s
from local.ports import free_port
from tests.support.system import DOMAIN, Simulator

console = Console(stderr=True)
_WITHIN_S: Final = 120.0
_POLL_S: Final = 0.05
_PORTS: Final = ("API", "WEB", "SIMULATOR")


@dataclass(frozen=True, slots=True)
class Start:
    """One start. `cpu_s`: the processor time of all its processes until the mail was there."""

    mail_s: float
    up_s: float
    cpu_s: float


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--senders", type=int, default=3)
    options = arguments.parse_args()
    starts: dict[str, list[Start]] = {"new": [], "again": []}
    others = Others()
    for number in range(1, options.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            for kind, found in starts.items():
                wait_until_quiet(console, wait_s=10)
                found.append(start(Path(folder), senders=options.senders))
                console.log(f"round {number}, {kind}: {found[-1]}")
    print(json.dumps({"others_cores": round(others.cores(), 2)} | {k: summary(v) for k, v in starts.items()}, indent=1))
    return 0


def summary(starts: Sequence[Start]) -> dict[str, Any]:
    """Median, least and most of each figure."""
    found: dict[str, Any] = {"starts": len(starts)}
    for name in ("mail_s", "up_s", "cpu_s"):
        values = [getattr(each, name) for each in starts]
        found[name] = {
            "median": round(statistics.median(values), 2),
            "least": round(min(values), 2),
            "most": round(max(values), 2),
        }
    return found


def start(folder: Path, *, senders: int) -> Start:
    """Start all parts on this folder, send a mail as soon as the API takes it, and end them."""
    ports = {name: str(free_port()) for name in _PORTS}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAILROOM_", "MAILGUN_"))}
    command = [sys.executable, "-m", "cli.main", "up", "--senders", str(senders), "--data", str(folder / "data")]
    log = folder / "up.log"
    began = time.monotonic()
    with log.open("wb") as out:
        environment = kept | {f"MAILROOM_{name}_PORT": port for name, port in ports.items()}
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    mail, up_s, mail_s = _FirstMail(folder / "data" / "admin-token", ports), 0.0, 0.0
    try:
        while not (up_s and mail_s):
            now_s = time.monotonic() - began
            assert now_s < _WITHIN_S and process.poll() is None, log.read_text()
            up_s = up_s or ("Mailroom is up" in log.read_text() and now_s) or 0.0
            mail_s = mail_s or (mail.arrived() and now_s) or 0.0
            time.sleep(_POLL_S)
        return Start(round(mail_s, 2), round(up_s, 2), round(cpu_s(process.pid), 2))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_WITHIN_S)


class _FirstMail:
    """A mail that is handed in as soon as the API takes it."""

    def __init__(self, token: Path, ports: Mapping[str, str]) -> None:
        self._token, self._ports = token, ports
        self._subject = secrets.token_hex(8)
        self._accepted = False

    def arrived(self) -> bool:
        """Ask once whether it is in the inbox; before that, whether the API takes it."""
        try:
            self._accepted = self._accepted or self._hand_in()
            simulator = Simulator(int(self._ports["SIMULATOR"]))
            return self._accepted and any(mail["subject"] == self._subject for mail in simulator.mails())
        except (requests.RequestException, FileNotFoundError):
            return False

    def _hand_in(self) -> bool:
        body = {"from": f"ann@{DOMAIN}", "to": ["bo@example.org"], "subject": self._subject, "text": "Hello"}
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}", "Idempotency-Key": self._subject}
        url = f"http://127.0.0.1:{self._ports['API']}/v1/emails"
        return requests.post(url, json=body, headers=headers, timeout=10).status_code in (200, 201, 202)


if __name__ == "__main__":
    sys.exit(main())
