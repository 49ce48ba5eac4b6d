"""How many people can leave, and along which roads.

A plan that loses people on the way must never leave this service: each is proven before it is returned, by the
conditions that networkx states for its own algorithms.
"""

from typing import Any

import networkx as nx
from networkx.algorithms.flow import preflow_push
from networkx.algorithms.flow.tests.test_maxflow import validate_flows


def plan(roads: nx.DiGraph, start: str, end: str) -> dict[str, Any]:
    per_hour, flows = nx.maximum_flow(roads, start, end, flow_func=preflow_push)
    validate_flows(roads, start, end, flows, per_hour, "capacity", preflow_push)
    used = [
        {"from": here, "to": there, "per_hour": int(people)}
        for here, targets in sorted(flows.items())
        for there, people in sorted(targets.items())
        if people
    ]
    return {"per_hour": int(per_hour), "roads": used}
