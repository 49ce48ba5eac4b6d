"""Who sits at which desk, over HTTP."""

import os
from typing import Any

from flask import Flask, jsonify
from markupsafe import escape

app = Flask(__name__)
PEOPLE = ("Ada", "Kim", "Lin", "Omar")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok", "office": os.environ.get("OFFICE", "main")}


@app.get("/desks")
def desks() -> Any:
    return jsonify([{"desk": number, "person": escape(name)} for number, name in enumerate(PEOPLE, start=1)])
