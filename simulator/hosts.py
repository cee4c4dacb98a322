"""Which names the simulator answers to. A page elsewhere may give its own name our address, and read the inbox of
whoever looks at it (DNS rebinding): then the request carries that name.
"""

import re
import socket
from collections.abc import Collection
from typing import Final

from flask import Flask, Response, request

# An address as it is, or one name without a dot, as on one machine and in Compose: no name of the public DNS.
_NEAR: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\]|[a-z0-9_-]+|([a-z0-9_-]+\.)*localhost", re.IGNORECASE)


def refuse_foreign_hosts(app: Flask, ours: Collection[str] = ()) -> None:
    """Answer 421 to a request for another name than one of these, this machine's own, or one that is near."""
    known = {name.lower() for name in (*ours, socket.gethostname())}

    @app.before_request
    def check_host() -> Response | None:
        name = re.sub(r":\d*$", "", request.headers.get("Host", "localhost")).lower()
        if name in known or _NEAR.fullmatch(name):
            return None
        return Response(
            f"This simulator does not answer to {name!r}: start it with --name.", 421, mimetype="text/plain"
        )
