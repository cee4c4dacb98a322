"""Mailgun's lists of addresses that get nothing: bounces, complaints, unsubscribes. Shapes and words as in its
documentation ("Suppressions", read 2026-12)."""

import time
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, jsonify, request

from simulator.api import guarded, world

suppressions = Blueprint("suppressions", __name__)
_PATH: Final = "/v3/<domain>/<any(bounces, unsubscribes, complaints):list_>"
_USUAL, _MOST = 100, 1_000  # records in a page; in a call
_AFTER_ALL: Final = "\U0010ffff"  # sorts behind every address


@suppressions.get(_PATH)
@guarded
def page(domain: str, list_: str) -> Any:
    """A page in the order of the addresses. `next` is there after the last page too, and leads to an empty one."""
    try:
        limit = int(request.args.get("limit", _USUAL))
    except ValueError:
        limit = 0
    if not 1 <= limit <= _MOST:
        return jsonify(message=f"limit must be between 1 and {_MOST}"), 400
    if (status := world().behaviour.knobs.suppressions_status) != 200:
        return jsonify(message="Internal Server Error"), status
    which, pivot = request.args.get("page"), request.args.get("address", "").lower()
    before = which in ("previous", "last")
    pivot = _AFTER_ALL if which == "last" else pivot
    order = "address < ? ORDER BY address DESC" if before else "address > ? ORDER BY address"
    rows = world().store.rows(
        f"SELECT * FROM suppressions WHERE list = ? AND {order} LIMIT ?",  # noqa: S608 - both orders are ours
        (list_, pivot, limit),
    )
    shown = [_record(list_, row) for row in (reversed(rows) if before else rows)]
    first, last = (shown[0]["address"], shown[-1]["address"]) if shown else (pivot, pivot)
    root = f"{request.url_root}v3/{domain}/{list_}"
    asked: dict[str, dict[str, str]] = {
        "first": {},
        "last": {"page": "last"},
        "previous": {"page": "previous", "address": first},
        "next": {"page": "next", "address": last},
    }
    paging = {name: f"{root}?{urlencode({**query, 'limit': limit})}" for name, query in asked.items()}
    return jsonify(items=shown, paging=paging)


@suppressions.post(_PATH)
@guarded
def add(domain: str, list_: str) -> Any:
    """One record as a form, or up to a thousand as JSON. One bad record refuses them all."""
    many = request.get_json(silent=True) if request.is_json else [request.form.to_dict()]
    if not isinstance(many, list) or not many:
        return jsonify(message="Invalid input"), 400
    if len(many) > _MOST:
        return jsonify(message=f"Batch size should be less than {_MOST}"), 400
    if (status := world().behaviour.knobs.suppressions_status) != 200:
        return jsonify(message="Internal Server Error"), status
    if bad := [one for one in many if not isinstance(one, dict) or "@" not in str(one.get("address", ""))]:
        return jsonify(message=f"'address' parameter is not a valid address: {bad[0]}"[:200]), 400
    for one in many:
        said = {"code": str(one.get("code", "550")), "error": str(one.get("error", ""))}
        tags = one.get("tags") or [one.get("tag") or "*"]
        if list_ == "unsubscribes":
            said = {"code": ",".join(map(str, tags)), "error": ""}
        world().store.suppress(list_, str(one["address"]), **said, at=_time_of(one.get("created_at")))
    if len(many) == 1 and not request.is_json:
        return jsonify(message=f"Address has been added to the {list_} table", address=many[0]["address"])
    return jsonify(message=f"{len(many)} addresses have been added to the {list_} table")


@suppressions.route(f"{_PATH}/<address>", methods=["GET", "DELETE"])
@guarded
def one(domain: str, list_: str, address: str) -> Any:
    row = world().store.row("SELECT * FROM suppressions WHERE list = ? AND address = ?", (list_, address.lower()))
    if row is None:
        return jsonify(message=f"Address not found in {list_} table"), 404
    if request.method == "GET":
        return jsonify(_record(list_, row))
    with world().store.transaction() as db:
        db.execute("DELETE FROM suppressions WHERE list = ? AND address = ?", (list_, address.lower()))
    return jsonify(message="Suppression has been removed", value=address)


def _record(list_: str, row: Any) -> dict[str, Any]:
    at = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime(row["created_at"]))
    shown: dict[str, Any] = {"address": row["address"], "created_at": at}
    if list_ == "bounces":
        shown |= {"code": row["code"], "error": row["error"]}
    if list_ == "unsubscribes":
        # The store keeps the tags of an unsubscribe where a bounce has its code.
        shown["tags"] = ["*"] if row["code"] in ("", "550") else row["code"].split(",")
    return shown


def _time_of(said: object) -> float:
    parsed = parsedate_tz(str(said)) if said else None
    return float(mktime_tz(parsed)) if parsed else time.time()
