"""Notes over HTTP, kept in memory."""

from typing import Any

from flask import Flask, abort, request

app = Flask(__name__)
notes: list[str] = []


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/notes")
def all_notes() -> list[str]:
    return notes


@app.post("/notes")
def add_note() -> tuple[dict[str, Any], int]:
    text = (request.get_json(silent=True) or {}).get("text")
    if not text:
        abort(422, "a note needs a text")
    notes.append(text)
    return {"id": len(notes)}, 201
