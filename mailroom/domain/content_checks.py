"""What may go wrong with a mail that could be sent as it is: hints for its writer, before anything goes."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from mailroom.domain.html_pieces import Tag, pieces_of
from mailroom.domain.words import counted

_GMAIL_SHOWS: Final = 102 * 1024  # bytes of HTML; the rest is behind "View entire message", a link at the end too
_WHOLE: Final = re.compile(r"(?:https?://[^\s/]|mailto:|tel:|sms:|#|cid:)", re.IGNORECASE)
_LEAVING: Final = "list-unsubscribe"
_UNSUBSCRIBE: Final = re.compile("unsubscribe", re.IGNORECASE)
#: A file that HTML shows, by its content id.
SHOWN_FILE: Final = re.compile(r"""\bcid:([^\s"'<>()]{1,128})""", re.IGNORECASE)
_NAMED: Final = 3  # of the faulty links, so many are named
_SHOWN: Final = 60  # characters of one


@dataclass(frozen=True, slots=True)
class Hint:
    """`code`: stable, for programs. `message`: for people."""

    code: str
    message: str


def hints_for(text: str, html: str, content_ids: Collection[str] | None = None) -> list[Hint]:
    """The hints about rendered bodies, in the order in which a writer would mend them. `content_ids`: of the files that
    the HTML may show; None: not known."""
    tags = [piece for piece in pieces_of(html) if isinstance(piece, Tag) and not piece.closing]
    found = [*_about_links(tags), *_about_images(tags)]
    if content_ids is not None:
        found += _about_files(html, content_ids)
    if (size := len(html.encode())) > _GMAIL_SHOWS:
        words = f"the HTML has {size / 1024:,.0f} kB; Gmail shows the first 102 kB, and hides what comes after"
        found.append(Hint("clipped", words))
    if html.strip() and not text.strip():
        found.append(Hint("no_text", "there is no text part: some readers and filters expect one beside the HTML"))
    return found


def hints_about_leaving(text: str, html: str, headers: Mapping[str, str], *, topic: str) -> list[Hint]:
    """The hint at mail that its reader cannot leave. Mail of a topic has a link, or is not saved."""
    has_header = any(name.lower() == _LEAVING for name in headers)
    if topic or has_header or _UNSUBSCRIBE.search(text) or _UNSUBSCRIBE.search(html):
        return []
    return [Hint("no_unsubscribe", "there is no link to unsubscribe: mail to customers needs a topic, which has one")]


def _about_links(tags: list[Tag]) -> list[Hint]:
    targets = [tag.attributes.get("href", "").strip() for tag in tags if tag.name == "a" and "href" in tag.attributes]
    broken = list(dict.fromkeys(target for target in targets if not _WHOLE.match(target)))
    if not broken:
        return []
    named = ", ".join(f"“{target[:_SHOWN]}”" for target in broken[:_NAMED])
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return [Hint("broken_links", f"{counted(len(broken), 'link')} without a whole address (https://…): {named}{more}")]


def pictures_named(html: str) -> list[str]:
    """The names of the files that the HTML shows, each once."""
    return list(dict.fromkeys(SHOWN_FILE.findall(html)))


def _about_files(html: str, content_ids: Collection[str]) -> list[Hint]:
    shown = pictures_named(html)
    found = []
    if missing := [id_ for id_ in shown if id_ not in content_ids]:
        named = ", ".join(f"cid:{id_[:_SHOWN]}" for id_ in missing[:_NAMED])
        found.append(Hint("missing_files", f"the HTML shows files that are not attached: {named}"))
    if unseen := sorted(set(content_ids).difference(shown)):
        words = f"attached to be shown, and not in the HTML: {', '.join(unseen[:_NAMED])}. Write cid: before its name"
        found.append(Hint("unseen_files", words))
    return found


def _about_images(tags: list[Tag]) -> list[Hint]:
    images = [tag for tag in tags if tag.name == "img"]
    found = []
    if silent := sum("alt" not in image.attributes for image in images):
        words = f"{counted(silent, 'image')} without a text (alt) for readers whose program shows no pictures"
        found.append(Hint("no_alt", words))
    if near := sum(not _WHOLE.match(image.attributes.get("src", "").strip()) for image in images):
        found.append(Hint("broken_images", f"{counted(near, 'image')} without a whole address (https://…)"))
    return found
