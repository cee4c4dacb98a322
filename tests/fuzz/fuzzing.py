"""Schemathesis over every operation that the API's own OpenAPI document names.

Each case is drawn by schemathesis, half of them fitting the schema and half not. Then what it could not know is put in:
something that exists for each place in the path, and, for some, a body that the operation should take, as it is or with
one odd value. So that each operation is taken often, and refused often.
"""

import random
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET

from tests.fuzz.bodies import RAW, good, value_of, with_something_odd
from tests.fuzz.calling import LEAST_SHARE, Caller, Row, Tally, raw_of
from tests.fuzz.things import Operation, Things
from tests.support.system import System

_ROUNDS: Final = 8
_A_ROUND: Final = 400


class Fuzzing:
    def __init__(self, system: System, *, seed: int) -> None:
        self._system, self._chance = system, random.Random(seed)
        document = system.call("GET", "/openapi.json").json()
        self._document, self._schema = document, schemathesis.openapi.from_dict(document)
        self._things = Things(system, self._chance)
        self.tally = Tally()
        self._caller = Caller(system.api_url, system.token, self.tally)

    def run(self, cases: int) -> Tally:
        """So many cases that count, spread evenly over all operations."""
        operations = [found.ok() for found in self._schema.get_all_operations()]
        each = -(-cases // len(operations))
        for operation in operations:
            self._try(operation, each)
            print(f"{self.tally.counted:,} of {cases:,} cases, through {operation.label}", flush=True)
        return self.tally

    def _try(self, operation: Any, cases: int) -> None:
        """Until so many have counted: more of what the operation has met too seldom."""
        name = (operation.method.upper(), operation.path)
        row = self.tally.rows.setdefault(name, Row())
        for _ in range(_ROUNDS):
            left = cases - row.counted
            if left <= 0:
                return
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                self._draw(operation, mode, min(_A_ROUND, -(-left // 2)), lambda case: self._send(name, case))

    def _draw(self, operation: Any, mode: GenerationMode, most: int, work: Callable[[Any], None]) -> None:
        @seed(self._chance.getrandbits(32))
        @settings(
            max_examples=most,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def each(case: Any) -> None:
            work(case)

        try:
            each()
        except Unsatisfiable:
            if mode is GenerationMode.NEGATIVE:  # nothing of it can be wrong, by its schema
                self._draw(operation, GenerationMode.POSITIVE, most, work)

    def _send(self, operation: Operation, case: Any) -> None:
        path, sure = self._path(operation, case)
        wanted = self._wanted(operation) if sure else ""
        body, query = case.body, dict(case.query or {})
        headers = {name: value for name, value in (case.headers or {}).items() if name.lower() != "content-type"}
        media, takes = self._takes(operation)
        if wanted and "Idempotency-Key" in self._headers_of(operation):
            headers["Idempotency-Key"] = f"key-{self._chance.getrandbits(64):x}"
        if wanted:
            headers.pop("If-Match", None)
            query = self._needed_query(operation)
        if wanted and takes is not None:
            body = good(operation, takes, self._resolved, self._things)
        if wanted == "refused":
            body, query = self._spoilt(body, takes)
        elif not wanted and takes is not None and self._chance.random() < 0.1:
            body = self._chance.choice(RAW)
        if isinstance(body, dict) and "webhook-targets" in operation[1] and type(body.get("wait_s", 1)) is int:
            body = body | {"wait_s": 0}  # nobody is to wait for what never comes
        raw = None if body is NOT_SET or takes is None else raw_of(body)
        if raw is not None:
            headers["Content-Type"] = media
        self._caller.send(operation, path, query, headers, raw, chunked=self._chance.random() < 0.4)

    def _wanted(self, operation: Operation) -> str:
        """What is tried for: that it is taken, that it is refused; or '' for what schemathesis has drawn."""
        row = self.tally.rows[operation]
        if not row.taken:  # else a few cases are not enough to be sure of one
            return "taken"
        for wanted, share in (("taken", row.taken), ("refused", row.share(422))):
            if share < 2 * LEAST_SHARE and self._chance.random() < 0.6:
                return wanted
        return self._chance.choice(["taken", "refused", "", "", "", ""])

    def _spoilt(self, body: Any, takes: Any) -> tuple[Any, dict[str, str]]:
        if takes is None or self._chance.random() < 0.2:
            return body, {self._chance.choice(["surprise", "limitt", "$where", "q"]): "1"}
        return with_something_odd(body, self._chance), {}

    def _path(self, operation: Operation, case: Any) -> tuple[str, bool]:
        """The path with something that exists in each place, and whether it has; for some with what was drawn."""
        path, sure = operation[1], True
        drawn = self._chance.random() < 0.1
        for name, value in (case.path_parameters or {}).items():
            found = None if drawn else self._things.place(operation, name)
            sure = sure and found is not None
            path = path.replace(f"{{{name}}}", quote(str(value) if found is None else found, safe=""))
        return path, sure

    def _takes(self, operation: Operation) -> tuple[str, Any]:
        """The media type and the schema of its body; None for one that takes none."""
        content = self._found(operation).get("requestBody", {}).get("content", {})
        media = "application/json" if "application/json" in content else next(iter(content), "")
        return media, content[media].get("schema", {}) if media else None

    def _headers_of(self, operation: Operation) -> set[str]:
        return {one["name"] for one in self._found(operation).get("parameters", ()) if one.get("in") == "header"}

    def _needed_query(self, operation: Operation) -> dict[str, Any]:
        """A value for each part of the query that the operation cannot do without."""
        parts = [one for one in self._found(operation).get("parameters", ()) if one.get("in") == "query"]
        return {
            one["name"]: value_of(one["schema"], one["name"], self._resolved, self._things)
            for one in parts
            if one.get("required")
        }

    def _found(self, operation: Operation) -> dict[str, Any]:
        found: dict[str, Any] = self._document["paths"][operation[1]][operation[0].lower()]
        return found

    def _resolved(self, schema: Any) -> Any:
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if "allOf" in schema:
            whole: dict[str, Any] = {}
            for part in schema["allOf"]:
                whole |= self._resolved(part)
            return whole
        return schema
