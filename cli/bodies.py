"""A JSON document or a list from a file or standard input, read and checked as the API reads and checks a body."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from os import SEEK_END
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final

import click
from marshmallow import Schema, ValidationError

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_SMALL_BODY_BYTES, MAX_VALUES
from scheduler_api.arguments import with_those_of_the_domain
from scheduler_api.problems import faults_of
from scheduler_api.reading import Unreadable, read, weighs_more

BODY = click.argument("file", type=click.File("rb"))  # `-`: standard input
_CHUNK: Final = 1 << 20
_MOST_OF_A_LIST: Final = 512 * 1024 * 1024  # a million recipients with a few merge fields
Further = Callable[[dict[str, Any], dict[str, Any]], Iterable[Fault]]


def bytes_of(file: BinaryIO, most: int) -> bytes:
    """The file, of at most so many bytes. Raises InvalidInput."""
    raw = file.read(most + 1)
    if len(raw) > most:
        raise InvalidInput(_too_long(most))
    return raw


@contextmanager
def list_of(file: BinaryIO) -> Iterator[BinaryIO]:
    """A list that can be read again from its beginning. A list that comes through a pipe is kept in a temporary file
    while it is read. Raises InvalidInput for one that is too long."""
    with ExitStack() as opened:
        if not (file.seekable() and file.tell() == 0):
            file = _copied(file, opened.enter_context(TemporaryFile()))
        if file.seek(0, SEEK_END) > _MOST_OF_A_LIST:
            raise InvalidInput(_too_long(_MOST_OF_A_LIST))
        yield file


def _copied(source: BinaryIO, target: BinaryIO) -> BinaryIO:
    left = _MOST_OF_A_LIST + 1
    while left and (chunk := source.read(min(left, _CHUNK))):
        left -= target.write(chunk)
    return target


def _too_long(most: int) -> Fault:
    return Fault("body", f"has at most {most:,} bytes")


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
