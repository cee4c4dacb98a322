"""Bodies checked as they were written, then finished, then checked as they would be sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from mailroom.domain.bodies.finish import Finished, finish
from mailroom.domain.bodies.places import PlaceLost
from mailroom.domain.bodies.written import Written
from mailroom.domain.content import names_in
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_MARKDOWN, MAX_MJML, MAX_PREHEADER

_KEPT: Final = 20_000  # characters
#: Finds the faults of subject, text and html, as `check_content`.
Check = Callable[[Mapping[str, str]], list[Fault]]


def finished_or_faults(subject: str, written: Written, check: Check) -> Finished | list[Fault]:
    """The bodies to send with this subject, or every fault of what was written."""
    if faults := [*faults_of_shape(written), *_faults_of(subject, written, check)]:
        return faults
    try:
        finished = finish(written)
    except PlaceLost as error:
        return [Fault(written.page_field, str(error))]
    if (finished.text, finished.html) == (written.text, written.html):
        return finished
    # A text part and a preheader fill in values once more, and have a share of what fits.
    return of_written(written, check({"subject": subject, "text": finished.text, "html": finished.html})) or finished


def finished_template(written: Written, html: frozenset[str] = frozenset()) -> Finished:
    """The templates of a single mail, to be rendered. Small ones are kept for the next mail. `html`: the names whose
    values are HTML.

    Raises InvalidInput with every fault of the HTML, the Markdown and the preheader.
    """
    if written == Written(written.text, written.html) and written.text is not None:
        return Finished(written.text, written.html)
    return _checked_template(written, html) if written.size > _KEPT else _kept_template(written, html)


def _checked_template(written: Written, html: frozenset[str]) -> Finished:
    faults = faults_of_shape(written)
    for field, source, path in (
        ("html", written.html, "html"),
        ("text", written.markdown, "markdown"),
        ("html", written.mjml, "mjml"),
        ("subject", written.preheader, "preheader"),
    ):
        try:
            names_in({field: source}, html)
        except InvalidInput as error:
            faults += [replace(fault, path=path) for fault in error.faults]
    if faults:
        raise InvalidInput(*faults)
    try:
        return finish(written)
    except PlaceLost as error:
        raise InvalidInput(Fault(written.page_field, str(error))) from None


_kept_template = lru_cache(maxsize=256)(_checked_template)


def faults_of_shape(written: Written) -> list[Fault]:
    """The faults beside those of templates, and beside a length that every body has."""
    faults = []
    for name, limit in (("markdown", MAX_MARKDOWN), ("mjml", MAX_MJML), ("preheader", MAX_PREHEADER)):
        if len(getattr(written, name)) > limit:
            faults.append(Fault(name, f"at most {limit:,} characters"))
    given = [name for name in ("html", "markdown", "mjml") if getattr(written, name).strip()]
    faults += [Fault(name, "give one of html, markdown and mjml") for name in given[1:]]
    if written.preheader.strip() and not written.has_html:
        faults.append(Fault("preheader", "stands in the HTML: write html, markdown or mjml too"))
    return faults


def _faults_of(subject: str, written: Written, check: Check) -> list[Fault]:
    faults = check({"subject": subject, "text": written.text or "", "html": written.html})
    if written.markdown:
        faults += [replace(fault, path="markdown") for fault in check({"text": written.markdown})]
    if written.mjml:
        faults += [replace(fault, path="mjml") for fault in check({"html": written.mjml})]
    if written.preheader:
        faults += [replace(fault, path="preheader") for fault in check({"subject": written.preheader})]
    return faults


def of_written(written: Written, faults: Sequence[Fault]) -> list[Fault]:
    """The faults of finished bodies, at the body that was written. Those of a text that was made of faulty HTML are
    the same again."""
    source = written.page_field
    made = {"html": source} | ({"text": source} if written.text is None else {})
    if written.text is None and any(fault.path == "html" for fault in faults):
        faults = [fault for fault in faults if fault.path != "text"]
    return [replace(fault, path=made.get(fault.path, fault.path)) for fault in faults]
