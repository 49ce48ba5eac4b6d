"""Values in SQL text, as literals.

DuckDB's own parameters import pandas, numpy and pyarrow to look at the values: a third of a second and
90 MB that a command which only reads does not want. Strings are quoted as the SQL standard says; DuckDB
knows no escapes inside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

_PARAMETER = re.compile(r"\$(\w+)")

Value = str | int | float | bool | datetime | None


def with_values(text: str, values: Mapping[str, Value]) -> str:
    """SQL with each `$name` replaced by its value. Raises KeyError for a name without value."""
    return _PARAMETER.sub(lambda match: literal(values[match[1]]), text)


def literal(value: Value) -> str:
    """A value as SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if "\0" in value:
        raise ValueError("SQL text holds no NUL")
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name of a table or column as SQL."""
    return '"' + name.replace('"', '""') + '"'
