"""Colours of a page as a browser shows them, and their contrast (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re

from playwright.sync_api import Locator


def of(element: Locator, style: str) -> tuple[float, float, float]:
    """The red, green and blue of a computed style, 0 to 255."""
    value = element.evaluate("(element, style) => getComputedStyle(element)[style]", style)
    red, green, blue = (float(part) for part in re.findall(r"[\d.]+", value)[:3])
    return red, green, blue


def behind(element: Locator) -> tuple[float, float, float]:
    """The background that an element stands on: its own, or the nearest opaque one around it."""
    value = element.evaluate("""element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/^rgba\\(.*, (0|0\\.\\d+)\\)$/.test(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
    }""")
    red, green, blue = (float(part) for part in re.findall(r"[\d.]+", value)[:3])
    return red, green, blue


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """The ratio of their luminances, 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: tuple[float, float, float]) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
