"""CSRF: every form carries a mark that only our pages know, and a form without it changes nothing."""

from collections.abc import Sequence

from flask import Flask, render_template
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect


def install(app: Flask, keys: Sequence[str], *, secure: bool) -> None:
    """Check the mark of each form. `keys`: the first signs, and the others are taken while they rotate. `secure`: forms
    come over HTTPS, from our own pages only."""
    signing, *verifying = keys
    app.config.update(
        WTF_CSRF_SECRET_KEY=[*reversed(verifying), signing],  # the last key signs
        WTF_CSRF_TIME_LIMIT=None,  # a form's mark is good as long as its session
        WTF_CSRF_SSL_STRICT=secure,
    )
    CSRFProtect(app)
    app.register_error_handler(CSRFError, _expired)


def _expired(_: CSRFError) -> ResponseReturnValue:
    words = "Nothing was changed. Go back in your browser to find what you typed, then reload that page and send it."
    return render_template("message.html", title="Your session has expired", words=words), 400
