"""What a command answers: text for a person, or one JSON document with the fields of the API."""

import json
from collections.abc import Callable
from typing import Any

import click
from flask.json.provider import DefaultJSONProvider
from marshmallow import Schema

from cli.command_table import JSON

Body = dict[str, Any]


def as_json() -> bool:
    """True if the command is asked for JSON."""
    return bool(click.get_current_context().meta.get(JSON))


def answer(schema: type[Schema], shown: object, show: Callable[[Body], None]) -> None:
    """Answer with what the API would answer by this schema. `show` prints it for a person."""
    answer_plainly(schema().dump(shown), show)


def answer_plainly(body: Body, show: Callable[[Body], None]) -> None:
    """Answer with a body that has no schema in the API."""
    if as_json():
        text = json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False, default=DefaultJSONProvider.default)
        click.echo(text.encode())  # UTF-8, whatever the terminal's encoding
    else:
        show(body)


def print_id(body: Body) -> None:
    """The id alone: for scripts."""
    click.echo(body["id"])
