"""Opens and clicks by machines (mail proxies and scanners) count apart from those by people.

Each provider's adapter says which events are a machine's: `Event.by_machine`.
"""

from mailroom.domain.events import Event, EventKind


def counted_as(event: Event) -> dict[str, int]:
    """What the event adds to the counts of its message; empty unless it is an open or a click."""
    if event.kind is EventKind.OPENED:
        return {"machine_opens" if event.by_machine else "opens": 1}
    if event.kind is EventKind.CLICKED:
        return {"machine_clicks" if event.by_machine else "clicks": 1}
    return {}


def first_by_a_person(event: Event) -> str | None:
    """The time of the message that this event may be: of the first open, or of the first click. A machine's is
    neither."""
    if event.by_machine:
        return None
    return {EventKind.OPENED: "first_opened_at", EventKind.CLICKED: "first_clicked_at"}.get(event.kind)
