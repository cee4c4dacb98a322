"""Bodies as a person wrote them, beside those that are made of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Written:
    """`text`: None for one made from the HTML. `markdown` stands for the HTML. `preheader`: what an inbox shows behind
    the subject. `inline_css`: style sheets go into their elements."""

    text: str | None
    html: str = ""
    markdown: str = ""
    preheader: str = ""
    inline_css: bool = False

    @property
    def size(self) -> int:
        """Characters of the bodies."""
        return len(self.text or "") + len(self.html) + len(self.markdown)

    @property
    def has_html(self) -> bool:
        return bool(self.html.strip() or self.markdown.strip())


def as_written(text: str | None, html: str, markdown: str, preheader: str, *, inline_css: bool) -> Written:
    """Bodies without what says nothing: without HTML no text is made of it."""
    written = Written(text, html, markdown, preheader, inline_css)
    return written if written.has_html else Written(text or "", html, markdown, preheader)
