"""`mailroom sending`, and the pausing of runs and schedules: how to stop, from a terminal."""

from collections.abc import Callable

import click

from cli.looking import schedules, services, told, who
from cli.runs import runs_
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.services.common import sending_switch
from mailroom.services.common.sending_switch import Switch
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules.pause import Toll


@click.group("sending")
def sending_() -> None:
    """The one switch for all sending: campaigns, single mails, retries."""


@sending_.command("stop")
def stop() -> None:
    """Send nothing any more, until it is started again. What was begun is finished."""
    made = services()
    with told():
        _say(sending_switch.stop(made.db, made.brakes.mirror, made.brakes.fences, by=who()))


@sending_.command("start")
def start() -> None:
    """Send again what waits."""
    made = services()
    with told():
        _say(sending_switch.start(made.db, made.brakes.mirror, made.brakes.fences, by=who()))


@sending_.command("status")
def status() -> None:
    """Whether anything is sent. Exits 1 while all sending is stopped."""
    made = services()
    with told():
        now = sending_switch.switch(made.db, made.brakes.mirror, made.brakes.fences)
    _say(now)
    if not now.sending:
        raise SystemExit(1)


def _say(now: Switch) -> None:
    if now.sending:
        click.echo("Sending is on.")
    else:
        click.echo(f"{sending_switch.in_words(now.hold)}. {sending_switch.what_still_goes(now)}")


@runs_.command("pause")
@click.argument("run_id")
def pause_run(run_id: str) -> None:
    """Send nothing more of it, until it is resumed."""
    _brake("paused", lambda: _of_run(schedule_pause.pause_run, run_id))


@runs_.command("resume")
@click.argument("run_id")
def resume_run(run_id: str) -> None:
    """Go on with it."""
    _brake("resumed", lambda: _of_run(schedule_pause.resume_run, run_id))


@runs_.command("cancel")
@click.argument("run_id")
def cancel_run(run_id: str) -> None:
    """Send nothing more of it, for good."""
    made = services()
    _brake("cancelled", lambda: schedule_pause.cancel_run(made.db, made.brakes, RunId(run_id))[1])


@schedules.command("pause")
@click.argument("schedule_id")
def pause_schedule(schedule_id: str) -> None:
    """Run no further instant of it, and send nothing more of its runs, until it is resumed."""
    _brake("paused", lambda: _of_schedule(schedule_pause.pause_schedule, schedule_id))


@schedules.command("resume")
@click.argument("schedule_id")
def resume_schedule(schedule_id: str) -> None:
    """Go on from now, and with the runs that were paused with it."""
    _brake("resumed", lambda: _of_schedule(schedule_pause.resume_schedule, schedule_id))


@schedules.command("archive")
@click.argument("schedule_id")
def archive_schedule(schedule_id: str) -> None:
    """Put it away: what has not gone out is cancelled."""
    made = services()
    _brake("archived", lambda: schedule_pause.archive(made.db, made.brakes, ScheduleId(schedule_id))[1])


def _of_run(act: Callable[..., tuple[object, Toll]], run_id: str) -> Toll:
    made = services()
    return act(made.db, made.brakes, RunId(run_id), by=who())[1]


def _of_schedule(act: Callable[..., tuple[object, Toll]], schedule_id: str) -> Toll:
    made = services()
    return act(made.db, made.brakes, ScheduleId(schedule_id), by=who())[1]


def _brake(done: str, act: Callable[[], Toll]) -> None:
    with told():
        toll = act()
    click.echo(f"{done}. {schedule_pause.in_words(toll)}".strip())
