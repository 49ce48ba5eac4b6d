"""Reports over HTTP, from the database where one is configured and else from the archive in data/."""

import io
import os
from pathlib import Path
from typing import Any

import psycopg2
from flask import Flask, Response, jsonify, request, send_file

from reports.monthly import monthly_rows
from reports.sheets import to_workbook

app = Flask(__name__)
ARCHIVE = Path(os.environ.get("REPORTS_ARCHIVE", "data"))


@app.get("/health")
def health() -> dict[str, Any]:
    archives = len(list(ARCHIVE.glob("*.parquet")))
    return {"status": "ok", "libpq": psycopg2.__libpq_version__ // 10000, "archives": archives}


@app.get("/reports/monthly")
def monthly() -> Response:
    return jsonify(monthly_rows(request.args.get("rows", 12, type=int)))


@app.get("/reports/monthly.xlsx")
def monthly_sheet() -> Response:
    target = io.BytesIO()
    to_workbook(monthly_rows(12)).save(target)
    target.seek(0)
    return send_file(target, download_name="monthly.xlsx", as_attachment=True)
