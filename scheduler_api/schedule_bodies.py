"""Bodies of schedules, loaded by their schemas, against what is stored: for the routes and the commands."""

from collections.abc import Sequence
from typing import Any, cast

from mailroom.assembly.api import ApiServices
from mailroom.domain.drafts import Draft, DraftChanges
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.domain.template_filling import FIELDS
from mailroom.services.common import mailgun_only
from mailroom.services.mails.templates import said_by_template
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules import feed_rules
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.database import Db
from scheduler_api.schemas import schedule_edits, stand_ins


def draft(services: ApiServices, loaded: dict[str, Any]) -> Draft:
    """The draft of a new schedule. Raises InvalidInput for content that not every provider can carry,
    and with every fault for a feed that the settings do not allow."""
    _check_carriers(services, loaded)
    made = Draft(**loaded)
    if faults := feed_rules.faults_of(services.feeds.rules, made.feed):
        raise InvalidInput(*faults, *schedule_drafts.faults_of(services.db, made))
    return made


def changes(services: ApiServices, schedule_id: ScheduleId, loaded: dict[str, Any]) -> DraftChanges:
    """The changes of an edit, without read-only fields that are as they are stored.

    Raises ScheduleNotFound; InvalidInput for read-only fields that differ, and for content that not every provider can
    carry, or a feed that the settings do not allow.
    """
    if loaded.keys() & set(schedule_edits.READ_ONLY):
        loaded = schedule_edits.require_unchanged(loaded, schedule_view.get(services.db, schedule_id))
    _check_carriers(services, loaded)
    if faults := feed_rules.faults_of(services.feeds.rules, loaded.get("feed")):
        raise InvalidInput(*faults)
    return cast("DraftChanges", loaded)


def further_faults(db: Db, asked: dict[str, Any], good: dict[str, Any]) -> Sequence[Fault]:
    """The domain's faults of a body that the schema refuses. `good`: its well-formed part."""
    as_draft, rule = stand_ins.schedule(asked, good)
    return schedule_drafts.faults_of(db, as_draft, rule=rule)


def further_faults_of_edit(db: Db, asked: dict[str, Any], good: dict[str, Any]) -> Sequence[Fault]:
    """As `further_faults`, but only of the fields that an edit names."""
    found = further_faults(db, asked, good)
    return [fault for fault in found if fault.path.partition(".")[0].partition("[")[0] in asked]


def _check_carriers(services: ApiServices, asked: dict[str, Any]) -> None:
    """Raises InvalidInput for content that only Mailgun can carry, while another provider may get it."""
    said = {
        name: asked[name] for name in (*FIELDS, "markdown", "mjml", "preheader") if isinstance(asked.get(name), str)
    }
    said |= {f"headers.{name}": value for name, value in asked.get("headers", {}).items()}
    said |= said_by_template(services.db, asked.get("template"))
    mailgun_only.check(services.db, services.settings.sending.providers, said)
