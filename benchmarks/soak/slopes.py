"""Whether a figure grows, by how much an hour, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

_FEWEST: Final = 8
_SURE: Final = 2.0  # standard errors


class Shape(StrEnum):
    FLAT = "flat"
    GROWS = "grows"
    UNCLEAR = "unclear"  # the run is too short, or too noisy, to tell


@dataclass(frozen=True, slots=True)
class Slope:
    """By least squares: an hour's growth, its standard error, and the line's ends."""

    an_hour: float
    error: float
    begins: float
    ends: float

    def shape(self, bound: float) -> Shape:
        """Flat is what grows by less than `bound` an hour even where the error is twice its standard one."""
        if self.an_hour + _SURE * self.error <= bound:
            return Shape.FLAT
        return Shape.GROWS if self.an_hour - _SURE * self.error > bound else Shape.UNCLEAR


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Of points of seconds and figures. Raises ValueError where there are too few.

    Neighbouring figures resemble each other, so that there is less to go by than there are points: the error is widened
    by how much a point's distance from the line tells of the next one's (first order autocorrelation).
    """
    if len(points) < _FEWEST:
        raise ValueError(f"{len(points)} points are too few for a slope")
    hours, figures = [at / 3600 for at, _ in points], [figure for _, figure in points]
    middle, mean = sum(hours) / len(hours), sum(figures) / len(figures)
    spread = sum((hour - middle) ** 2 for hour in hours)
    an_hour = sum((hour - middle) * (figure - mean) for hour, figure in zip(hours, figures, strict=True)) / spread
    off = [figure - mean - an_hour * (hour - middle) for hour, figure in zip(hours, figures, strict=True)]
    error = math.sqrt(sum(each**2 for each in off) / (len(off) - 2) / spread) * _widened(off)
    begins, ends = (mean + an_hour * (hours[place] - middle) for place in (0, -1))
    return Slope(an_hour, error, begins, ends)


def _widened(off: Sequence[float]) -> float:
    squares = sum(each**2 for each in off)
    if not squares:
        return 1.0
    told = sum(one * following for one, following in pairwise(off)) / squares
    told = min(max(told, 0.0), 0.9)
    return math.sqrt((1 + told) / (1 - told))
