"""Evacuation routes over HTTP."""

from typing import Any

from flask import Flask, abort, request

from planner.roads import load_roads
from planner.routes import plan

app = Flask(__name__)
ROADS = load_roads()


@app.get("/health")
def health() -> dict[str, Any]:
    return {"status": "ok", "places": len(ROADS), "roads": ROADS.size()}


@app.get("/routes")
def routes() -> dict[str, Any]:
    start, end = request.args.get("from"), request.args.get("to")
    if start not in ROADS or end not in ROADS or start == end:
        abort(404, "no such place")
    return plan(ROADS, start, end)
