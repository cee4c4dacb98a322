"""Bodies as a person wrote them, beside those that are made of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Written:
    """`text`: None for one made from the HTML. `markdown` and `mjml` stand for the HTML. `preheader`: what an inbox
    shows behind the subject. `inline_css`: style sheets go into their elements."""

    text: str | None
    html: str = ""
    markdown: str = ""
    preheader: str = ""
    inline_css: bool = False
    mjml: str = ""

    @property
    def size(self) -> int:
        """Characters of the bodies."""
        return len(self.text or "") + len(self.html) + len(self.markdown) + len(self.mjml)

    @property
    def has_html(self) -> bool:
        return bool(self.page_source.strip())

    @property
    def page_field(self) -> str:
        """The field of what the HTML is, or is made of."""
        return next((name for name in ("mjml", "markdown") if getattr(self, name).strip()), "html")

    def source_of(self, field: str) -> str:
        """The field that a person wrote, of which the subject, `text` or `html` of the mail was made."""
        return self.page_field if field == "html" or (field == "text" and self.text is None) else field

    @property
    def page_source(self) -> str:
        """What the HTML is, or is made of."""
        return str(getattr(self, self.page_field))


def as_written(
    text: str | None, html: str, markdown: str, preheader: str, *, inline_css: bool, mjml: str = ""
) -> Written:
    """Bodies without what says nothing: without HTML no text is made of it."""
    written = Written(text, html, markdown, preheader, inline_css, mjml)
    return written if written.has_html else Written(text or "", html, markdown, preheader, mjml=mjml)
