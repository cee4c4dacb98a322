"""The inbox: what arrived, one mail opened as a mail program would, and what its reader may do with it.

Opening a mail loads its tracking pixel, and that makes the `opened` event, as in life.
"""

import html
import re
import time
from typing import Any, Final
from urllib.parse import quote

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for

from simulator import accepting, event_log, files, one_click
from simulator.api import world
from simulator.requests import fill_in
from simulator.store import loads

inbox = Blueprint("inbox", __name__, template_folder="templates")
_ROWS: Final = 50
_PIXEL: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
_BROWSER: Final = {
    "client-type": "browser",
    "client-os": "Linux",
    "device-type": "desktop",
    "client-name": "Chrome",
    "bot": "",
}
_MACHINE: Final = dict.fromkeys(_BROWSER, "unknown") | {"bot": "apple"}
_MAIL: Final = """SELECT m.*, c.message_id, c.sender, c.text, c.html, c.headers, c.tags, c.shown, c.files
    FROM mails m JOIN calls c ON c.id = m.call_id"""
_HREF: Final = re.compile(r"""(<a\b[^>]*\bhref=)(["'])(https?://.*?)\2""", re.IGNORECASE)


@inbox.get("/inbox")
def list_mails() -> Any:
    search = request.args.get("q", "").strip()
    before = min(request.args.get("before", type=int) or 2**62, 2**62)
    rows = world().store.rows(
        f"{_MAIL} WHERE m.test = 0 AND m.id < ? AND (m.recipient LIKE ? OR m.subject LIKE ?)"
        " ORDER BY m.id DESC LIMIT ?",
        (before, f"%{search}%", f"%{search}%", _ROWS),
    )
    total = world().store.row("SELECT COUNT(*) AS n FROM mails WHERE test = 0")
    happened = event_log.recent(world().store, [row["id"] for row in rows])
    return render_template(
        "inbox.html",
        mails=rows,
        happened=happened,
        search=search,
        total=total["n"] if total else 0,
        older=rows[-1]["id"] if len(rows) == _ROWS else None,
    )


@inbox.get("/inbox/<int:mail_id>")
def open_mail(mail_id: int) -> Any:
    mail = _mail(mail_id)
    happened = event_log.recent(world().store, [mail_id]).get(mail_id, [])
    return render_template(
        "mail.html",
        mail=mail,
        text=filled(mail, mail["text"]),
        has_html=bool(mail["html"]),
        variables=loads(mail["user_variables"]),
        headers=filled_headers(mail),
        cc=(loads(mail["shown"]) or {}).get("cc", ""),
        files=loads(mail["files"]) or [],
        happened=happened,
    )


@inbox.get("/inbox/<int:mail_id>/body")
def body(mail_id: int) -> Any:
    """The HTML part as a mail program shows it: its own page, with no rights, and without scripts."""
    shown = Response(_tracked(_mail(mail_id)), mimetype="text/html")
    shown.headers["Content-Security-Policy"] = "sandbox allow-popups allow-top-navigation-by-user-activation"
    shown.headers["Cache-Control"] = "no-store"
    return shown


@inbox.get("/inbox/<int:mail_id>/pictures/<path:content_id>")
def picture(mail_id: int, content_id: str) -> Any:
    """A picture that the mail brought along."""
    found = files.picture(world().store, loads(_mail(mail_id)["files"]) or [], content_id)
    if found is None or not found[1].startswith("image/"):
        abort(404)
    shown = Response(found[0], mimetype=found[1])
    shown.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"  # an SVG opened by itself
    return shown


@inbox.get("/inbox/<int:mail_id>/pixel.gif")
def pixel(mail_id: int) -> Any:
    """The tracking pixel. `?machine=1` is what a mail proxy's prefetch looks like."""
    client = _MACHINE if request.args.get("machine") else _BROWSER
    _happen(mail_id, "opened", {"ip": request.remote_addr, "client-info": client})
    return Response(_PIXEL, mimetype="image/gif", headers={"Cache-Control": "no-store"})


@inbox.get("/inbox/<int:mail_id>/click")
def click(mail_id: int) -> Any:
    """On to a link of this mail, as the tracking does; to nowhere else."""
    url = request.args.get("url", "")
    if url not in _links(_mail(mail_id)):
        abort(400, "This mail has no such link.")
    _happen(mail_id, "clicked", {"ip": request.remote_addr, "url": url, "client-info": _BROWSER})
    return redirect(url)


@inbox.post("/inbox/<int:mail_id>/<any(complain, unsubscribe, bounce):what>")
def act(mail_id: int, what: str) -> Any:
    mail = _mail(mail_id)
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "complain": ("complained", "complaints", {}),
        "unsubscribe": ("unsubscribed", "unsubscribes", {"client-info": _BROWSER}),
        "bounce": ("failed", "bounces", accepting.bounce_extra(delayed=True)),
    }
    kind, list_, extra = kinds[what]
    _happen(mail_id, kind, extra)
    world().store.suppress(list_, mail["recipient"], error="No such mailbox", at=time.time())
    return redirect(url_for("inbox.open_mail", mail_id=mail_id))


@inbox.post("/inbox/<int:mail_id>/one-click")
def one_click_(mail_id: int) -> Any:
    """The button beside the sender's name. Only the mail's sender hears of it, not Mailgun."""
    try:
        one_click.unsubscribe(filled_headers(_mail(mail_id)))
    except one_click.NoOneClick as error:
        abort(502, str(error))
    return redirect(url_for("inbox.open_mail", mail_id=mail_id))


def _mail(mail_id: int) -> Any:
    mail = world().store.row(f"{_MAIL} WHERE m.id = ?", (mail_id,))
    if mail is None:
        abort(404)
    return mail


def _happen(mail_id: int, kind: str, extra: dict[str, Any]) -> None:
    lag_s = world().behaviour.knobs.event_lag_s
    accepting.add_event(world().store, _mail(mail_id), kind, at=time.time(), lag_s=lag_s, extra=extra)


def filled_headers(mail: Any) -> dict[str, str]:
    """The sender's own headers, as this copy carries them."""
    return {name: filled(mail, value) for name, value in loads(mail["headers"]).items()}


def filled(mail: Any, text: str) -> str:
    name = mail["to_header"].split("<")[0].strip()
    return fill_in(text, name, mail["recipient"], loads(mail["recipient_variables"]))


def _links(mail: Any) -> set[str]:
    return {html.unescape(match[3]) for match in _HREF.finditer(filled(mail, mail["html"]))}


def _tracked(mail: Any) -> str:
    """The HTML part with its links and its pixel as the tracking would have them, and with its pictures."""
    root = f"/inbox/{mail['id']}"

    def through_us(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}{root}/click?url={quote(html.unescape(match[3]), safe='')}{match[2]}"

    tracked = files.with_pictures(_HREF.sub(through_us, filled(mail, mail["html"])), f"{root}/pictures")
    head = '<!doctype html><meta charset="utf-8"><base target="_top">'
    return f'{head}{tracked}<img src="{root}/pixel.gif" alt="" width="1" height="1">'
