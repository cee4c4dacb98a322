"""What each peer does for a mail: build the form and post it with requests, over a session that its thread keeps."""

import threading

import requests

from benchmarks import form

_kept = threading.local()


def post(stub_url: str, number: int) -> None:
    """Post the mail of that number. Raises requests.RequestException, for a status that is no success as well."""
    session = getattr(_kept, "session", None)
    if session is None:
        session = _kept.session = requests.Session()
    parts = [(name, (None, value)) for name, value in form.fields(number)]  # a file without a name is a plain field
    session.post(stub_url + form.PATH, files=parts, auth=("api", "key"), timeout=60).raise_for_status()
