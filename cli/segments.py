"""`mailroom segments`: filters over the contacts of an audience."""

import click

from cli.answers import Body, answer, print_id
from cli.command_table import Noun
from cli.common import actor, prepared_services, services
from cli.paging import paged
from cli.questions import asks, confirm
from cli.tables import print_fields, print_page
from mailroom.domain.ids import AudienceId
from mailroom.services.audiences import counting, segments
from scheduler_api import paging
from scheduler_api.schemas import segments as schemas

_FILTER = click.option(
    "--filter", "filter_", required=True, help="Such as: city = 'Rome' and not opened in last 3 runs"
)


@click.group("segments", cls=Noun)
def segments_() -> None:
    """Segments: some contacts of an audience, by a filter."""


@segments_.command("list")
@click.argument("audience_id")
@paged
def list_segments(audience_id: str, limit: int, cursor: str | None) -> None:
    """The segments of an audience."""
    found = segments.page(services().db, AudienceId(audience_id), after=paging.decode_id(cursor), limit=limit)
    page = paging.page_of(found, limit, schemas.segment, lambda one: [one.id])
    answer(schemas.SegmentPage, page, _show_page)


@segments_.command("show")
@click.argument("segment_id")
def show_segment(segment_id: str) -> None:
    """A segment."""
    answer(schemas.SegmentOut, schemas.segment(segments.get(services().db, segment_id)), print_fields)


@segments_.command("create")
@click.argument("audience_id")
@click.option("--name", required=True)
@_FILTER
def create_segment(audience_id: str, name: str, filter_: str) -> None:
    """Save a segment. Prints its id, alone, on standard output. Whom it finds is looked up anew at each run."""
    work = prepared_services()
    kept = work.settings.retention.events
    made = segments.create(work.db, AudienceId(audience_id), name=name, filter_=filter_, by=actor(), events_kept=kept)
    answer(schemas.SegmentOut, schemas.segment(made), print_id)


@segments_.command("count")
@click.argument("audience_id")
@_FILTER
@click.option("--topic", help="Who has left it counts as suppressed.")
def count_segment(audience_id: str, filter_: str, topic: str | None) -> None:
    """How many contacts a filter finds now."""
    work = services()
    kept = work.settings.retention.events
    choice = segments.unsaved(work.db, AudienceId(audience_id), filter_, events_kept=kept)
    answer(schemas.CountOut, schemas.numbers(counting.count(work.db, [choice], topic=topic or "")), print_fields)


@segments_.command("delete")
@click.argument("segment_id")
@asks
def delete_segment(segment_id: str) -> None:
    """No schedule can name it any more. Schedules that go to it still do."""
    found = segments.get(services().db, segment_id)
    confirm(f"Delete segment “{found.name}”?", "Schedules that go to it still do; no other can name it.")
    segments.drop(services().db, segment_id, by=actor())
    answer(schemas.SegmentOut, schemas.segment(found), lambda _: click.echo("deleted"))


def _show_page(body: Body) -> None:
    print_page(body, {"id": "id", "name": "name", "filter": "filter"})
