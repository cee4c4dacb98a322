"""A person found in campaigns and transactional emails, by address or by its start."""

from typing import Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import address_digest_of
from mailroom.services.reports import people
from web import cursors
from web.forms.searches import PersonSearchForm
from web.listing import Listing
from web.session import principal, services, signed_in

blueprint = Blueprint("people", __name__)
_ROWS: Final = 50


@blueprint.get("/people")
@signed_in()
def index() -> ResponseReturnValue:
    form, before = PersonSearchForm(request.args), cursors.decode(request.args.get("after"))
    term, mails = form.filters()["q"], None
    if term:
        services().limits.check_report(principal())
    try:
        if term:
            mails = people.find(services().db, term, before=before, limit=_ROWS)
    except InvalidInput as error:
        form.refuse(error.faults)
    page = render_template(
        "people.html",
        listing=Listing("people.index", form.filters()),
        form=form,
        term=term,
        mails=mails,
        before=before,
        looked_back_to=mails.next_place[0] if mails and mails.next_place else None,
        after=cursors.encode(*mails.next_place) if mails and mails.next_place else None,
        digest_of=address_digest_of,
    )
    return page, 422 if form.errors else 200
