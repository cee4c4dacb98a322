"""Pages for readers, behind links in mails and behind forms: no cookie, no sign-in, no script."""

from typing import Final

from flask import Response, make_response, render_template

from mailroom.domain.errors import TooMany

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the path may be the secret
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
}
TOO_OFTEN: Final = "This was done too often. Try again in a minute."
AWAY: Final = "This is not possible at the moment. Try again in a minute."
NOT_DONE: Final = "This cannot be done at the moment, and nothing was changed. Try again in a minute."
_AWAY_S: Final = 30


def page(template: str, status: int, **values: object) -> Response:
    """The page of this template, for one reader alone."""
    response = make_response(render_template(template, **values), status)
    response.headers.update(_HEADERS)
    return response


def too_often(error: TooMany, template: str, **values: object) -> Response:
    """The page that says when to try again."""
    response = page(template, 429, **values)
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def away(template: str, **values: object) -> Response:
    """The page while a server is away that is needed."""
    response = page(template, 503, **values)
    response.headers["Retry-After"] = str(_AWAY_S)
    return response
