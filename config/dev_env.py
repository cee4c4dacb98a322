"""Writes a `.env` for trying Mailroom with Docker Compose: random keys, and the simulator instead of Mailgun.

`python -m config.dev_env [FILE]` (`make env`). It needs only Python, and never changes an existing file.
"""

import os
import secrets
import sys
from pathlib import Path


def dev_env() -> str:
    """The lines of the file; the keys differ each time."""
    return f"""\
# Made by `make env`, for trying things out: what is sent goes to the simulator's inbox, http://localhost:8025/inbox,
# and to http://localhost:1080 where Mailgun is switched off (page *Providers*).
# Every setting and what it expects: docs/settings.md. For real mail begin with .env.example instead.
COMPOSE_FILE=docker-compose.yml:docker-compose.dev.yml
MAILROOM_SECRET_KEY={secrets.token_urlsafe(32)}
MAILROOM_PROVIDERS=mailgun,smtp
SMTP_URL=smtp://smtp:1025?tls=none
MAILGUN_BASE_URL=http://simulator:8025
MAILGUN_DOMAIN=mg.example.com
MAILROOM_FEED_PRIVATE_HOSTS=simulator:8025
MAILGUN_API_KEY={secrets.token_urlsafe(32)}
MAILGUN_SIGNING_KEY={secrets.token_urlsafe(32)}
"""


def main() -> int:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".env")
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
    except FileExistsError:
        sys.stderr.write(f"{path} is there already; nothing was changed\n")
        return 1
    with file:
        file.write(dev_env())
    sys.stderr.write(f"{path} is written; next: docker compose up --build --scale sender=3\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
