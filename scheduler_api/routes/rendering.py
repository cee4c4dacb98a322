"""`/v1/schedules/render`, `/v1/schedules/{id}/render` and `/test`: what a recipient would get, seen and tried."""

from collections.abc import Sequence
from typing import Any

from mailroom.assembly.providers import build_senders
from mailroom.domain.errors import Fault
from mailroom.domain.ids import ScheduleId
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_VALUES_OF_A_LIST
from mailroom.services.operations import campaign_checks
from mailroom.services.schedules import proofs, rendering
from mailroom.services.schedules import send_test as test_sends
from mailroom.services.schedules.proofs import CampaignProof
from scheduler_api import schedule_bodies
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.handing_in import hand_in_many
from scheduler_api.headers import KEY_NEEDED, needed_key
from scheduler_api.schemas import schedule_actions as actions

blueprint = Blueprint(
    "rendering", __name__, url_prefix="/v1/schedules", description="What a recipient would get, seen and tried."
)


def _further(asked: dict[str, Any], good: dict[str, Any]) -> Sequence[Fault]:
    return schedule_bodies.further_faults(services().db, asked, good)


@blueprint.post("/render")
@requires("schedules", most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
@blueprint.arguments(actions.DraftToRender, further=_further)
@blueprint.response(200, actions.RenderedOut)
def render_draft(asked: dict[str, Any]) -> Any:
    """What a recipient would get of a schedule that is not stored; nothing is stored or sent. `contact` is an address
    among its recipients, the first if left out."""
    services().limits.check_report(principal())
    contact = asked.pop("contact", None)
    return _answer(proofs.of_draft(services().db, schedule_bodies.draft(services(), asked)), contact)


@blueprint.post("/<schedule_id>/render")
@requires("read")
@blueprint.arguments(actions.RenderIn)
@blueprint.response(200, actions.RenderedOut)
def render(asked: dict[str, Any], schedule_id: str) -> Any:
    """What a recipient would get of the newest content. `contact` is an address of its audience, the first if left
    out."""
    services().limits.check_report(principal())
    return _answer(proofs.of_schedule(services().db, ScheduleId(schedule_id)), asked.get("contact"))


def _answer(proof: CampaignProof, contact: str | None) -> dict[str, Any]:
    db, link, feeds = services().db, services().links.example, services().feeds
    mail = rendering.render(db, proof, contact, link=link, feeds=feeds)
    return actions.rendered(mail, campaign_checks.hints_of(db, proof, mail, build_senders(services().settings)))


@blueprint.post("/<schedule_id>/test")
@blueprint.doc(parameters=[KEY_NEEDED])
@requires("schedules")
@blueprint.arguments(actions.TestIn)
@blueprint.response(202, actions.TestOut)
def send_test(asked: dict[str, Any], schedule_id: str) -> Any:
    """Send the newest content, as `contact` would get it, to these addresses: single mails with `[Test]` in the subject
    and the tag `test`, on no report of the schedule. The same key again sends nothing."""
    sent = test_sends.send(
        services().db,
        ScheduleId(schedule_id),
        asked["to"],
        contact=asked.get("contact"),
        link=services().links.example,
        feeds=services().feeds,
        key=needed_key(),
        hand_in=hand_in_many,
    )
    return actions.sent_tests(sent)
