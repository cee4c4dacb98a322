"""Merge fields that recipients lack: found in the content of a campaign, and counted over its recipients."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from mailroom.domain.audiences import Recipient
from mailroom.domain.content_checks import Hint
from mailroom.domain.limits import MAX_AUDIENCE_VARIABLES
from mailroom.domain.run_values import FEED
from mailroom.domain.schedules import Content
from mailroom.domain.template_filling import FIELDS, UNSUBSCRIBE_URL
from mailroom.domain.template_language import language_of
from mailroom.domain.template_names import defaulted_names, needed_names, printed_names
from mailroom.domain.words import counted

_EXAMPLES: Final = 3
_NAMED: Final = 20  # merge fields of one kind that are named


@dataclass(frozen=True, slots=True)
class UsedFields:
    """The merge fields of a content. `needed`: no mail goes without a value. `printed`: they are shown as they are, so
    a blank value leaves a gap. `defaulted`: only shown with a default."""

    needed: frozenset[str]
    printed: frozenset[str]
    defaulted: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.needed or self.printed or self.defaulted)


def fields_of(content: Content) -> UsedFields:
    """The merge fields of a checked content."""
    own = frozenset({FEED} if content.feed else ()) | frozenset({UNSUBSCRIBE_URL} if content.topic else ())
    return _fields_of(content.subject, content.text, content.html, own)


@lru_cache(maxsize=64)
def _fields_of(subject: str, text: str, html: str, known: frozenset[str]) -> UsedFields:
    """`known`: names that have their values from elsewhere."""
    sources = zip(FIELDS, (subject, text, html), strict=True)
    trees = [language_of(field).parse(source) for field, source in sources]
    needed = frozenset(name.name for tree in trees for name in needed_names(tree, known)) - known
    printed = frozenset(name for tree in trees for name in printed_names(tree)) - known
    defaulted = frozenset(name for tree in trees for name in defaulted_names(tree)) - known
    return UsedFields(needed, printed & needed, defaulted - needed)


class FieldTally:
    """Counts who lacks the fields of a content. `looked_at`: how many recipients were."""

    def __init__(self, used: UsedFields) -> None:
        self._used = used
        self.looked_at = 0
        self._names: set[str] = set()  # that some of them have
        self._lacking = {kind: Counter[str]() for kind in _KINDS}
        self._examples: dict[tuple[str, str], list[str]] = {}

    def look_at(self, recipients: Iterable[Recipient]) -> None:
        used = self._used
        for recipient in recipients:
            self.looked_at += 1
            values = recipient.context()
            if len(self._names) < MAX_AUDIENCE_VARIABLES:
                self._names.update(values)
            for name in used.needed:
                if name not in values:
                    self._count(MISSING, name, recipient)
                elif name in used.printed and _is_blank(values[name]):
                    self._count(BLANK, name, recipient)
            for name in used.defaulted:
                if _is_blank(values.get(name)):
                    self._count(DEFAULTED, name, recipient)

    def _count(self, kind: str, name: str, recipient: Recipient) -> None:
        self._lacking[kind][name] += 1
        examples = self._examples.setdefault((kind, name), [])
        if len(examples) < _EXAMPLES:
            examples.append(recipient.address)

    def hints(self, *, of_all: bool) -> list[Hint]:
        """The hints about what was counted. `of_all`: True if all recipients were looked at, and not the first ones."""
        return [
            Hint(kind, self._words(kind, name, of_all=of_all))
            for kind in _KINDS
            for name, _ in self._lacking[kind].most_common(_NAMED)
        ]

    def _words(self, kind: str, name: str, *, of_all: bool) -> str:
        what, comes_of_it = _KINDS[kind]
        lacking = self._lacking[kind][name]
        looked_at = counted(self.looked_at, "contact")
        if lacking == self.looked_at:
            whom = f"all {'' if of_all else 'of the first '}{looked_at}" if lacking > 1 else "the only contact"
        else:
            whom = f"{lacking:,} of {'' if of_all else 'the first '}{looked_at}"
        examples, advice = _listed(self._examples[kind, name]), comes_of_it.format(name=name)
        return f"“{name}” is {what} for {whom}, for example {examples}: {advice}{self._meant(name)}"

    def _meant(self, name: str) -> str:
        """A question, where nobody has a field of this name and some have one that is like it."""
        if name in self._names:
            return ""
        folded = {word.lower(): word for word in sorted(self._names)}
        meant = get_close_matches(name.lower(), folded, n=1, cutoff=0.75)
        return f". Did you mean “{folded[meant[0]]}”?" if meant else ""


MISSING: Final = "missing_fields"
BLANK: Final = "blank_fields"
DEFAULTED: Final = "default_fields"
#: What is said of each kind: what the field is, and what comes of it.
_KINDS: Final = {
    MISSING: ("missing", "they get no email that needs it. Write {{{{ {name}|default('...') }}}} to do without"),
    BLANK: ("blank", "nothing stands in its place"),
    DEFAULTED: ("missing or blank", "its default stands in its place"),
}


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _listed(addresses: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(addresses[:-1]), addresses[-1]] if len(addresses) > 1 else addresses)
