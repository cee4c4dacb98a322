"""MJML (mjml.io) as the page of HTML that it stands for, by mrml: sections, columns and buttons that mail programs show
alike. Merge fields and conditions stay as they are, between elements too.

mrml goes down the elements by recursion, and its end is the end of the process: so they are counted first. However it
reads a document, no element is deeper in it than there are signs that begin one.
"""

import re
from typing import Final

import mrml

from mailroom.domain.bodies.masks import Masked
from mailroom.domain.bodies.places import PlaceLost, check_places
from mailroom.domain.limits import MAX_HTML, MAX_MJML_ELEMENTS

_BEGINS: Final = re.compile(r"<[^/\s]")
_LONGEST: Final = 200  # characters of what mrml says


def page_of(source: Masked) -> str:
    """The source of the page. The MJML is masked, and the page comes masked. Raises PlaceLost."""
    if len(_BEGINS.findall(source.text)) > MAX_MJML_ELEMENTS:
        raise PlaceLost(f"MJML has at most {MAX_MJML_ELEMENTS:,} elements")
    try:
        # Without options it includes no files and asks nobody.
        page = mrml.to_html(source.text).content
    except BaseException as error:
        # A fault of mrml's own comes as pyo3's PanicException, which is no Exception and cannot be imported.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise PlaceLost(f"cannot be read as MJML: {str(error)[:_LONGEST]}") from None
        raise
    if len(page) > MAX_HTML:
        raise PlaceLost(f"gives HTML of more than {MAX_HTML:,} characters")
    check_places(source, page, of="MJML")
    return page
