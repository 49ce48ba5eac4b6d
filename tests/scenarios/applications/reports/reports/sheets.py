"""Reports as spreadsheets."""

from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Font


def to_workbook(rows: list[dict[str, Any]]) -> Workbook:
    book = Workbook()
    sheet = book.active
    sheet.append(list(rows[0]) if rows else [])
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for row in rows:
        sheet.append(list(row.values()))
    return book
