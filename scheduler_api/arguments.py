"""Read arguments, and report all faults of a request in one answer.

A schema finds only faults in the shape of a body. Faults of the domain, of query parameters and of headers would
otherwise be reported after a second try; here they join the schema's.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final, NoReturn

import flask_smorest
from flask import Request, current_app, g, request
from marshmallow import Schema, ValidationError, missing, pre_load
from webargs.flaskparser import FlaskParser

from mailroom.domain.errors import Fault, InvalidInput
from scheduler_api import headers
from scheduler_api.bodies import document
from scheduler_api.problems import faults_of, without_location

EMPTY: Final = "is empty: give a value, or leave it out"
TWICE: Final = "is given more than once"


# Finds the domain's faults in a body that a schema refuses. Arguments: the whole body, and its well-formed part.
Further = Callable[[dict[str, Any], dict[str, Any]], Iterable[Fault]]


class RequestBody(Schema):
    """A JSON body. Null for an optional field means that the field is absent."""

    @pre_load
    def without_nulls(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, dict) or None not in data.values():
            return data
        absent = {name for name, value in data.items() if value is None and self._may_be_left_out(name)}
        return {name: value for name, value in data.items() if name not in absent}

    def _may_be_left_out(self, name: str) -> bool:
        named = (field for key, field in self.load_fields.items() if (field.data_key or key) == name)
        field = next(named, None)
        return field is not None and not field.required and not field.allow_none


class Patch(RequestBody):
    """A JSON body whose fields change stored ones. Null is not absence here: it clears a field that can be empty."""

    @pre_load
    def without_nulls(self, data: Any, **_: Any) -> Any:
        return data


class Parser(FlaskParser):
    """Takes the body that `bodies` has read, and refuses unknown query parameters."""

    DEFAULT_UNKNOWN_BY_LOCATION: Final = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": None}  # type: ignore[misc]

    def load_json(self, req: Request, schema: Schema) -> Any:
        return document()

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """The parameters that are given once and with a value. All others are noted as faults."""
        note(*_faults_of_values())
        given = {name: values[0] for name, values in req.args.lists() if len(values) == 1 and values[0].strip()}
        return given or ({} if req.args else missing)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_: Any) -> NoReturn:
        faults = faults_of(without_location(error.messages))
        body, valid = document(), error.valid_data
        if (further := getattr(schema, "further", None)) and isinstance(body, dict):
            faults = with_those_of_the_domain(faults, further, body, valid if isinstance(valid, dict) else {})
        raise InvalidInput(*dict.fromkeys([*faults, *noted()]))


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's Blueprint with the Parser above."""

    ARGUMENTS_PARSER = Parser()

    def arguments(
        self, schema: Any, *, location: str = "json", further: Further | None = None, **rest: Any
    ) -> Callable[[Any], Any]:
        """`further`: finds the domain's faults if the schema refuses the body."""
        if further:
            schema = schema() if isinstance(schema, type) else schema
            schema.further = further
        decorate = super().arguments(schema, location=location, **rest)

        def decorator(view: Any) -> Any:
            @wraps(view)
            def with_all_that_is_noted(*args: Any, **kwargs: Any) -> Any:
                if faults := noted():
                    raise InvalidInput(*faults)
                return view(*args, **kwargs)

            return decorate(with_all_that_is_noted)

        return decorator


def with_those_of_the_domain(
    faults: Sequence[Fault], further: Further, body: dict[str, Any], valid: dict[str, Any]
) -> list[Fault]:
    """The schema's faults, and those faults of the domain that cannot be consequences of them."""
    of_domain = further(body, valid)
    return [*faults, *(fault for fault in of_domain if not any(_touch(fault.path, known.path) for known in faults))]


def note(*faults: Fault) -> None:
    """Add faults to those of this request; they are reported together."""
    if faults:
        g.faults = [*g.get("faults", ()), *faults]


def noted() -> Sequence[Fault]:
    faults: Sequence[Fault] = g.get("faults", ())
    return faults


def check_around(view: Any) -> None:
    """Note the faults of query and headers. Raises InvalidInput at once if the view has no arguments to report them."""
    parameters = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", ())
    places = {parameter["in"] for parameter in parameters if isinstance(parameter, dict)}
    if request.query_string and "query" not in places:
        note(*(Fault(name, "is no parameter of this path") for name in request.args))
    note(*headers.faults(needs_key=_needs_key()))
    if not places and noted():
        raise InvalidInput(*noted())


def _needs_key() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    parameters = getattr(view, "_apidoc", {}).get("manual_doc", {}).get("parameters", ())
    return any(parameter is headers.KEY_NEEDED or parameter == headers.KEY_NEEDED for parameter in parameters)


def _faults_of_values() -> list[Fault]:
    faults = []
    for name, values in request.args.lists():
        if len(values) > 1:
            faults.append(Fault(name, TWICE))
        elif not values[0].strip():
            faults.append(Fault(name, EMPTY))
    return faults


def _touch(path: str, other: str) -> bool:
    """True if a fault at one path may follow from a fault at the other."""
    longer, shorter = (path, other) if len(path) >= len(other) else (other, path)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))
