"""Serve an application, check the process in among the workers for as long as it serves, and follow the chosen level
of the log."""

from collections.abc import Callable
from typing import Any

from flask import Flask

from cli.requests_in_flight import RequestsInFlight
from cli.serving import serve
from config.settings import Settings
from mailroom.assembly.api import ApiServices, build_api_services
from mailroom.domain.workers import Activity, WorkerKind
from mailroom.services.operations.check_ins import CheckIns, new_worker_id
from mailroom.services.operations.log_level import LogLevelFollower
from mailroom.storage.database import Db
from mailroom.watching import traces


def serve_checked_in(
    kind: WorkerKind,
    create_app: Callable[[ApiServices], Flask],
    settings: Settings,
    *,
    port: int,
    before: Callable[[], Any] | None = None,
) -> None:
    """As `serve`, for an application of this kind."""
    here: list[CheckIns] = []

    def make() -> Flask:
        traces.start(settings.traces.url, share=settings.traces.share, part=kind)
        services = build_api_services(settings, app=kind)
        app = create_app(services)
        here.append(check_in(app, services.db, kind))
        LogLevelFollower(services.db, own=settings.log_level).start()
        return app

    def end() -> None:
        leave(here)
        traces.stop()

    serve(make, settings.web, port=port, before=before, after=end)


def check_in(app: Flask, db: Db, kind: WorkerKind) -> CheckIns:
    """Check this process in from now on, with the number of requests that the application is answering."""
    requests = RequestsInFlight(app.wsgi_app)
    app.wsgi_app = requests  # type: ignore[method-assign]
    check_ins = CheckIns(db, kind, new_worker_id(), look=lambda: Activity(in_flight=requests.count))
    check_ins.start()
    return check_ins


def leave(here: list[CheckIns]) -> None:
    for check_ins in here:
        check_ins.leave()
