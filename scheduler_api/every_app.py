"""The common equipment of every application of the API: one shape of errors, records of requests, bounds of bodies."""

from collections.abc import Sequence
from typing import Final

from flask import Flask

from mailroom.assembly.api import ApiServices
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES
from scheduler_api import problems, rejected_requests, request_log
from scheduler_api.admission import admission
from scheduler_api.json_provider import OrjsonProvider

_LAST_RECORDS_S: Final = 2.0


def equip(app: Flask, services: ApiServices, *, parts: Sequence[str]) -> None:
    """Equip the application. Its routes may be registered before or after. `parts`: those in this process, whose
    metrics it shows."""
    app.json = OrjsonProvider(app)
    app.config.update(MAX_CONTENT_LENGTH=MAX_SMALL_BODY_BYTES)
    app.extensions.update(services=services, parts=tuple(parts))
    request_log.install(app)
    problems.install(app)
    rejected_requests.install(app)
    app.extensions["admit"] = admission(app)
    app.extensions["at_end"] = [lambda: app.extensions["services"].requests.close(within_s=_LAST_RECORDS_S)]
