"""Lists of recipients read as an upload is: whom it takes, and which lines it refuses."""

from mailroom.domain.audiences import Screened, screen
from mailroom.domain.lists.reading import look_at, rows_of


def read(text: str | bytes, **look: str) -> Screened:
    data = text if isinstance(text, bytes) else text.encode()
    return screen(rows_of(data, look_at(data, **look)))


def taken(screened: Screened) -> list[tuple[str, str]]:
    """Addresses and names."""
    return [(recipient.address, recipient.name) for recipient in screened.recipients]


def refused(screened: Screened) -> list[int]:
    """Numbers of lines."""
    return [refusal.row for refusal in screened.refused]
