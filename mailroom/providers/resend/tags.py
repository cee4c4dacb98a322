"""Our ids, and the recipients of a mail to several, as tags of a mail at Resend: its events bring them back.

Resend tells of each recipient of a mail by an event of its own, and names the same addresses in all of them, those of
`to` (anymail.dev/en/stable/esps/resend, resend/resend-python issue 68). So we send the recipients of the call along.
Source: resend.com/docs/dashboard/emails/tags (read 2026-11): up to 75 tags, values of up to 256 letters, digits, `_`
and `-`. Fifty addresses of the greatest length need 67.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.tags import ATTEMPT, DISPATCH, RUN, as_tag

_RECIPIENTS: Final = "mailroom-to-"
_LONGEST: Final = 256
_MOST_TAGS: Final = 75


def tags_of(run: RunId, dispatch: DispatchId, attempt: int, recipients: Sequence[str]) -> list[dict[str, str]]:
    """The tags of one mail. Those of a mail to several name all recipients of this call."""
    ours = {RUN: as_tag(run), DISPATCH: as_tag(dispatch), ATTEMPT: str(attempt)}
    if len(recipients) > 1:
        text = base64.urlsafe_b64encode("\n".join(recipients).encode()).decode().rstrip("=")
        pieces = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
        ours |= {f"{_RECIPIENTS}{number}": piece for number, piece in enumerate(pieces)}
    return [{"name": name, "value": value} for name, value in ours.items()]


def recipients_in(tags: Mapping[str, Any]) -> list[str]:
    """The recipients of a mail to several; none if the mail went to one recipient, or the tags cannot be read."""
    pieces = [tags.get(f"{_RECIPIENTS}{number}") for number in range(_MOST_TAGS)]
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split("\n") if text else []
    except (binascii.Error, ValueError):
        return []
