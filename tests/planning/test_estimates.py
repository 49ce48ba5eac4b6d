"""A gain is an exact union: compared with a model that looks at every byte, whatever the claims."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.planning.estimates import counted, union_estimate
from imgopt_pipeline.planning.facts import LEVELS, ClaimGroup, claim_levels
from imgopt_pipeline.planning.techniques import TECHNIQUES
from tests.planning.warehouse_made import Layer, Server

claim_sets = st.dictionaries(st.sampled_from(list(TECHNIQUES)), st.sampled_from(LEVELS), min_size=1, max_size=4)
groups = st.lists(st.tuples(claim_sets, st.integers(0, 50)), max_size=8)
chosen_sets = st.sets(st.sampled_from(list(TECHNIQUES)))


def made(claimed: list[tuple[dict[str, str], int]]) -> list[ClaimGroup]:
    return [
        ClaimGroup(0, claim_levels(f"{technique}:{level}" for technique, level in claims.items()), size, 1, "x")
        for claims, size in claimed
    ]


def naive(claimed: list[tuple[dict[str, str], int]], chosen: set[str]) -> list[int]:
    """Every single byte asked on its own, once per level."""
    totals = []
    for number, _ in enumerate(LEVELS):
        taken = 0
        for claims, size in claimed:
            for _byte in range(size):
                if any(t in chosen and level in LEVELS[: number + 1] for t, level in claims.items()):
                    taken += 1
        totals.append(taken)
    return totals


@given(groups, chosen_sets)
def test_the_union_is_that_of_single_bytes(claimed: list[tuple[dict[str, str], int]], chosen: set[str]) -> None:
    estimate = union_estimate(made(claimed), chosen)
    totals = [estimate.low_bytes, estimate.likely_bytes, estimate.high_bytes]
    assert totals == naive(claimed, chosen)
    assert totals == sorted(totals)
    assert sum(part.likely_bytes for part in estimate.parts) == estimate.likely_bytes
    assert {part.technique for part in estimate.parts} <= chosen


@given(groups, chosen_sets, chosen_sets)
def test_more_techniques_never_give_less(
    claimed: list[tuple[dict[str, str], int]], some: set[str], others: set[str]
) -> None:
    few, many = union_estimate(made(claimed), some), union_estimate(made(claimed), some | others)
    assert few.low_bytes <= many.low_bytes
    assert few.likely_bytes <= many.likely_bytes
    assert few.high_bytes <= many.high_bytes


def test_claims_of_no_known_form_are_passed_over() -> None:
    assert claim_levels(["R1:high", "R1:low", "R9", "R9:certain", "", ":low:", "R5:likely"]) == {"R1": 0, "R5": 1}


def test_what_was_counted_names_parts_bytes_and_the_biggest_file() -> None:
    estimate = union_estimate(
        [
            ClaimGroup(1, {"R5": 0}, 45_000_000, 30, "var/lib/apt/lists/a"),
            ClaimGroup(2, {"R9": 1, "R15": 2}, 3_000_000, 2, "site-packages/x/tests/small"),
            ClaimGroup(2, {"R9": 2}, 90_000_000, 1, "site-packages/x/tests/big"),
        ],
        ["R5", "R9", "R15"],
    )
    assert counted(estimate) == (
        "R5 apt lists 45 MB in 30 files, such as var/lib/apt/lists/a;"
        " R9 tests, manuals and bytecode 3 MB (at most 93 MB) in 3 files, such as site-packages/x/tests/big."
    )


layer_stacks = st.lists(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True), min_size=1, max_size=6
)
sizes = st.fixed_dictionaries({name: st.integers(0, 5) for name in "abcdef"})


@settings(max_examples=20, deadline=None)
@given(
    layer_stacks,
    sizes,
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_gains_never_pass_what_is_stored(
    stacks: list[list[str]], hundreds: dict[str, int], used: list[bool], tagged: list[bool]
) -> None:
    """Random images that share layers, used or not: no byte is promised twice, no shared layer counts."""
    server = Server()
    server.container("runs", server.image("runs:1", [Layer("own", "COPY", 300_000_000, {"R9:likely": 150_000_000})]))
    chains: dict[tuple[str, ...], int] = {("own",): 300_000_000}
    for number, stack in enumerate(stacks):
        layers = [
            Layer(name, "RUN pip", size, {"R9:low": size // 2, "R6:likely,R9:high": size - size // 2})
            for name in stack
            for size in (hundreds[name] * 100_000_000,)
        ]
        chains |= {tuple(stack[: n + 1]): layer.size_bytes or 0 for n, layer in enumerate(layers)}
        image = server.image(f"app-{number}:1" if tagged[number] else "", layers, variant=str(number))
        if used[number]:
            server.container(f"c{number}", image)
    with TemporaryDirectory() as folder:
        plan = server.plan(Path(folder))
    assert sum(row["high_bytes"] for row in plan) <= sum(chains.values())
    assert sum(row["likely_bytes"] for row in plan) <= sum(row["high_bytes"] for row in plan)
