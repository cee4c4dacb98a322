"""The stories that go on in a run, and the mailbox that one of them needs."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.bouncing import SETTINGS as MAILBOX_SETTINGS
from tests.chaos.bouncing import Bouncing
from tests.chaos.erased import Erased
from tests.chaos.living import Living
from tests.chaos.stories import Story
from tests.chaos.world import World
from tests.chaos.zoned import Zoned
from tests.support.dovecot import Dovecot
from tests.support.smtp_backup import SmtpBackup
from tests.support.tls import Papers
from tests.support.vendors import SendGrid


@contextmanager
def mailbox_for(folder: Path, backup: SendGrid | SmtpBackup) -> Iterator[Dovecot | None]:
    """The mailbox that bounces come to, where the second provider is an SMTP server."""
    if not isinstance(backup, SmtpBackup):
        yield None
        return
    (papers := folder / "papers").mkdir()
    made = Dovecot(Papers.issued(papers))
    try:
        yield made.start()
    finally:
        made.remove()


def settings_for(mailbox: Dovecot | None) -> dict[str, str]:
    """By which senders read it."""
    return MAILBOX_SETTINGS | {"MAILROOM_MAILBOXES": mailbox.url()} if mailbox else {}


def stories_of(world: World) -> list[Story]:
    """Those that can go on in this world, each with an order of its own."""

    def rng() -> random.Random:
        return random.Random(world.rng.random())

    bouncing: list[Story] = []
    if isinstance(world.backup, SmtpBackup) and world.mailbox is not None:
        bouncing.append(Bouncing(world, rng(), world.backup, world.mailbox))
    return [Living(world, rng()), Zoned(world, rng()), Erased(world, rng()), *bouncing]
