"""Lists as bytes: their encoding, and their lines, read one at a time."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import Final

from mailroom.domain.errors import Fault, InvalidInput

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


def check_is_text(data: bytes) -> None:
    """Raises InvalidInput for a file that is not text, such as an Excel workbook."""
    if _BINARY.match(data):
        words = "this file is no text; in Excel or Numbers, save the sheet as CSV, and upload that"
        raise InvalidInput(Fault("recipients", words))


def guess_encoding(data: bytes) -> str:
    """One of ENCODINGS: by the byte order mark, by the positions of zero bytes, else UTF-8 if valid, else cp1252."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding
    sample = data[:_SAMPLE]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 8 > even:
        return "utf-16-le"
    if even > len(sample) // 8 > odd:
        return "utf-16-be"
    return "utf-8-sig" if is_encoded(data, "utf-8-sig") else "cp1252"


def is_encoded(data: bytes, encoding: str) -> bool:
    """True if all bytes are valid in this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(data), _CHUNK):
            decoder.decode(data[start : start + _CHUNK])
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def lines_of(data: bytes, encoding: str) -> Iterator[str]:
    """The lines, each with a line feed in place of its line end (CR, LF, CRLF). Bytes that are not valid in this
    encoding become U+FFFD. Raises InvalidInput for a line that is too long."""
    with io.TextIOWrapper(io.BytesIO(data), encoding, errors="replace", newline=None) as text:
        for number, line in enumerate(text, 1):
            if len(line) > MAX_LINE:
                words = f"line {number:,} has more than {MAX_LINE:,} characters; write one recipient a line"
                raise InvalidInput(Fault("recipients", words))
            yield line
