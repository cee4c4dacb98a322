"""A version of a template as a contact of an audience would read it, or as an example does. Its HTML is shown in a
frame without any rights."""

from typing import Final

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.templates import Template
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.mails import templates
from mailroom.services.schedules import rendering, template_proofs
from mailroom.services.schedules.proofs import CampaignProof
from mailroom.services.schedules.readers import Beside, Wanted
from web import mail_frames
from web.listing import asked_number
from web.session import principal, services, signed_in

blueprint = Blueprint("template_previews", __name__)
_AUDIENCES: Final = 200  # the newest ones can be chosen


@blueprint.get("/templates/<name>/preview")
@signed_in()
def show(name: str) -> ResponseReturnValue:
    services().limits.check_report(principal())
    template, contact = _template(name), request.args.get("contact", "").strip()
    seen = mail_frames.seen(_proof(template), _wanted(contact), from_somebody=False)
    page = render_template(
        "template_preview.html",
        **seen.shown(),
        template=template,
        audiences=audience_lists.page(services().db, before=None, limit=_AUDIENCES),
        audience=_audience(),
        contact=seen.address if contact else "",
        width=mail_frames.width_of(request.args.get("width", "")),
    )
    response = make_response(page, 422 if seen.problems else 200)
    response.headers["Content-Security-Policy"] = mail_frames.PAGE_POLICY
    return response


@blueprint.get("/templates/<name>/preview/body")
@signed_in()
def body(name: str) -> Response:
    wanted, proof = request.args.get("contact", "").strip() or None, _proof(_template(name))
    mail = rendering.render(services().db, proof, wanted, link=services().links.example, feeds=services().feeds)
    return mail_frames.framed(mail)


def _template(name: str) -> Template:
    """The version that the address names; otherwise the newest."""
    version = asked_number("version")
    db = services().db
    return templates.get_version(db, PinnedTemplate(name, version)) if version else templates.get(db, name)


def _audience() -> str:
    return request.args.get("audience", "")


def _proof(template: Template) -> CampaignProof:
    return template_proofs.of_template(services().db, template, audience=_audience())


def _wanted(contact: str) -> Wanted:
    """The contact of this address, the one beside it, or the first."""
    turn = request.args.get("turn", "")
    return Beside(contact, before=turn == "previous") if contact and turn in ("next", "previous") else contact or None
