"""Which of two media types a caller wants, by the header `Accept` (RFC 9110 12.5.1)."""

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header


def prefers(accept: str, wanted: str, *, to: str) -> bool:
    """True if a caller with this header rates `wanted` higher than `to`, which wins a tie and stands for types that the
    caller does not take at all. Parameters of a type, such as a version, do not count."""
    ranges: dict[str, float] = {}
    for written, quality in parse_accept_header(accept, MIMEAccept):
        name = written.partition(";")[0].strip().lower()
        ranges[name] = max(quality, ranges.get(name, 0.0))
    return _quality(wanted, ranges) > _quality(to, ranges)


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    """The quality of the most specific range that includes the type; 0 without one."""
    kind = media_type.partition("/")[0]
    return next((ranges[name] for name in (media_type, f"{kind}/*", "*/*") if name in ranges), 0.0)
