"""Lists as bytes, or as files: their encoding, and their lines, read one at a time."""

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from mailroom.domain.errors import Fault, InvalidInput

# A whole list, or a file of one that can be read again from its beginning; one reading at a time.
ListData = bytes | BinaryIO
MAX_LINE: Final = 1_000_000  # characters; about 30,000 addresses in one line
# The choices of a person if the guess is wrong; the names are Python's.
ENCODINGS: Final = {
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 (little endian)",
    "utf-16-be": "UTF-16 (big endian)",
    "cp1252": "Windows-1252 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1253": "Windows-1253 (Greek)",
    "cp1254": "Windows-1254 (Turkish)",
    "mac_roman": "Mac Roman",
    "cp932": "Shift JIS (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
    "euc_kr": "EUC-KR (Korean)",
    "utf-32": "UTF-32",
}
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHUNK: Final = 1 << 20
_SAMPLE: Final = 4_096
_BINARY: Final = re.compile(rb"^(?:PK\x03\x04|\xd0\xcf\x11\xe0|%PDF-|\x1f\x8b|\x89PNG|GIF8|\xff\xd8\xff)")


def check_is_text(data: ListData) -> None:
    """Raises InvalidInput for a file that is not text, such as an Excel workbook, and for an empty one."""
    if _BINARY.match(_head(data)):
        words = "this file is no text; in Excel or Numbers, save the sheet as CSV, and upload that"
        raise InvalidInput(Fault("recipients", words))
    if not any(chunk.strip() for chunk in _chunks(data)):
        raise InvalidInput(Fault("recipients", "the file is empty"))


def guess_encoding(data: ListData) -> str:
    """One of ENCODINGS: by the byte order mark, by the positions of zero bytes, else UTF-8 if valid, else cp1252."""
    sample = _head(data)
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            return encoding
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 8 > even:
        return "utf-16-le"
    if even > len(sample) // 8 > odd:
        return "utf-16-be"
    return "utf-8-sig" if is_encoded(data, "utf-8-sig") else "cp1252"


def is_encoded(data: ListData, encoding: str) -> bool:
    """True if all bytes are valid in this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in _chunks(data):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def has_zero_bytes(data: ListData) -> bool:
    return any(b"\0" in chunk for chunk in _chunks(data))


def count_lines(data: ListData) -> int:
    """About: for showing how far a reading is."""
    return sum(chunk.count(b"\n") for chunk in _chunks(data))


def lines_of(data: ListData, encoding: str) -> Iterator[str]:
    """The lines, each with a line feed in place of its line end (CR, LF, CRLF). Bytes that are not valid in this
    encoding become U+FFFD. Raises InvalidInput for a line that is too long."""
    with _as_text(data, encoding) as text:
        number = 0
        while line := text.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                words = f"line {number:,} has more than {MAX_LINE:,} characters; write one recipient a line"
                raise InvalidInput(Fault("recipients", words))
            yield line


@contextmanager
def _as_text(data: ListData, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The file stays open for the next reading."""
    text = io.TextIOWrapper(_from_its_beginning(data), encoding, errors="replace", newline=None)
    try:
        yield text
    finally:
        text.detach()


def _head(data: ListData) -> bytes:
    return _from_its_beginning(data).read(_SAMPLE)


def _chunks(data: ListData) -> Iterator[bytes]:
    file = _from_its_beginning(data)
    while chunk := file.read(_CHUNK):
        yield chunk


def _from_its_beginning(data: ListData) -> BinaryIO:
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return data
