"""Bodies that an operation should take, by its schema and by what its fields mean; and odd values to put in."""

import random
import secrets
from collections.abc import Callable
from typing import Any, Final

from tests.fuzz.calling import Text
from tests.fuzz.things import Operation, Things, tomorrow
from tests.support.emails import an_email
from tests.support.system import a_schedule_body

_RULES: Final = (
    {"kind": "cron", "expression": "0 9 * * 1-5", "time_zone": "Europe/Berlin"},
    {"kind": "rrule", "expression": "FREQ=MONTHLY;BYDAY=-1FR", "time_zone": "UTC"},
    {"kind": "every", "seconds": 3600, "time_zone": "America/New_York"},
    {"kind": "once", "at": "2090-01-01T09:00:00", "time_zone": "Asia/Tokyo"},
)
# Texts with places for variables, as they are written well and badly.
TEMPLATES: Final = (
    "Hello {{ name }}",
    "{{ city|default('your town') }}",
    "{% if city is defined %}{{ city }}{% endif %}",
    "{% for x in [1,2] %}{{ x }}{% endfor %}",
    "{% for x in a %}{{ loop.index }}{{ x.b }}{% else %}-{% endfor %}",
    "{% for x in city %}{% for y in x %}{% for z in city %}.{% endfor %}{% endfor %}{% endfor %}",
    "{{ city.b[0]['c']|default('') }}{{ city|join(', ') }}",
    "{{ a" + "|e" * 200 + " }}",
    "{{ " + "not " * 200 + "a }}",
    "{% if a %}" * 101 + "{% endif %}" * 101,
    "{{ " + "(" * 300 + "a" + ")" * 300 + " }}",
    "{{ a" + ".b" * 300 + " }}",
    "{{ [" * 60 + "]" * 60 + " }}",
    "{{a}}" * 700,
    "{{ ''.__class__.__mro__ }}",
    "{{ 9**9**9 }}",
    "{{ 'a' * 10**9 }}",
    "{{ range(10**9)|list }}",
    "{{ a|join }}{{ a|map('x') }}{{ a|format }}",
    "{% raw %}{{ x }}",
    "{# of the day #}",
    "@media screen{#outlook a{padding:0}}",
    "{{ {} }}{{ {1:2}[1] }}",
    "{{ '%s'|format(1, 2) }}{{ 'x'|center(10**8) }}",
    "{{",
    "{%",
    "%recipient.x% %unsubscribe_url%",
)
ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1.5, 10**30, -(10**30), 2**63, 1e308, "", " ", "\x00", "a\r\nBcc: x@example.org"),
    *("\U0001f600", "é" * 300, "x" * 5_000, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "nonsense"),
    *([], {}, [None], [[]], [{}], {"": ""}, {"$gt": ""}, {"a.b": 1}, {"$where": "1"}, ["x"] * 1_001),
    *(
        {"city": [["x"] * 200] * 200},
        {"city": {"b": [{"c": None}]}},
        {"city": [[[[[[[[[[1]]]]]]]]]]},
        {"city": [10**30]},
    ),
    *("bo@example.org", "Bo <bo@example.org>, Eve <eve@example.org>", "@", "a" * 400 + "@x", "\u202e@example.org"),
    *(
        "FREQ=MONTHLY;BYDAY=99MO",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=SECONDLY;BYSETPOS=-1",
        "*/90 * * * *",
        "0 0 L/2 * *",
    ),
    *("Europe/Berlin\x00", "../../etc/passwd", "Factory", "mailgun", "em_1", "sch_1-d00000"),
    *TEMPLATES,
)
# What no reader of JSON should give on, and what only a strict one refuses.
RAW: Final = (
    *(b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a":NaN}', b'{"a":-Infinity}'),
    *(b'{"a":1e999}', b'{"name":"\\ud800"}', b'{"subject":"\\udfff"}', b'{"a":1,"a":2}', b'{"name":"\xed\xa0\x80"}'),
    *(b"[" * 50_000, b'{"a":' * 50_000, b"[]," * 20_000, b'{"a":' + b"9" * 5_000 + b"}", b'{"a":"' + b"x" * 60_000),
)


def good(operation: Operation, schema: dict[str, Any], resolve: Callable[[Any], Any], things: Things) -> Any:
    """A body that the operation should take."""
    if operation in _WHOLE:
        return _WHOLE[operation](things)
    if schema.get("type") == "string" or not schema:
        return Text(f"address,name\nreader-{secrets.token_hex(3)}@example.org,Bo\n")
    return value_of(schema, "", resolve, things)


def with_something_odd(body: Any, chance: random.Random) -> Any:
    """The body with one of its values, somewhere, put out by an odd one; or with a field that nobody knows."""
    if isinstance(body, Text):
        return _odd_file(chance)
    if isinstance(body, dict) and body and chance.random() < 0.85:
        name = chance.choice(sorted(body))
        return body | {name: with_something_odd(body[name], chance) if chance.random() < 0.5 else chance.choice(ODD)}
    if isinstance(body, dict):
        return body | {chance.choice(("surprise", "$set", "", "_id")): chance.choice(ODD)}
    if isinstance(body, list) and body and chance.random() < 0.7:
        at = chance.randrange(len(body))
        return [*body[:at], with_something_odd(body[at], chance), *body[at + 1 :]]
    return chance.choice(ODD)


def _odd_file(chance: random.Random) -> Text:
    """A list as nobody should write it."""
    rows = [str(chance.choice(ODD)) for _ in range(3)]
    return Text(chance.choice(["\n", ",", ";"]).join([chance.choice(["", "addr", "name,address,address"]), *rows]))


def value_of(schema: dict[str, Any], name: str, resolve: Callable[[Any], Any], things: Things) -> Any:
    schema = resolve(schema)
    if name in _VALUES:
        return _VALUES[name](things)
    if "enum" in schema:
        return things.chance.choice([one for one in schema["enum"] if one is not None])
    match schema.get("type"):
        case "object" if schema.get("properties"):
            needed = set(schema.get("required", ()))
            return {
                field: value_of(inner, field, resolve, things)
                for field, inner in schema["properties"].items()
                if field in needed or (things.chance.random() < 0.3 and not inner.get("readOnly"))
            }
        case "object":
            return {"city": "Rome"}
        case "array":
            return [value_of(schema.get("items", {}), "", resolve, things)]
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return things.chance.random() < 0.5
        case _:
            return "Something"


def _edit(things: Things) -> dict[str, Any]:
    changes = {
        "name": "Renamed",
        "subject": "News",
        "tags": ["a"],
        "recurrence": _RULES[0],
        "misfire": {"policy": "skip"},
        "delivery": things.chance.choice(["schedule_time", "recipient_time"]),
    }
    return {name: changes[name] for name in things.chance.sample(sorted(changes), 2)}


def _footer(things: Things) -> dict[str, Any]:
    confirmed = {"double_opt_in": True, "confirm_from": "shop@mg.example.com"}
    return things.chance.choice([{}, {"footer": True, "postal_address": "Shop Ltd, Rome"}, confirmed])


def _mail(things: Things) -> dict[str, Any]:
    more: dict[str, Any] = {
        "cc": ["di@example.org"],
        "html": "<p>Hello {{ name }}</p>",
        "headers": {"X-Order": "17"},
        "variables": {"name": "Bo", "city": "Rome"},
        "attachments": [{"filename": "a.txt", "content_type": "text/plain", "content": "aGVsbG8="}],
        "metadata": {"order": "17"},
        "tags": ["reset"],
        "priority": things.chance.choice(["high", "normal", "low"]),
        "send_at": tomorrow(),
        "reply_to": "help@mg.example.com",
    }
    chosen = things.chance.sample(sorted(more), things.chance.randrange(4))
    if "html" in chosen:
        chosen.append("variables")
    return an_email(**{name: more[name] for name in chosen})


def _template(things: Things) -> dict[str, Any]:
    written = {
        "text": things.chance.choice(TEMPLATES[:3]),
        "html": "<p>{{ name }}</p>",
        "markdown": "# Hello\n\n{{ name }}",
        "mjml": "<mjml><mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>",
    }
    body = things.chance.choice(sorted(written))
    more = {"preheader": "{{ name }}"} if body != "text" and things.chance.random() < 0.5 else {}
    return {"subject": things.chance.choice(TEMPLATES[:3]), body: written[body], **more}


_WHOLE: Final[dict[Operation, Callable[[Things], Any]]] = {
    ("POST", "/v1/schedules"): lambda things: things.chance.choice(
        [a_schedule_body(recurrence=things.chance.choice(_RULES)), a_schedule_body(delivery="recipient_time")]
    ),
    ("PATCH", "/v1/schedules/{schedule_id}"): _edit,
    ("POST", "/v1/schedules/preview"): lambda things: {"recurrence": things.chance.choice(_RULES), "count": 3},
    ("POST", "/v1/schedules/render"): lambda things: a_schedule_body(recurrence=things.chance.choice(_RULES)),
    ("POST", "/v1/schedules/{schedule_id}/render"): lambda _: {"contact": "bo@example.org"},
    ("POST", "/v1/schedules/{schedule_id}/test"): lambda _: {"to": ["ann@example.org"]},
    ("POST", "/v1/topics"): lambda things: {"id": f"t{secrets.token_hex(6)}", "name": "News", **_footer(things)},
    ("PATCH", "/v1/topics/{topic_id}"): lambda things: {"name": "News", **_footer(things)},
    ("POST", "/v1/audiences/{audience_id}/segments"): lambda _: {"name": "All", "filter": "address is set"},
    ("POST", "/v1/segments/count"): lambda things: {"audience": things.audience(), "filter": "domain is set"},
    ("POST", "/v1/emails"): _mail,
    ("POST", "/v1/emails/batch"): lambda things: {
        "emails": [_mail(things) for _ in range(things.chance.randrange(1, 4))]
    },
    ("POST", "/v1/dead-letters/requeue"): lambda things: {"ids": [things.dead_letter()]},
    ("POST", "/v1/dead-letters/drop"): lambda things: {"ids": [things.dead_letter()]},
    ("PUT", "/v1/templates/{name}"): _template,
}
_VALUES: Final[dict[str, Callable[[Things], Any]]] = {
    "address": lambda _: f"reader-{secrets.token_hex(3)}@example.org",
    "addresses": lambda _: [f"reader-{secrets.token_hex(3)}@example.org"],
    "recipients": lambda _: [{"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome"}}],
    "contacts": lambda _: [{"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome"}}],
    "recurrence": lambda things: things.chance.choice(_RULES),
    "to": lambda _: ["bo@example.org"],
    "from": lambda _: "Ann <ann@mg.example.com>",
    "expires_at": lambda _: tomorrow(),
    "order": lambda _: ["mailgun"],
    "provider": lambda _: "mailgun",
    "url": lambda things: things.system.api_url,
    "wait_s": lambda _: 0,
    "attempt": lambda _: 1,
    "audience": lambda things: things.audience(),
    "scope": lambda things: things.chance.choice(["all", "campaigns", things.topic()]),
}
