"""What somebody may send to stop us. A row is a name and a request; add one here and it is measured with all others."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MB: Final = 1_000_000
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Row:
    """`scope` is the token's; '' for nobody. `to` is `api` or `web`. `holds`: so many connections that are left open
    behind `body`, which is no whole request then. `{run}` in `path` stands for a finished run of 300,000 mails."""

    name: str
    path: str
    body: Callable[[], bytes]
    scope: str = ""
    to: str = "api"
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": JSON})
    chunked: bool = False
    holds: int = 0


def _mail(**more: Any) -> dict[str, Any]:
    # Written here: what the tests have for it would load all of Mailroom into the process that asks.
    return {"from": "shop@mg.example.com", "to": ["bo@example.org"], "subject": "Your order", "text": "Hello"} | more


def _schedule(rule: dict[str, Any]) -> dict[str, Any]:
    mail = {name: value for name, value in _mail().items() if name != "to"}
    return {**mail, "name": "x", "recipients": [{"address": "bo@example.org"}], "recurrence": rule}


def _json(value: Any) -> Callable[[], bytes]:
    return lambda: json.dumps(value).encode()


def _batch(bad: str) -> bytes:
    mail = json.dumps(_mail(text="x" * 4_000))
    return ('{"emails": [' + ",".join([mail.replace("Your", bad)] * 1_000) + "]}").encode()


def _rule(expression: str) -> dict[str, Any]:
    return {"kind": "rrule", "expression": expression, "time_zone": "UTC", "starts_at": "1970-01-01T00:00:00"}


_YEARLY: Final = (
    "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR="
    + ",".join(map(str, range(24)))
    + ";BYMINUTE="
    + ",".join(map(str, range(60)))
    + ";BYSECOND=0"
)
_FILTERS: Final = "{{ a" + "|e" * 200 + " }}"
_NESTED: Final = "{% if a %}" * 101 + "x" + "{% endif %}" * 101
_MULTIPART: Final = {"Content-Type": "multipart/form-data; boundary=x"}
_HALF: Final = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"

ROWS: Final = (
    Row("sign-in, 32 MB of a&a&", "/sign-in", lambda: b"a&" * (16 * MB), to="web", headers={"Content-Type": FORM}),
    Row("sign-in, 64 kB of a&a&", "/sign-in", lambda: b"a&" * 32_768, to="web", headers={"Content-Type": FORM}),
    Row(
        "sign-in, 32 MB of one part's head",
        *("/sign-in", lambda: b"--x\r\nContent-Disposition: form-data; a=" + b"b" * (32 * MB)),
        to="web",
        headers=_MULTIPART,
    ),
    Row("300 half requests, API", "", lambda: _HALF % b"v1/emails", holds=300),
    Row("300 half requests, webhooks", "", lambda: _HALF % b"webhooks/mailgun", holds=300),
    Row("300 half requests, pages", "", lambda: _HALF % b"sign-in", to="web", holds=300),
    Row("300 half heads, API", "", lambda: b"POST /v1/emails HTTP/1.1\r\nHost: x\r\nX: ", holds=300),
    Row("300 who read no answer", "", lambda: b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 40, holds=300),
    Row("12 MB of [, token read", "/v1/schedules/preview", lambda: b"[" * (12 * MB), "read"),
    Row("64 kB of [, token read", "/v1/schedules/preview", lambda: b"[" * 65_536, "read"),
    Row("12 MB of [, token mail", "/v1/emails", lambda: b"[" * (12 * MB), "mail"),
    Row("8 MB of [], token mail", "/v1/emails", lambda: b"[" + b"[]," * (8 * MB // 3) + b"[]]", "mail"),
    Row("60 MB of [], token schedules", "/v1/schedules", lambda: b"[" + b"[]," * (20 * MB) + b"[]]", "schedules"),
    Row(
        "30 MB of small recipients",
        "/v1/schedules",
        lambda: b'{"recipients": [' + b'{"address":""},' * (2 * MB) + b"{}]}",
        "schedules",
    ),
    Row("20 MB of escaped quotes and commas", "/v1/emails", lambda: b'["' + b'\\",' * (7 * MB) + b'"]', "mail"),
    Row("60 MB of nobody's", "/v1/emails/batch", lambda: b"x" * (60 * MB)),
    Row("chunked, half an emoji", "/v1/emails", lambda: b'{"subject": "\\ud800"}', "mail", chunked=True),
    Row("chunked, NaN", "/v1/emails", lambda: b'{"subject": NaN}', "mail", chunked=True),
    Row("60,000 chunks of a byte", "/v1/emails", lambda: b"[" * 60_000, "mail", chunked=True),
    Row("a batch of half emojis", "/v1/emails/batch", lambda: _batch("\\ud83d"), "mail"),
    Row("a webhook of 1 MB of half emojis", "/webhooks/mailgun", lambda: b'["' + b"\\ud83d" * 170_000 + b'"]'),
    Row("a yearly rule with every minute", "/v1/schedules/preview", _json({"recurrence": _rule(_YEARLY)}), "read"),
    Row(
        "the same rule, stored",
        "/v1/schedules",
        _json(_schedule(_rule(_YEARLY))),
        "schedules",
    ),
    Row("{{ a|e|e|… }}, 200 times", "/v1/emails", _json(_mail(text=_FILTERS, variables={"a": "x"})), "mail"),
    Row(
        "{{ a|e|e|… }}, a batch of 100",
        "/v1/emails/batch",
        _json({"emails": [_mail(text=_FILTERS + str(number), variables={"a": "x"}) for number in range(100)]}),
        "mail",
    ),
    Row("101 nested ifs", "/v1/emails", _json(_mail(text=_NESTED, variables={"a": "x"})), "mail"),
    Row(
        "101 nested ifs, stored", "/v1/templates/nested", _json({"subject": "x", "text": _NESTED}), "mail", method="PUT"
    ),
    Row(
        "{{ a }} 700 times, 500 kB each",
        "/v1/emails",
        _json(_mail(text="{{ a }}" * 700, variables={"a": "x" * 500_000})),
        "mail",
    ),
    Row("reports of 300,000 mails", "/v1/runs/{run}/report", bytes, "read", method="GET"),
    Row("the unreached of 300,000 mails", "/v1/runs/{run}/unreached", bytes, "read", method="GET"),
    Row("mails of 300,000 in one state", "/v1/runs/{run}/messages?status=failed", bytes, "read", method="GET"),
)
