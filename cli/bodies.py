"""A JSON document from a file or standard input, read and checked as the API reads and checks a body."""

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import click
from marshmallow import Schema, ValidationError

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_VALUES
from scheduler_api.arguments import with_those_of_the_domain
from scheduler_api.problems import faults_of
from scheduler_api.reading import Unreadable, read, weighs_more

BODY = click.argument("file", type=click.File("rb"))  # `-`: standard input
Further = Callable[[dict[str, Any], dict[str, Any]], Iterable[Fault]]


def bytes_of(file: BinaryIO, most: int) -> bytes:
    """The file, of at most so many bytes. Raises InvalidInput."""
    raw = file.read(most + 1)
    if len(raw) > most:
        raise InvalidInput(Fault("body", f"has at most {most:,} bytes"))
    return raw


def document_of(
    file: BinaryIO,
    *,
    most: int = MAX_SMALL_BODY_BYTES,
    values: int = MAX_VALUES,
    reader: Callable[[bytes], Any] = read,
) -> Any:
    """The JSON document in a file, of at most so many bytes and values. Raises InvalidInput."""
    raw = bytes_of(file, most)
    if len(raw) > MAX_SMALL_BODY_BYTES and weighs_more(raw, values):
        raise InvalidInput(Fault("body", f"holds more than {values:,} values"))
    try:
        return reader(raw)
    except Unreadable as error:
        raise InvalidInput(Fault("body", f"cannot be read as JSON: {error}")) from None


def loaded(schema: Schema, document: Any, *, further: Further | None = None) -> dict[str, Any]:
    """The fields of a document. `further` finds the domain's faults if the schema refuses the document.

    Raises InvalidInput with all faults of both.
    """
    try:
        fields: dict[str, Any] = schema.load(document)
    except ValidationError as error:
        faults = faults_of(error.messages)
        if further and isinstance(document, dict):
            good = error.valid_data if isinstance(error.valid_data, dict) else {}
            faults = with_those_of_the_domain(faults, further, document, good)
        raise InvalidInput(*dict.fromkeys(faults)) from None
    return fields
