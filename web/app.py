"""The pages as a Flask application."""

from datetime import datetime
from typing import Any

import structlog
from flask import Flask, g, render_template
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from mailroom.assembly import ApiServices
from mailroom.domain.errors import InvalidInput, NotFound, NotTheOwner, ScopeMissing, TooMany, Unavailable
from mailroom.domain.holds import EVERYTHING, Hold
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_SMALL_BODY_BYTES
from mailroom.services.common import sending_switch
from web import admission
from web.pages import (
    audiences,
    dead_letters,
    dispatches,
    emails,
    providers,
    refusals,
    reports,
    runs,
    schedules,
    sending,
    sign_in,
    suppressions,
)
from web.session import has_session

log = structlog.get_logger()


def create_app(services: ApiServices) -> Flask:
    """All pages over what `assembly` built."""
    app = Flask(__name__)
    secure = services.settings.web.public_url.startswith("https://")
    app.config.update(
        SECRET_KEY=services.settings.web.secret_key,
        SESSION_COOKIE_NAME="mailroom",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        PERMANENT_SESSION_LIFETIME=services.settings.web.session_lifetime,
        WTF_CSRF_TIME_LIMIT=None,  # a form's mark is good as long as its session
        WTF_CSRF_SSL_STRICT=secure,
    )
    app.extensions["services"] = services
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.add_template_filter(_percent, "percent")
    app.add_template_filter(_number, "number")
    app.add_template_filter(_moment, "moment")
    app.add_template_filter(_run_state, "run_state")
    admission.install(app)  # before anything that reads forms
    CSRFProtect(app)
    for page in (
        *(
            sign_in,
            schedules,
            audiences,
            runs,
            emails,
            dispatches,
            dead_letters,
            providers,
            sending,
            refusals,
            suppressions,
            reports,
        ),
    ):
        app.register_blueprint(page.blueprint)
    app.register_error_handler(NotFound, lambda error: _page(404, "Not found", f"{error}".capitalize() + "."))
    app.register_error_handler(ScopeMissing, lambda error: _page(403, "Not allowed", f"{error}".capitalize() + "."))
    app.register_error_handler(NotTheOwner, lambda error: _page(403, "Not allowed", f"{error}".capitalize() + "."))
    app.register_error_handler(InvalidInput, lambda error: _page(422, "That cannot be", str(error)))
    app.register_error_handler(Unavailable, _away)
    app.register_error_handler(TooMany, _too_often)
    app.register_error_handler(
        CSRFError,
        lambda _: _page(
            400, "Your session has expired", "Go back to find what you typed; load the page anew to send it."
        ),
    )
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(
        HTTPException, lambda error: _page(error.code or 500, error.name, error.description or "")
    )
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_guard_the_browser)
    app.context_processor(lambda: {"signed_in": has_session(), "stopped": lambda: _stopped(services)})

    @app.get("/health")
    def health() -> Any:
        return {"health": "ok"}

    return app


def _page(status: int, title: str, words: str) -> Any:
    return render_template("message.html", title=title, words=words), status


def _away(error: Unavailable) -> Any:
    log.warning("page_refused", error=str(error))
    words = "The database did not answer. Nothing is lost; try again in a moment."
    return _page(503, "Away for a moment", words)


def _too_often(error: TooMany) -> Any:
    wait = str(error.retry_after_s)
    return (
        *_page(429, "Too many requests", f"{error}. Try again in {wait} seconds.".capitalize()),
        {"Retry-After": wait},
    )


def _too_large(_: RequestEntityTooLarge) -> Any:
    words = (
        f"A form has at most {MAX_SMALL_BODY_BYTES:,} bytes. Lists go to {MAX_BODY_BYTES:,}, once you are signed in."
    )
    return _page(413, "This is too large", words)


def _unexpected(error: Exception) -> Any:
    log.error("page_failed", exc_info=error)
    return _page(500, "Something went wrong here", "It is in the log. Nothing that was saved before is lost.")


def _guard_the_browser(response: Any) -> Any:
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _stopped(services: ApiServices) -> Hold | None:
    """The hold of the switch while all sending is stopped; None for visitors who are not signed in."""
    if not has_session():
        return None
    if "stopped" not in g:
        try:
            hold = sending_switch.agree(services.db, services.brakes.mirror, EVERYTHING)
            g.stopped = hold if hold.held else None
        except Unavailable:
            g.stopped = None  # the page says by itself that the database is away
    stopped: Hold | None = g.stopped
    return stopped


def _run_state(state: str) -> str:
    """The word of the pages for a run's state; the API keeps its own."""
    return {"planned": "sending", "finished": "completed"}.get(state, state)


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate * 100:.1f} %"


def _number(count: int) -> str:
    return f"{count:,}"


def _moment(moment: datetime | None, zone: Any = None) -> str:
    if moment is None:
        return "–"
    shown = moment.astimezone(zone) if zone is not None else moment
    return f"{shown:%a %d %b %Y %H:%M:%S %Z}"
