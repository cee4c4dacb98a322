"""The address of a list: its filter and its order. The links of the page keep both."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import request, url_for

OrderT = TypeVar("OrderT", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Listing:
    """`filters`: the terms looked for, by the names of their parameters; '' is anything. `usual` is the order of an
    address that names none."""

    endpoint: str
    filters: Mapping[str, str]
    order: str = ""
    usual: str = ""

    @property
    def filtered(self) -> bool:
        return any(self.filters.values())

    def link(self, **changes: str | None) -> str:
        """The list from its top, with these parameters changed; None removes one."""
        order = None if self.order == self.usual else self.order
        parameters: dict[str, Any] = {**self.filters, "sort": order, **changes}  # type: ignore[explicit-any]
        return url_for(self.endpoint, **{name: value for name, value in parameters.items() if value})

    def without_filters(self) -> str:
        return url_for(self.endpoint)


def asked_number(name: str) -> int | None:
    """The whole number under this name in the address of the request; None without one."""
    asked = request.args.get(name, "")
    return int(asked) if re.fullmatch("[0-9]{1,9}", asked) else None


def asked_order(usual: OrderT) -> OrderT:
    """The order that the address of this request names; the usual one if it names none that exists."""
    orders, sort = type(usual), request.args.get("sort", "")
    return orders(sort) if sort in list(orders) else usual
