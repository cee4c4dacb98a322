"""HAProxy's configuration before API, pages and webhooks: one template for `mailroom up --edge` and for Compose."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_MOST: Final = 20  # processes of one part that a name may stand for
#: The operations that an Idempotency-Key keeps from being done twice, below `/v1/` or by their short paths.
KEYED: Final = (
    "audiences",
    "emails",
    "emails/batch",
    "emails/{email_id}/send-again",
    "mail",
    "runs/{run_id}/send-again",
    "schedules",
    "schedules/{schedule_id}/duplicate",
    "schedules/{schedule_id}/run-now",
    "schedules/{schedule_id}/test",
)


@dataclass(frozen=True, slots=True)
class EdgePart:
    """Where the processes of one part are: at an address, or, `by_dns`, at each address that the name stands for."""

    name: str
    host: str
    port: int
    by_dns: bool = False
    most: int = _MOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The values of HAProxy's configuration. HAProxy ends TLS for the API on one port and for the pages on another."""

    bind: str
    api_port: int
    web_port: int
    status_port: int  # its health and figures, without TLS, for our own network
    certificate: Path  # a PEM file of the certificate, those that vouch for it, and its key
    api: EdgePart
    web: EdgePart
    webhooks: EdgePart
    request_s: int = 10  # for a head, with a body as far as it fits the buffer

    @property
    def by_dns(self) -> bool:
        return any(part.by_dns for part in (self.api, self.web, self.webhooks))


def haproxy_config(edge: Edge) -> str:
    """The whole configuration file."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML
    )
    keyed = [re.sub(r"{\w+}", "[^/]+", path) for path in KEYED]
    return templates.get_template("haproxy.cfg.jinja").render(edge=edge, keyed=keyed)
