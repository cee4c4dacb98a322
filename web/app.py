"""The pages as a Flask application."""

from typing import Final

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue

from mailroom.assembly.api import ApiServices
from mailroom.domain.errors import Unavailable
from mailroom.domain.holds import EVERYTHING, Hold
from mailroom.services.common import hold_mirror
from mailroom.watching.exposition import CONTENT_TYPE, PAGES, exposed
from web import admission, csrf, errors, request_log, words, zones
from web.pages import (
    audience_contacts,
    audiences,
    contacts,
    dead_letters,
    dispatches,
    draft_previews,
    email_forms,
    emails,
    people,
    previews,
    providers,
    refusals,
    reports,
    run_lists,
    runs,
    schedule_actions,
    schedule_forms,
    schedules,
    segments,
    sending,
    sent_mails,
    sign_in,
    suppressions,
    template_forms,
    template_previews,
    templates,
    topics,
    workers,
)
from web.session import has_session, may, may_decide

_PAGES: Final = (
    sign_in, schedules, schedule_forms, schedule_actions, audiences, audience_contacts, segments, run_lists, runs,
    email_forms, emails, people, contacts, topics, templates, template_forms, template_previews, previews,
    draft_previews, dispatches, dead_letters, providers,
    sending, sent_mails, refusals, suppressions, reports, workers,
)  # fmt: skip
#: The forms that are shown again with what was typed, after their session had ended; by endpoint.
_RESTORED: Final = {
    "schedule_forms.create": schedule_forms.restored,
    "schedule_forms.change": schedule_forms.restored,
    "draft_previews.show": schedule_forms.restored,
    "draft_previews.go_back": schedule_forms.restored,
    "email_forms.create": email_forms.restored,
    "audiences.create": audiences.restored,
    "suppressions.add": suppressions.restored,
    "template_forms.create": template_forms.restored,
    "template_forms.change": template_forms.restored,
    "topics.create": topics.restored,
    "providers.limit": providers.restored,
}


def create_app(services: ApiServices) -> Flask:
    """All pages over what `assembly` built."""
    app = Flask(__name__)
    signing, *verifying = services.settings.web.secret_keys
    secure = services.settings.web.public_url.startswith("https://")
    app.config.update(
        SECRET_KEY=signing,
        SECRET_KEY_FALLBACKS=verifying,
        # The prefix makes browsers refuse one that a neighbouring host, or an answer without TLS, has set.
        SESSION_COOKIE_NAME="__Host-mailroom" if secure else "mailroom",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        PERMANENT_SESSION_LIFETIME=services.settings.web.session_lifetime,
    )
    app.extensions.update(services=services, restored=_RESTORED)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    for word in words.FILTERS:
        app.add_template_filter(word)
    request_log.install(app)
    admission.install(app)  # before anything that reads forms
    csrf.install(app, services.settings.web.secret_keys, secure=secure)
    for page in _PAGES:
        app.register_blueprint(page.blueprint)
    errors.install(app)
    app.after_request(_guard_the_browser)
    app.context_processor(lambda: _for_every_page(services))

    @app.get("/health")
    def health() -> ResponseReturnValue:
        return {"health": "ok"}

    @app.get("/metrics")
    def metrics() -> ResponseReturnValue:
        return Response(exposed(PAGES), content_type=CONTENT_TYPE)

    return app


def _for_every_page(services: ApiServices) -> dict[str, object]:
    return {
        "signed_in": has_session(),
        "may": may,
        "may_decide": may_decide,
        "zone_of_page": zones.of_page,
        "section": request.blueprint,
        "stopped": lambda: _stopped(services),
        "api_reference": f"{services.settings.web.public_url}/docs",
    }


def _guard_the_browser(response: Response) -> Response:
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'",
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
            hold = hold_mirror.agree(services.db, services.brakes.mirror, EVERYTHING).hold
            g.stopped = hold if hold.held else None
        except Unavailable:
            g.stopped = None  # the page says by itself that the database is away
    stopped: Hold | None = g.stopped
    return stopped
