"""The road network."""

from pathlib import Path

import networkx as nx
import pandas as pd

_ROADS = Path(__file__).with_name("roads.csv")


def load_roads() -> nx.DiGraph:
    roads = pd.read_csv(_ROADS)
    both_ways = pd.concat([roads, roads.rename(columns={"start": "end", "end": "start"})])
    return nx.from_pandas_edgelist(both_ways, "start", "end", "capacity", create_using=nx.DiGraph)
