"""Cells of CSV files that people open in a spreadsheet."""

from typing import Final

_BEGIN_A_FORMULA: Final = ("=", "+", "-", "@", "\t")


def harmless(cell: str) -> str:
    """The cell with a quote before it if a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(_BEGIN_A_FORMULA) else cell
