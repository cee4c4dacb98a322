"""The HTML of a mail for a browser, which cannot follow `cid:`: each picture that the mail carries stands there
itself."""

import base64
import re
from collections.abc import Iterable
from typing import Final

from mailroom.domain.content_checks import SHOWN_FILE
from mailroom.domain.emails.model import Attachment

_PICTURE: Final = re.compile(r"image/[A-Za-z0-9.+-]+")
_MOST: Final = 16 * 1024 * 1024  # characters of all pictures of a mail: one may be named any number of times


def with_pictures(html: str, files: Iterable[Attachment]) -> str:
    """The HTML with these pictures in it. A picture beyond _MOST, or a file that is no picture, stays a `cid:`
    address."""
    addresses = {
        file.content_id: f"data:{file.content_type};base64,{base64.b64encode(file.content).decode()}"
        for file in files
        if file.content_id and _PICTURE.fullmatch(file.content_type)
    }
    room = _MOST

    def shown(named: re.Match[str]) -> str:
        nonlocal room
        address = addresses.get(named[1], "")
        if not address or len(address) > room:
            return named[0]
        room -= len(address)
        return address

    return SHOWN_FILE.sub(shown, html) if addresses else html
