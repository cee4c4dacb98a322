"""The switch that stops all sending, and starts it again."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from mailroom.services.common import sending_switch
from web.session import principal, services, signed_in

blueprint = Blueprint("sending", __name__)


@blueprint.get("/sending")
@signed_in()
def show() -> str:
    brakes = services().brakes
    return render_template("sending.html", switch=sending_switch.switch(services().db, brakes.mirror, brakes.fences))


@blueprint.post("/sending/<any(stop, start):action>")
@signed_in("admin")
def change(action: str) -> ResponseReturnValue:
    brakes = services().brakes
    if action == "stop":
        now = sending_switch.stop(services().db, brakes.mirror, brakes.fences, by=principal().name)
        flash(f"All sending is stopped. {sending_switch.what_still_goes(now)}")
    else:
        sending_switch.start(services().db, brakes.mirror, brakes.fences, by=principal().name)
        flash("Sending has started again.")
    return redirect(url_for("sending.show"), 303)
