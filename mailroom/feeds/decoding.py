"""The text of a feed, by a closed list of encodings: Python's codecs also undo zip, hex and the like, and some take
time by the square of the length."""

import re
from email.message import Message
from typing import Final

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome

_KNOWN: Final = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), "utf-8"),
    **{name: name for name in ("utf-16", "utf-16le", "utf-16be", "koi8-r", "shift_jis", "euc-jp", "euc-kr", "big5")},
    **{f"iso-8859-{number}": f"iso-8859-{number}" for number in (2, 3, 4, 5, 7, 9, 10, 13, 14, 15, 16)},
    **{f"windows-{number}": f"windows-{number}" for number in range(1250, 1259)},
    **dict.fromkeys(("iso-8859-1", "latin-1", "latin1"), "windows-1252"),  # as browsers read it
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "gb18030"),
}
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be"))
_DECLARED: Final = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([A-Za-z0-9_.-]{1,40})["']""")


def text_of(body: bytes, content_type: str) -> str:
    """The text without a byte order mark. Raises FeedFailed."""
    mark, encoding = next(((mark, name) for mark, name in _MARKS if body.startswith(mark)), (b"", ""))
    name = encoding or _declared(body) or _charset(content_type) or "utf-8"
    codec = _KNOWN.get(name.lower())
    if codec is None:
        raise FeedFailed(FeedOutcome.BAD, f"its encoding {name} is not known")
    try:
        return body[len(mark) :].decode(codec)
    except UnicodeDecodeError:
        raise FeedFailed(FeedOutcome.BAD, f"it is not written in {name}") from None


def _declared(body: bytes) -> str:
    found = _DECLARED.match(body)
    return found[1].decode("ascii") if found else ""


def _charset(content_type: str) -> str:
    header = Message()
    header["Content-Type"] = content_type[:200].replace("\r", " ").replace("\n", " ")
    return str(header.get_param("charset") or "")[:40]
