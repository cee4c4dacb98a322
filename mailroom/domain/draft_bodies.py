"""The check of the bodies of a draft, and their making: text and HTML as they are sent."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from mailroom.domain.audiences import Known, Recipient
from mailroom.domain.bodies.checking import Check, finished_or_faults
from mailroom.domain.bodies.finish import Finished
from mailroom.domain.campaign_content import faults_of_links
from mailroom.domain.content import check_content, faults_of_language
from mailroom.domain.drafts import Draft, Kept
from mailroom.domain.errors import Fault
from mailroom.domain.run_values import FEED
from mailroom.domain.template_checks import KnownNames, lacking_by_count, lacking_in_audience, with_hint_at_topics
from mailroom.domain.template_filling import UNSUBSCRIBE_URL

_EXAMPLE_URL: Final = "https://mail.example.com/u/example"


def checked_bodies(
    draft: Draft, known: Known | None, recipients: Sequence[Recipient], kept: Kept, faults: list[Fault]
) -> Finished | None:
    """The bodies to send. `known`: the names that every recipient has; None if the list was refused."""
    html = frozenset(kept.template.html_fields) if draft.template and kept.template else frozenset[str]()
    bodies, topic = finished_or_faults(draft.subject, draft.written, _check(draft, known, recipients, html)), kept.topic
    if not isinstance(bodies, Finished):
        faults += bodies
        return None
    if topic:
        footer = topic.postal_address if topic.footer else ""
        faults += faults_of_links(draft.subject, bodies.text, bodies.html, footer=footer)
    return bodies


def _check(draft: Draft, known: Known | None, recipients: Sequence[Recipient], html: frozenset[str]) -> Check:
    """Finds the faults of templates, with the values that every recipient has. `html`: as in KnownNames."""
    if known is None or draft.in_writing:
        allowed = frozenset({FEED}) if draft.feed else frozenset[str]()
        return lambda content: faults_of_language(content, allowed, html)
    counts = Counter(name for recipient in recipients for name in recipient.variables)
    lacking = lacking_by_count(counts, len(recipients)) if recipients else _lacking_in(known)
    variables, example = known.variables, known.example.context()
    if draft.topic:
        variables, example = variables | {UNSUBSCRIBE_URL}, example | {UNSUBSCRIBE_URL: _EXAMPLE_URL}
    names = KnownNames(variables, with_hint_at_topics(lacking), html=html)
    known_names = names.with_feed() if draft.feed else names
    return lambda content: check_content(content, known_names, example)


def _lacking_in(known: Known) -> Callable[[str], str]:
    return lacking_in_audience if known.having is None else lacking_by_count(known.having, known.total)
