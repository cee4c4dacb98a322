"""Load a valid body along the fields that it has. marshmallow visits each field that its schema knows, and a mail has a
handful of twenty.

Only marshmallow's own fields look at the values. Whatever is not plainly valid is left to marshmallow, which finds all
faults and has the words for them.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, missing
from marshmallow.decorators import POST_LOAD, VALIDATES, VALIDATES_SCHEMA


class GivenFields:
    """The fields of a schema by their names in a body. The schema fills in no defaults, and has no hooks beyond the
    removal of nulls."""

    def __init__(self, schema: Schema) -> None:
        named = [(name, field) for name, field in schema.load_fields.items()]
        if any(schema._hooks[hook] for hook in (POST_LOAD, VALIDATES, VALIDATES_SCHEMA)) or any(
            field.load_default is not missing or field.attribute for _, field in named
        ):
            raise TypeError(f"{type(schema).__name__} asks for more than its fields do")
        self._fields = {field.data_key or name: (name, field) for name, field in named}
        self._required = {name for name, field in named if field.required}

    def load(self, body: Any) -> dict[str, Any] | None:
        """The loaded body; None if marshmallow is to look at it."""
        if not isinstance(body, Mapping) or None in body.values():
            return None
        loaded = {}
        try:
            for given, value in body.items():
                name, field = self._fields[given]
                loaded[name] = field.deserialize(value, given, body)
        except (KeyError, ValidationError):
            return None
        return loaded if self._required <= loaded.keys() else None
