"""Topics of single mails: a newsletter by the API is left as one by a schedule is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailroom.domain.campaign_content import BODIES, NO_LINK, UNSEEN_FOOTER, footer_below, shows
from mailroom.domain.errors import Fault
from mailroom.domain.own_headers import faults_beside_topic
from mailroom.domain.topics import Topic


@dataclass(frozen=True, slots=True)
class Leaving:
    """A topic, and the link by which the reader of this address leaves it. `mailto_of`: the same by mail, by that link;
    '' without a mailbox for it."""

    topic: Topic
    link_of: Callable[[str], str]
    mailto_of: Callable[[str], str] = lambda _: ""


def faults_of_topic(topic: str, leaving: Leaving | None, recipients: int, headers: Mapping[str, str]) -> list[Fault]:
    faults = [] if leaving else [Fault("topic", f"there is no topic {topic}; make it first")]
    if recipients > 1:
        faults.append(Fault("topic", "mail of a topic goes to one address: its link is for one reader"))
    return faults + faults_beside_topic(headers)


def with_way_out(written: Mapping[str, str], leaving: Leaving | None, link: str, faults: list[Fault]) -> dict[str, str]:
    """The texts, with the topic's footer below a body in which the reader finds no link; a fault if the topic has no
    footer."""
    texts = dict(written)
    if leaving is None or not link:
        return texts
    for field in BODIES:
        if not texts[field].strip() or shows(field, texts[field], link):
            continue
        if not leaving.topic.footer:
            faults.append(Fault(field, NO_LINK))
            continue
        pieces = footer_below(field, [texts[field]], leaving.topic.postal_address)
        texts[field] = "".join(piece if isinstance(piece, str) else link for piece in pieces)
        if not shows(field, texts[field], link):
            faults.append(Fault(field, UNSEEN_FOOTER))
    return texts
