"""The time zone of a page: all its times are shown in one, and the page names it."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from flask import g

_UTC = ZoneInfo("UTC")


def show_in(zone: ZoneInfo) -> None:
    """Show the times of this page in that zone; else they are in UTC."""
    g.zone = zone


def show_in_common(zones: Iterable[ZoneInfo]) -> None:
    """Show the times of this page in the zone that all its rows have; in UTC if they differ."""
    distinct = set(zones)
    if len(distinct) == 1:
        show_in(distinct.pop())


def of_page() -> ZoneInfo:
    zone: ZoneInfo = g.get("zone", _UTC)
    return zone
