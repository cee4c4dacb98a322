"""`mailroom doctor --after-restore`: put a MongoDB right that was put back to an older copy."""

import click

from cli.answers import Body, answer_plainly
from cli.progress import progress
from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import CannotBeKnown
from mailroom.services.common import sending_switch
from mailroom.services.operations import restore
from mailroom.services.operations.older_copy import OlderCopy


def put_right(services: SenderServices, *, even_so: bool) -> None:
    """Replay the fences and end the hold, and answer with what was found."""
    adapters = list(services.adapters.values())
    try:
        with progress("Replaying the fences") as advance:
            done = restore.after_restore(
                services.db,
                services.mirror,
                adapters,
                timing=services.policy.timing,
                even_so=even_so,
                advance=advance,
            )
    except CannotBeKnown as error:
        words = (
            "Until then nothing is sent. Wait if that helps; else cancel what must not go out twice, and say --even-so."
        )
        raise click.ClickException(f"{error}.\n{words}") from None
    if done is None:
        words = "MongoDB is not an older copy: there is nothing to put right."
        answer_plainly({"restored": False}, lambda _: click.echo(words))
        return
    now = sending_switch.switch(services.db, services.holds, services.fences)

    def show(body: Body) -> None:
        click.echo(f"MongoDB was put back to {copy_of(done.hold)}, and knew nothing up to {done.hold.lost_at}.")
        click.echo(f"{done.fences:,} fences replayed: {done.accepted:,} dispatches had been accepted since,")
        click.echo(f"{done.unknown_to_copy:,} are not in the copy; their runs are planned again and recognised.")
        if now.sending:
            click.echo("Senders go on now.")
        else:
            click.echo(f"{sending_switch.in_words(now.hold)}.\nIt stays stopped until: mailroom sending start")

    body = {
        "restored": True,
        "copied_at": done.hold.copied_at.isoformat() if done.hold.copied_at else None,
        "lost_at": done.hold.lost_at.isoformat(),
        "fences": done.fences,
        "accepted": done.accepted,
        "unknown_to_copy": done.unknown_to_copy,
        "sending": now.sending,
    }
    answer_plainly(body, show)


def copy_of(hold: OlderCopy) -> str:
    """What MongoDB was put back to, in words."""
    return f"a copy of {hold.copied_at}" if hold.copied_at else "a copy from before senders first ran, or an empty one"
