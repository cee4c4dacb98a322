"""Answers as JSON: sorted, in UTF-8, and whole even for values that orjson does not write."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask, jsonify

from scheduler_api.json_provider import OrjsonProvider


def written(document: Any) -> str:
    app = Flask(__name__)
    app.json = OrjsonProvider(app)
    with app.app_context():
        return jsonify(document).get_data(as_text=True)


def test_keys_are_sorted_and_nothing_is_escaped_or_spaced() -> None:
    assert written({"subject": "Grüße 😀", "id": "e1", "items": [None, True, 1.5]}) == (
        '{"id":"e1","items":[null,true,1.5],"subject":"Grüße 😀"}\n'
    )


@pytest.mark.parametrize("document", [{"a": 2**70}, {"a": ["\ud83d"]}], ids=["a long number", "half an emoji"])
def test_a_value_that_orjson_does_not_write_is_written_all_the_same(document: Any) -> None:
    assert json.loads(written(document)) == document


def test_times_are_written_as_flask_writes_them() -> None:
    at = datetime(2026, 11, 23, 8, tzinfo=UTC)
    with Flask(__name__).app_context():
        by_flask = jsonify(at=at, by_number={1: 2}).get_json()

    assert json.loads(written({"at": at, "by_number": {1: 2}})) == by_flask
