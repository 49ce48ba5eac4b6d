"""Figures per month."""

import os
from typing import Any

import psycopg2
import psycopg2.extras

QUERY = "SELECT month, orders, revenue FROM monthly ORDER BY month DESC LIMIT %s"


def monthly_rows(limit: int) -> list[dict[str, Any]]:
    url = os.environ.get("DATABASE_URL")
    if url is None:
        return [sample(month) for month in range(1, limit + 1)]
    rows = psycopg2.extras.RealDictCursor
    with psycopg2.connect(url, cursor_factory=rows) as connection, connection.cursor() as cursor:
        cursor.execute(QUERY, (limit,))
        return [dict(row) for row in cursor.fetchall()]


def sample(month: int) -> dict[str, int]:
    return {"month": month, "orders": 100 + 7 * month, "revenue": 2500 + 310 * month}
