"""A letter whose bodies are made, and what must have become of it when it arrives."""

from typing import Final

STYLED_LETTER: Final = """<html><head><style>
p { color: #333333 }
@media (max-width: 600px) { p { color: #000000 } }
</style></head><body>
<p>Hello {{ name }}</p>{% if city == 'Rome' %}<p><a href="https://x.org/{{ mark }}">Go</a></p>{% endif %}
</body></html>
"""


def assert_made(text: str, html: str, name: str) -> None:
    """The text, the preheader and the styles of a STYLED_LETTER to this reader, in Rome."""
    number = name.removeprefix("Reader ")
    assert text.strip().replace("\r\n", "\n") == f"Hello {name}\n\nGo (https://x.org/mark-{number})"
    hidden, _, seen = html.partition("<body>")[2].partition("</div>")
    assert f">For {name}&" in hidden
    assert "display:none" in hidden
    assert seen.count('<p style="color: #333333') == 2
    assert "color: #000000 !important }" in html
    assert not any(sign in text + html for sign in ("{{", "{%", "%}"))
