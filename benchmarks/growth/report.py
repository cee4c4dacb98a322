"""The figures of all sizes side by side, as tables in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Found = Mapping[str, Mapping[str, Any]]  # what was measured, by what was stored, the smallest size first
# What grows beyond this ratio to the smallest size is not flat.
FLAT: Final = 1.25
_BLOCK: Final = 1_000  # mails are stored by the thousand (see store.py)
_LEAST_MS: Final = 3.0  # of a page: less than this is no growth that anybody would see
AGAIN: Final = "the smallest again"
_COSTS: Final = (
    ("a fixed piece of work, ms", "control", "ms"),
    ("a mail: sender, us", "mail", "sender_us"),
    ("a mail: stores, us", "mail", "stores_us"),
    ("mails a second", "mail", "a_second"),
    ("a due schedule: sender, us", "due", "sender_us"),
    ("a due schedule: stores, us", "due", "stores_us"),
    ("lateness p50, s", "due", "late_p50_s"),
    ("lateness p99, s", "due", "late_p99_s"),
    ("at rest: sender, % of a core", "due", "sender_at_rest_percent"),
    ("at rest: stores, % of a core", "due", "stores_at_rest_percent"),
    ("an event of a mail just sent: intake, us", "webhook of new mails", "intake_us"),
    ("an event of a mail just sent: stores, us", "webhook of new mails", "stores_us"),
    ("an event of any mail: intake, us", "webhook of any mail", "intake_us"),
    ("an event of any mail: stores, us", "webhook of any mail", "stores_us"),
    ("events of any mail a second", "webhook of any mail", "a_second"),
    ("the hourly ledger's schedules, s", "ledger", "seconds"),
)
_STORED: Final = ("documents", "dataSize", "storageSize", "indexSize")


def sizes(least: int, most: int) -> list[int]:
    """Each ten times the one before it; all in whole thousands."""
    found = [max(_BLOCK, least // _BLOCK * _BLOCK)]
    while found[-1] * 10 <= most:
        found.append(found[-1] * 10)
    return found


def costs(found: Found) -> dict[str, list[float]]:
    """Each cost, by size."""
    return {name: [float(each[group][key]) for each in found.values()] for name, group, key in _COSTS}


def pages(found: Found) -> dict[str, list[float]]:
    """Milliseconds of each page, by size."""
    sizes = list(found.values())
    return {name: [each["pages"][name] for each in sizes] for name in sizes[0]["pages"]}


def grown(found: Found) -> list[int]:
    """The sizes that grow, without the smallest one again."""
    return [int(stored.replace(",", "")) for stored in found if stored != AGAIN]


def ratios(row: Sequence[float]) -> list[float]:
    """To the smallest size."""
    return [value / row[0] if row[0] else 1.0 for value in row]


def grown_pages(found: Found) -> dict[str, float]:
    """The pages that take longer at the largest size, with their ratio to the smallest."""
    rows = {name: row[: len(grown(found))] for name, row in pages(found).items()}
    return {
        name: round(ratios(row)[-1], 2)
        for name, row in rows.items()
        if ratios(row)[-1] > FLAT and row[-1] - row[0] > _LEAST_MS
    }


def in_short(found: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured at one size, while it runs."""
    return {name: found[name] for name in found if name not in ("pages", "questions")}


def as_markdown(found: Found, *, when: str, command: str) -> str:
    """The whole of a run."""
    parts = [
        "# What is stored, and what a mail, a due instant, a page and an event cost\n",
        f"Made by `{command}` on {when}. us: microseconds of processor time for one; in brackets: the ratio to the"
        " smallest size.\n",
        "![Ratios to the smallest size](growth.svg)\n",
        *_table("cost", costs(found), found),
        "",
        *_table("milliseconds, median", pages(found), found),
        "",
        "Keys and documents that MongoDB looked at, by its own account:\n",
        *_questions(found),
        "",
        "What is stored, in millions and gigabytes (`mongod` has a cache of one gigabyte):\n",
        *_stored(found),
    ]
    return "\n".join(parts) + "\n"


def _table(what: str, rows: Mapping[str, Sequence[float]], found: Found) -> Iterator[str]:
    yield f"| {what}; stored: | {' | '.join(size for size in found)} |"
    yield f"| --- |{' --- |' * len(found)}"
    for name, row in rows.items():
        cells = [f"{value:,g}" + (f" ({ratio:.2f})" if n else "") for n, (value, ratio) in _numbered(row)]
        yield f"| {name} | {' | '.join(cells)} |"


def _numbered(row: Sequence[float]) -> Iterator[tuple[int, tuple[float, float]]]:
    return enumerate(zip(row, ratios(row), strict=True))


def _questions(found: Found) -> Iterator[str]:
    yield f"| question; stored: | {' | '.join(size for size in found)} |"
    yield f"| --- |{' --- |' * len(found)}"
    for name in next(iter(found.values()))["questions"]:
        works = [each["questions"][name] for each in found.values()]
        cells = [
            f"{work['keys']:,} / {work['documents']:,}" + (" COLLSCAN" if work["walks_a_collection"] else "")
            for work in works
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def _stored(found: Found) -> Iterator[str]:
    yield f"| stored: | {' | '.join(size for size in found)} |"
    yield f"| --- |{' --- |' * len(found)}"
    words = ("documents, millions", "documents, GB", "on disk, GB", "indexes, GB")
    for name, word in zip(_STORED, words, strict=True):
        values = [each["stored"][name] / (1e6 if name == "documents" else 1) for each in found.values()]
        yield f"| {word} | {' | '.join(f'{value:.2f}' for value in values)} |"
