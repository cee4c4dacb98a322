"""From the bodies as a person wrote them to those that are stored and sent: Markdown or MJML to HTML, style sheets into
their elements, the preheader, and a text part where none is given."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from jinja2 import TemplateSyntaxError

from mailroom.domain.bodies import markdown_page, mjml_page
from mailroom.domain.bodies.inlined_css import CannotInline, has_sheets, with_inlined_css
from mailroom.domain.bodies.masks import Masked, masked, unmasked
from mailroom.domain.bodies.preheaders import with_preheader
from mailroom.domain.bodies.text_part import text_part
from mailroom.domain.bodies.written import Written
from mailroom.domain.content_checks import Hint

_KEPT: Final = 50_000  # characters; what is made of longer bodies is not cached


@dataclass(frozen=True, slots=True)
class Finished:
    """Bodies to store and send. `hint`: why the style sheets could not go into their elements; None if they did."""

    text: str
    html: str
    hint: Hint | None = None


def finish(written: Written, *, templated: bool = True) -> Finished:
    """Always the same for the same bodies. `templated`: they are templates, which have passed their checks; otherwise
    braces are braces. Raises PlaceLost."""
    if written.size > _KEPT:
        return _finish(written, templated)
    return _finish_kept(written, templated)


def _finish(written: Written, templated: bool) -> Finished:
    take = masked if templated else unmasked
    try:
        page = _page(written, templated=templated)
        source = written.html if _is_html(written) else page.restored(page.text)
        inlined, hint = _inlined(page) if written.inline_css and has_sheets(source) else (page, None)
        html = source if inlined.text == page.text else inlined.restored(inlined.text)
        if written.preheader.strip() and written.has_html:
            html = with_preheader(inlined, take(written.preheader.strip()))
    except TemplateSyntaxError:
        return Finished(written.text or "", written.html)
    text = text_part(source, templated=templated) if written.text is None else written.text
    return Finished(text, html, hint)


_finish_kept = lru_cache(maxsize=64)(_finish)


def page_of(written: Written, *, whole: bool) -> str:
    """The HTML as it is written, or made of Markdown or MJML, which have passed their checks. `whole`: Markdown gives a
    page; else what stands in one. Raises PlaceLost."""
    if _is_html(written):
        return written.html
    source = masked(written.page_source)
    if not whole and written.page_field == "markdown":
        return source.restored(markdown_page.part_of(source))
    return source.restored(_page(written, templated=True).text)


def _is_html(written: Written) -> bool:
    """True if the HTML is written, and not made of something else."""
    return written.page_field == "html"


def _page(written: Written, *, templated: bool) -> Masked:
    if _is_html(written):
        return masked(written.html) if templated else unmasked(written.html)
    source = masked(written.page_source) if templated else unmasked(written.page_source)
    made_by = mjml_page if written.page_field == "mjml" else markdown_page
    return replace(source, text=made_by.page_of(source))


def _inlined(page: Masked) -> tuple[Masked, Hint | None]:
    try:
        return replace(page, text=with_inlined_css(page)), None
    except CannotInline as error:
        return page, Hint("css_not_inlined", f"the CSS stays in <style>, which some programs do not read: {error}")
