"""The one switch: all sending stopped and started again."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for

from mailroom.services import stopping
from web.session import front, principal, signed_in

blueprint = Blueprint("sending", __name__)


@blueprint.get("/sending")
@signed_in()
def show() -> str:
    brakes = front().brakes
    return render_template("sending.html", switch=stopping.switch(front().db, brakes.mirror, brakes.fences))


@blueprint.post("/sending/<any(stop, start):action>")
@signed_in("admin")
def change(action: str) -> Any:
    brakes = front().brakes
    if action == "stop":
        now = stopping.stop(front().db, brakes.mirror, brakes.fences, by=principal().name)
        flash(f"All sending is stopped. {stopping.what_still_goes(now)}")
    else:
        stopping.start(front().db, brakes.mirror, brakes.fences, by=principal().name)
        flash("Sending goes on.")
    return redirect(url_for("sending.show"), 303)
