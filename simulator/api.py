"""Mailgun's own routes: messages, events, webhooks. Shapes and words as in its documentation."""

import base64
import socket
import struct
import time
from dataclasses import replace
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.datastructures import MultiDict

from simulator import accepting, event_log, mime
from simulator.behaviour import AFTER, Fault
from simulator.files import File
from simulator.requests import Refused, read_call
from simulator.world import World

api = Blueprint("mailgun", __name__)
HOOK_TYPES: Final = tuple(accepting.HOOK_TYPES.values())


def world() -> World:
    found: World = current_app.extensions["world"]
    return found


def guarded(view: Any) -> Any:
    """Basic auth `api:<key>`, else 401 with the bare word; an unknown domain is a 404."""

    @wraps(view)
    def checked(domain: str, **rest: Any) -> Any:
        given = request.headers.get("Authorization", "")
        wanted = "Basic " + base64.b64encode(f"api:{world().api_key}".encode()).decode()
        if given != wanted:
            return Response("Forbidden", 401, mimetype="text/plain")
        if domain != world().domain:
            return jsonify(message=f"Domain not found: {domain}"), 404
        return view(domain, **rest)

    return checked


@api.post("/v3/<domain>/messages")
@guarded
def send(domain: str) -> Any:
    return _send(domain, request.form, _attached())


@api.post("/v3/<domain>/messages.mime")
@guarded
def send_mime(domain: str) -> Any:
    """The message comes whole; the form's `to` is the envelope."""
    message = request.files.get("message")
    raw = message.read() if message else request.form.get("message", "").encode()
    try:
        form: MultiDict[str, str] = MultiDict({**request.form.to_dict(flat=False), **mime.fields_of(raw)})
    except Refused as error:
        return jsonify(message=str(error)), 400
    return _send(domain, form, mime.files_of(raw))


def _attached() -> list[File]:
    """The form's files; a part without a filename is dropped, as Mailgun does."""
    return [
        File(kind, file.filename, file.mimetype, file.read())
        for kind in ("attachment", "inline")
        for file in request.files.getlist(kind)
        if file.filename
    ]


def _send(domain: str, form: MultiDict[str, str], files: list[File]) -> Any:
    behaviour = world().behaviour
    fault = behaviour.next_fault()
    time.sleep(behaviour.knobs.latency_s)
    if fault and fault not in AFTER:
        return _fail(fault, "")
    try:
        call = read_call(form, refused_addresses=behaviour.knobs.refused_addresses, files=files)
    except Refused as error:
        return jsonify(message=str(error)), 400
    knobs = behaviour.knobs
    if fault is Fault.PART:
        call = replace(call, to=call.to[: len(call.to) // 2])
    message_id = accepting.accept(
        world().store, call, domain=domain, at=time.time(), delivery_s=knobs.delivery_s, lag_s=knobs.event_lag_s
    )
    if fault:
        return _fail(fault, message_id)
    return jsonify(id=f"<{message_id}>", message="Queued. Thank you.")


def _fail(fault: Fault, message_id: str) -> Any:
    match fault:
        case Fault.TOO_MANY:
            words = "account-requests-per-sec limit exceeded, try again after 2 seconds"
            return jsonify(message=words), 429, {"Retry-After": "2"}
        case Fault.TOO_MANY_BARE:
            return jsonify(message="account-requests-per-sec limit exceeded, try again after 2 seconds"), 429
        case Fault.ERROR_BEFORE | Fault.ERROR_AFTER | Fault.PART:
            return jsonify(message="Internal Server Error"), 500
        case Fault.HANG_BEFORE | Fault.HANG_AFTER:
            time.sleep(world().behaviour.knobs.hang_s)
            return _drop()
        case Fault.DROP_BEFORE | Fault.DROP_AFTER:
            return _drop()
        case Fault.PLAIN_200:
            return Response("Mailgun Magnificent API", 200, mimetype="text/plain")
        case Fault.CUT_JSON:
            return Response(f'{{"id": "<{message_id}', 200, mimetype="application/json")
        case Fault.FORBIDDEN:
            return Response("Forbidden", 401, mimetype="text/plain")
        case Fault.WRONG_REGION:
            return jsonify(message=f"Domain not found: {world().domain}"), 404


def _drop() -> Response:
    """Reset the connection instead of answering."""
    sock = request.environ.get("gunicorn.socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RDWR)
    return Response("", 500)


@api.get("/v3/<domain>/events")
@guarded
def events(domain: str) -> Any:
    knobs = world().behaviour.knobs
    if knobs.log_status != 200:
        return jsonify(message="Internal Server Error"), knobs.log_status
    if knobs.log_lies_empty:
        return jsonify(items=[], paging=dict.fromkeys(("next", "previous", "first", "last"), request.url))
    try:
        items, tokens = event_log.page(world().store, dict(request.args), now=time.time())
    except (event_log.BadQuery, ValueError) as error:
        return jsonify(message=str(error)), 400
    root = f"{request.url_root}v3/{domain}/events"
    return jsonify(items=items, paging={name: f"{root}?page={token}" for name, token in tokens.items()})


@api.get("/v3/domains/<domain>/webhooks")
@guarded
def list_targets(domain: str) -> Any:
    targets = world().store.targets()
    return jsonify(webhooks={kind: {"urls": targets[kind]} if kind in targets else None for kind in HOOK_TYPES})


@api.post("/v3/domains/<domain>/webhooks")
@guarded
def add_target(domain: str) -> Any:
    return _set_targets(request.form.get("id", ""), request.form.getlist("url"), "created", keep=True)


@api.route("/v3/domains/<domain>/webhooks/<kind>", methods=["GET", "PUT", "DELETE"])
@guarded
def one_target(domain: str, kind: str) -> Any:
    urls = world().store.targets().get(kind)
    if request.method == "PUT":
        return _set_targets(kind, request.form.getlist("url"), "updated", keep=False)
    if urls is None:
        return jsonify(message="Webhook not found"), 404
    if request.method == "GET":
        return jsonify(webhook={"urls": urls})
    with world().store.transaction() as db:
        db.execute("DELETE FROM targets WHERE kind = ?", (kind,))
    return jsonify(message="Webhook has been deleted", webhook={"urls": urls})


@api.route("/v4/domains/<domain>/webhooks", methods=["POST", "PUT", "DELETE"])
@guarded
def targets_by_url(domain: str) -> Any:
    store = world().store
    with store.transaction() as db:
        if request.method == "DELETE":
            for url in request.args.get("url", "").split(","):
                db.execute("DELETE FROM targets WHERE url = ?", (url,))
        else:
            url = request.form.get("url", "")
            if not _is_url(url):
                return jsonify(Reason=f"{url} is not a valid url"), 400
            if request.method == "PUT":
                db.execute("DELETE FROM targets WHERE url = ?", (url,))
            for kind in request.form.getlist("event_types"):
                db.execute("INSERT OR IGNORE INTO targets VALUES (?, ?)", (kind, url))
    return list_targets(domain=domain)


def _set_targets(kind: str, urls: list[str], done: str, *, keep: bool) -> Any:
    if kind not in HOOK_TYPES:
        return jsonify(message=f"Invalid webhook id: {kind}"), 400
    for url in urls:
        if not _is_url(url):
            return jsonify(Reason=f"{url} is not a valid url"), 400
    present = world().store.targets().get(kind, []) if keep else []
    if keep and present:
        return jsonify(message="Webhook already exists"), 409
    if not 1 <= len(set(urls)) <= 3:
        return jsonify(message="1 to 3 urls are expected"), 400
    with world().store.transaction() as db:
        db.execute("DELETE FROM targets WHERE kind = ?", (kind,))
        db.executemany("INSERT OR IGNORE INTO targets VALUES (?, ?)", [(kind, url) for url in urls])
    return jsonify(message=f"Webhook has been {done}", webhook={"urls": urls})


def _is_url(url: str) -> bool:
    return url.startswith(("http://", "https://")) and len(url) > 10


@api.route("/", defaults={"path": ""})
@api.route("/v3/<path:path>", methods=["GET", "POST", "PUT", "DELETE"])
def anything_else(path: str) -> Any:
    """A wrong path answers 200 with plain text: no send may take that for an acceptance."""
    return Response("Mailgun Magnificent API", 200, mimetype="text/plain")
