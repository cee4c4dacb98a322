"""MongoDB's filters, updates and pipelines on plain dicts: as much of them as the storage modules use, and no more.

A document is never changed in place, so that whoever holds one holds it as it was. An operator that is not known here
raises, so that nothing is passed over in silence. `test_stand_ins.py` compares all of it with a real MongoDB.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

Document = dict[str, Any]
Pipeline = Sequence[Mapping[str, Any]]
_ABSENT: Final = object()
_NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)  # nothing that is explored hangs on it


def matches(doc: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    return all(
        any(matches(doc, each) for each in wanted) if path == "$or" else _fits(_at(doc, path), wanted)
        for path, wanted in query.items()
    )


def _at(doc: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(doc, list) and name.isdigit():
            doc = doc[int(name)] if int(name) < len(doc) else _ABSENT
        else:
            doc = doc.get(name, _ABSENT) if isinstance(doc, Mapping) else _ABSENT
    return doc


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping) and wanted and all(name.startswith("$") for name in wanted):
        return all(_OPERATORS[name](value, operand) for name, operand in wanted.items())
    return _equal(value, wanted)


def _equal(value: Any, wanted: Any) -> bool:
    """A field that is missing equals null."""
    return bool((None if value is _ABSENT else value) == wanted)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def fits(value: Any, operand: Any) -> bool:
        return value is not _ABSENT and value is not None and compare(_key(value), _key(operand))

    return fits


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$in": lambda value, operand: any(_equal(value, each) for each in operand),
    "$nin": lambda value, operand: not any(_equal(value, each) for each in operand),
    "$ne": lambda value, operand: not _equal(value, operand),
    "$gt": _ordered(lambda value, operand: value > operand),
    "$gte": _ordered(lambda value, operand: value >= operand),
    "$lt": _ordered(lambda value, operand: value < operand),
    "$lte": _ordered(lambda value, operand: value <= operand),
    "$exists": lambda value, operand: (value is not _ABSENT) is operand,
    "$not": lambda value, operand: not _fits(value, operand),
    "$elemMatch": lambda value, operand: isinstance(value, list) and any(matches(each, operand) for each in value),
}


def _key(value: Any) -> Any:
    return tuple(value.values()) if isinstance(value, Mapping) else value


def updated(doc: Document, change: Mapping[str, Any] | Pipeline, *, inserted: bool = False) -> Document:
    """A new document, changed as an update, or a pipeline of `$set` and `$unset`, says."""
    new = dict(doc)
    if not isinstance(change, Mapping):
        for stage in change:
            ((_, fields),) = stage.items()
            if "$unset" in stage:
                new = {name: value for name, value in new.items() if name not in fields}
                continue
            assert "$set" in stage, f"{stage} is not known here"
            values = {name: value_of(expression, new) for name, expression in fields.items()}
            gone = {name for name, value in values.items() if value is _ABSENT or (value is None and name not in new)}
            new = {name: value for name, value in {**new, **values}.items() if name not in gone}
        return new
    for operator, fields in change.items():
        for name, operand in fields.items():
            assert "." not in name, f"{name} goes into a document, which is not known here"
            _UPDATES[operator](new, name, operand, inserted)
    return new


def _push(new: Document, name: str, operand: Any) -> None:
    many = operand["$each"] if isinstance(operand, Mapping) and "$each" in operand else [operand]
    new[name] = [*new.get(name, ()), *many]
    if isinstance(operand, Mapping) and "$slice" in operand:
        new[name] = new[name][operand["$slice"] :]


def _set(new: Document, name: str, operand: Any) -> None:
    new[name] = operand


_UPDATES: Final[dict[str, Callable[[Document, str, Any, bool], object]]] = {
    "$set": lambda new, name, operand, _: _set(new, name, operand),
    "$setOnInsert": lambda new, name, operand, inserted: _set(new, name, operand) if inserted else None,
    "$unset": lambda new, name, _operand, _: new.pop(name, None),
    "$currentDate": lambda new, name, _operand, _: _set(new, name, _NOW),
    "$inc": lambda new, name, operand, _: _set(new, name, new.get(name, 0) + operand),
    "$max": lambda new, name, operand, _: _set(new, name, max(new.get(name, operand), operand)),
    "$min": lambda new, name, operand, _: _set(new, name, min(new.get(name, operand), operand)),
    "$push": lambda new, name, operand, _: _push(new, name, operand),
}


def value_of(expression: Any, doc: Document) -> Any:
    """An aggregation expression's value for a document; None where a field is missing."""
    if isinstance(expression, str) and expression.startswith("$$"):
        return {"$$ROOT": doc, "$$REMOVE": _ABSENT, "$$NOW": _NOW}[expression]
    if isinstance(expression, str) and expression.startswith("$"):
        found = _at(doc, expression[1:])
        return None if found is _ABSENT else found
    if isinstance(expression, list):
        return [value_of(each, doc) for each in expression]
    if not isinstance(expression, Mapping) or not any(name.startswith("$") for name in expression):
        return {k: value_of(v, doc) for k, v in expression.items()} if isinstance(expression, Mapping) else expression
    ((operator, operand),) = expression.items()
    if operator == "$literal":
        return operand
    if operator == "$type":
        return "missing" if value_of(operand, doc) is None else type(value_of(operand, doc)).__name__
    return _EXPRESSIONS[operator](*value_of(operand, doc))


_EXPRESSIONS: Final[dict[str, Callable[..., Any]]] = {
    "$arrayElemAt": lambda array, place: array[place],
    "$indexOfArray": lambda array, value: array.index(value) if value in array else -1,
    "$eq": lambda one, other: one == other,
    "$gt": lambda one, other: one > other,
    "$cond": lambda condition, yes, no: yes if condition else no,
    "$in": lambda value, array: value in array,
    "$min": lambda *values: min((v for v in values if v is not None), default=None),
    "$max": lambda *values: max((v for v in values if v is not None), default=None),
    "$add": lambda *values: sum(values),
    "$ifNull": lambda value, instead: instead if value is None else value,
}


def aggregated(
    rows: Iterable[Document], stages: Pipeline, collection: Callable[[str], Iterable[Document]]
) -> list[Document]:
    found = list(rows)
    for stage in stages:
        ((name, operand),) = stage.items()
        if name == "$lookup":
            found = [
                {**row, operand["as"]: _looked_up(row, operand, collection(operand["from"]), collection)}
                for row in found
            ]
        elif name == "$unionWith":
            found += aggregated(collection(operand["coll"]), operand["pipeline"], collection)
        else:
            found = _STAGES[name](found, operand)
    return found


def _looked_up(row: Document, operand: Any, rows: Iterable[Document], collection: Any) -> list[Document]:
    theirs = [doc for doc in rows if doc.get(operand["foreignField"]) == row.get(operand["localField"])]
    return aggregated(theirs, operand.get("pipeline", []), collection)


def _grouped(rows: list[Document], operand: Any) -> list[Document]:
    groups: dict[Any, list[Document]] = {}
    for row in rows:
        groups.setdefault(value_of(operand["_id"], row), []).append(row)
    wanted = [(name, *next(iter(how.items()))) for name, how in operand.items() if name != "_id"]
    return [
        {"_id": key} | {name: _ACCUMULATORS[how](some, expression) for name, how, expression in wanted}
        for key, some in groups.items()
    ]


_ACCUMULATORS: Final[dict[str, Callable[[list[Document], Any], Any]]] = {
    "$sum": lambda rows, expression: sum(value_of(expression, row) or 0 for row in rows),
    "$first": lambda rows, expression: value_of(expression, rows[0]),
}


def in_order(rows: Iterable[Document], order: Sequence[tuple[str, int]]) -> list[Document]:
    found = list(rows)
    for name, direction in reversed(order):
        found.sort(key=lambda row, name=name: _key(row[name]), reverse=direction < 0)  # type: ignore[misc]
    return found


_STAGES: Final[dict[str, Callable[[list[Document], Any], list[Document]]]] = {
    "$match": lambda rows, query: [row for row in rows if matches(row, query)],
    "$limit": lambda rows, most: rows[:most],
    "$project": lambda rows, fields: [{n: row[n] for n in ("_id", *fields) if n in row} for row in rows],
    "$sort": lambda rows, order: in_order(rows, list(order.items())),
    "$replaceRoot": lambda rows, operand: [value_of(operand["newRoot"], row) for row in rows],
    "$group": _grouped,
}
