"""Claims on files: what each technique claims, and that SQL agrees with a naive model on made-up images.

The union over any choice of techniques is exact: no byte counts twice, none is lost.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.findings.removable import removable_rows
from imgopt_pipeline.sql import literal
from tests.findings.claims_model import FULL_BASE, LEVELS, File, Owner, claims_of, gain, groups_of

TABLES = """
CREATE TEMP TABLE live_files (file_id BIGINT, position INTEGER, path VARCHAR, size_bytes BIGINT);
CREATE TEMP TABLE owners (
    owner_id INTEGER, ecosystem VARCHAR, name VARCHAR, version VARCHAR, local_version VARCHAR, location VARCHAR,
    requested BOOLEAN, development BOOLEAN, only_recommended BOOLEAN, section VARCHAR, requires VARCHAR[],
    gpu_role VARCHAR
);
CREATE TEMP TABLE ownership (file_id BIGINT, owner_id INTEGER);
CREATE TEMP TABLE categories (file_id BIGINT, category VARCHAR);
CREATE TEMP TABLE gpu_files (file_id BIGINT);
CREATE TEMP TABLE dead_files (position INTEGER, path VARCHAR, size_bytes BIGINT, killed_by INTEGER, reason VARCHAR);
CREATE TEMP TABLE history (position INTEGER, created_by VARCHAR);
"""
COPY_LINES = ["COPY . /srv # buildkit", "/bin/sh -c #(nop) COPY dir:12 in /srv ", "ADD data /srv"]
FULL_BASE_OWNERS = [
    Owner("debian", name, "libdevel" if name.endswith("-dev") else "devel") for name in sorted(FULL_BASE)
]


@contextmanager
def image(
    files: Sequence[File],
    owners: Sequence[Owner] = (),
    copied: frozenset[int] = frozenset(),
    dead: Sequence[tuple[Any, ...]] = (),
) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute(TABLES)
        insert(connection, "live_files", [(n, f.position, f.path, f.size_bytes) for n, f in enumerate(files)])
        insert(connection, "ownership", [(n, f.owner) for n, f in enumerate(files) if f.owner is not None])
        kinds = [(n, "models and media" if f.media else "application") for n, f in enumerate(files)]
        insert(connection, "categories", kinds)
        insert(connection, "gpu_files", [(n,) for n, f in enumerate(files) if f.gpu_only])
        insert(connection, "dead_files", dead)
        lines = [(n, COPY_LINES[n % 3] if n in copied else "RUN make" if n % 2 else None) for n in range(6)]
        insert(connection, "history", lines)
        for number, owner in enumerate(owners):
            requires = "[" + ", ".join(map(literal, owner.requires)) + "]::VARCHAR[]"
            row = (number, owner.ecosystem, owner.name, "1", None, "", None, owner.development, owner.only_recommended)
            first = ", ".join(literal(value) for value in (*row, owner.section))
            connection.execute(f"INSERT INTO owners VALUES ({first}, {requires}, {literal(owner.gpu_role)})")
        yield connection


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        values = ", ".join("(" + ", ".join(literal(value) for value in row) + ")" for row in rows)
        connection.execute(f"INSERT INTO {table} VALUES {values}")


def claimed(path: str, owner: Owner | None = None, *others: Owner, position: int = 1) -> list[str]:
    """The claims on one file of a layer above the base."""
    file = File(position, path, 100, 0 if owner else None)
    with image([file], [*([owner] if owner else []), *others]) as connection:
        rows = removable_rows(connection, "i1")
    assert len(rows) <= 1
    return list(rows[0]["claims"]) if rows else []


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("var/lib/apt/lists/mirror_main", ["R5:low", "R11:low"]),
        ("var/cache/apt/archives/gcc.deb", ["R5:low", "R11:low"]),
        ("root/.cache/pip/http/a", ["R6:low", "R11:low"]),
        ("home/app/.npm/_cacache/a", ["R6:low", "R11:low"]),
        ("opt/conda/pkgs/a.conda", ["R6:low", "R11:low"]),
        ("root/.m2/repository/a.jar", ["R6:likely", "R11:likely"]),
        ("root/.cache/huggingface/model.bin", []),
        ("usr/lib/python3/dist-packages/numpy/tests/test_a.py", ["R9:likely"]),
        ("srv/tests/test_a.py", []),
        ("srv/node_modules/test/index.js", []),
        ("srv/node_modules/@a/b/docs/x.md", ["R9:likely"]),
        ("usr/lib/python3.11/site-packages/torch/testing/a.py", []),
        ("srv/__pycache__/a.cpython-311.pyc", ["R9:high"]),
        ("usr/share/doc/bash/README", ["R9:high"]),
        ("srv/.git/objects/pack/a.pack", ["R10:low"]),
        ("usr/lib/debug/.build-id/a.debug", ["R14:likely"]),
        ("usr/lib/x86_64-linux-gnu/libc.a", ["R15:likely"]),
        ("usr/include/c++/12/vector", ["R15:high"]),
        ("srv/include/page.php", []),
        ("usr/local/cuda-12.4/bin/nvcc", ["R16:likely"]),
        ("usr/local/cuda-12.4/targets/x86_64-linux/lib/libcublas.so.12", []),
        ("usr/local/cuda-12.4/targets/x86_64-linux/lib/libcublas_static.a", ["R15:likely", "R16:likely"]),
        ("srv/main.py", []),
        ("main", []),
    ],
)
def test_claims_by_path(path: str, claims: list[str]) -> None:
    assert claimed(path) == claims


@pytest.mark.parametrize(
    ("owner", "others", "claims"),
    [
        (Owner("python", "nvidia-cublas-cu12", gpu_role="library"), [], ["R1:low"]),
        (Owner("python", "jax-cuda12-plugin", gpu_role="plugin"), [], ["R1:likely"]),
        (
            Owner("python", "triton", gpu_role="compiler"),
            [Owner("python", "torch", "", ("triton",), "framework")],
            ["R1:high"],
        ),
        (Owner("python", "triton", gpu_role="compiler"), [Owner("python", "whisperx", "", ("triton",))], []),
        (Owner("debian", "gcc-12"), [], ["R3:low"]),
        (Owner("debian", "gcc-12-base"), [], []),
        (Owner("debian", "libssl-dev", "libdevel"), [], ["R3:likely"]),
        (Owner("alpine", "git"), [], ["R3:high"]),
        (Owner("python", "make"), [], []),
        (Owner("debian", "fonts-x", "fonts", only_recommended=True), [], ["R4:likely"]),
        (Owner("debian", "libx", "non-free/libs", only_recommended=True), [], ["R4:high"]),
        (Owner("node", "eslint", development=True), [], ["R7:likely"]),
        (Owner("node", "next"), [], []),
    ],
)
def test_claims_by_package(owner: Owner, others: list[Owner], claims: list[str]) -> None:
    assert claimed("srv/a", owner, *others) == claims


def test_gpu_files_of_frameworks_count_but_what_packages_need_does_not() -> None:
    owners = [Owner("python", "torch", gpu_role="framework"), Owner("python", "triton", gpu_role="compiler")]
    owners.append(Owner("python", "whisperx", requires=("triton",)))
    files = [
        File(1, "torch/lib/libtorch_cuda.so", 1_000, 0, gpu_only=True),
        File(1, "torch/lib/libtorch_cpu.so", 400, 0),
        File(1, "triton/ptxas", 500, 1, gpu_only=True),
        File(1, "opt/rocm/lib/librocblas.so", 30, gpu_only=True),
    ]
    with image(files, owners) as connection:
        rows = removable_rows(connection, "i1")
    assert [(row["claims"], row["size_bytes"]) for row in rows] == [(["R1:likely"], 1_030)]


def test_build_tools_of_the_base_layer_are_not_ours_to_remove() -> None:
    assert claimed("usr/bin/gcc", Owner("debian", "gcc-12"), position=0) == []


def test_a_full_base_is_known_by_its_packages() -> None:
    owners = [*FULL_BASE_OWNERS, Owner("debian", "gcc-12"), Owner("debian", "libpq5", "libs")]
    files = [File(2, f"usr/{n}", 10, n) for n in range(len(FULL_BASE_OWNERS))]
    gcc, libpq = len(FULL_BASE_OWNERS), len(FULL_BASE_OWNERS) + 1
    files += [File(2, "usr/gcc", 1_000, gcc), File(3, "usr/gcc-again", 2_000, gcc), File(1, "usr/libpq", 500, libpq)]
    files += [File(0, "usr/debian", 9_000, libpq)]
    with image(files, owners) as connection:
        found = {(row["position"], *row["claims"]): row["size_bytes"] for row in removable_rows(connection, "i1")}
    assert found == {(2, "R8:likely"): 1_000 + 10 * len(FULL_BASE), (3, "R3:low"): 2_000, (1, "R8:high"): 500}


def test_next_without_standalone_and_what_was_copied() -> None:
    files = [
        File(1, "srv/web/.next/server/page.js", 10),
        File(1, "srv/web/node_modules/a/i.js", 100),
        File(2, "srv/node_modules/b/i.js", 1_000),
        File(1, "opt/node_modules/npm/i.js", 5_000),
        File(2, "srv/film.mp4", 7, media=True),
    ]
    with image(files, copied=frozenset({2})) as connection:
        found = {tuple(row["claims"]): row["size_bytes"] for row in removable_rows(connection, "i1")}
    assert found == {("R13:high",): 100, ("R10:high", "R13:high"): 1_000, ("R10:high",): 7}
    with image([*files, File(1, "srv/web/.next/standalone/server.js", 1)]) as connection:
        assert removable_rows(connection, "i1") == []


def test_of_cuda_in_two_places_the_smaller_counts() -> None:
    files = [
        File(1, "usr/local/cuda-12/lib64/libcublas.so.12.1", 500),
        File(1, "usr/local/cuda-12/lib64/libonly.so.1", 9_000),
        File(2, "usr/lib/python3/site-packages/nvidia/cublas/lib/libcublas.so.12", 400),
    ]
    with image(files) as connection:
        rows = removable_rows(connection, "i1")
    assert [(row["position"], row["claims"], row["size_bytes"]) for row in rows] == [(2, ["R18:likely"], 400)]


def test_dead_files_are_claimed_apart() -> None:
    dead = [
        (0, "srv/a", 30, 1, "metadata"),
        (0, "srv/b", 50, 1, "deleted"),
        (1, "srv/c", 20, 2, "overwritten"),
        (0, "srv/d", 5, 1, "opaque"),
    ]
    with image([File(0, "srv/.git/a", 7)], dead=dead) as connection:
        rows = removable_rows(connection, "i1")
    found = [
        (row["position"], row["dead"], row["claims"], row["size_bytes"], row["files"], row["example"]) for row in rows
    ]
    assert found == [
        (0, False, ["R10:low"], 7, 1, "srv/.git/a"),
        (0, True, ["R12:low"], 30, 1, "srv/a"),
        (0, True, ["R17:low"], 55, 2, "srv/b"),
        (1, True, ["R17:low"], 20, 1, "srv/c"),
    ]
    assert {row["image_id"] for row in rows} == {"i1"}


def test_an_empty_image_has_no_claims() -> None:
    with image([]) as connection:
        assert removable_rows(connection, "i1") == []


def words(text: str) -> list[str]:
    return text.split()


PARTS = words(
    "usr lib local python3.11 site-packages node_modules a @b test docs __pycache__ .git .next cache standalone"
    " server include cuda-12 bin share doc man x86_64-linux-gnu lib64 stubs torch nvidia onnxruntime capi .cache pip"
    " root .npm _cacache go pkg mod .m2 repository var apt lists opt conda pkgs debug pnpm store srv targets"
)
NAMES = words(
    "a.py a.pyc a.h a.hpp a.a a.debug libtorch_cuda.so libtorch_cpu.so libcublas.so.12 libcudnn.so.9 i.js README nvcc"
    " libonnxruntime_providers_cuda.so film.mp4 vector"
)
OPENINGS = words(
    "usr/local/cuda-12 usr/lib/python3.11/site-packages usr/lib/python3.11/site-packages/torch/lib srv/node_modules/a"
    " usr/lib/python3.11/site-packages/nvidia/cublas/lib usr/local/cuda-12/lib64 usr/lib/x86_64-linux-gnu srv/.next"
    " srv/web/.next srv/web/node_modules/a usr/include usr/share var/lib/apt/lists root/.cache/pip usr/lib/debug"
)
WHOLE = words(
    "usr/local/cuda-12/lib64/libcublas.so.12.1 usr/lib/python3.11/site-packages/nvidia/cublas/lib/libcublas.so.12"
    " usr/lib/x86_64-linux-gnu/libcudnn.so.9 usr/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9"
    " srv/.next/BUILD_ID srv/.next/standalone/server.js srv/web/.next/BUILD_ID srv/node_modules/a/i.js"
)
OWNERS = [
    *FULL_BASE_OWNERS,
    Owner("debian", "gcc-12"),
    Owner("debian", "libfoo", "libs", only_recommended=True),
    Owner("debian", "git", "vcs", only_recommended=True),
    Owner("alpine", "musl-dev"),
    Owner("python", "nvidia_cublas", gpu_role="library"),
    Owner("python", "Triton", gpu_role="compiler"),
    Owner("python", "torch", requires=("triton",), gpu_role="framework"),
    Owner("python", "needs-it", requires=("triton", "numpy")),
    Owner("node", "eslint", development=True),
    Owner("python", "plug", gpu_role="plugin"),
]


@st.composite
def images(draw: st.DrawFn) -> tuple[list[File], list[Owner], frozenset[int]]:
    chance = random.Random(draw(st.integers(0, 2**32)))
    owners = chance.sample(OWNERS, chance.randint(0, len(OWNERS)))
    files: dict[str, File] = {}
    for _ in range(draw(st.integers(0, 60))):
        folders = [chance.choice(OPENINGS)] if chance.random() < 0.6 else []
        folders += chance.choices(PARTS, k=chance.randint(0, 4))
        path = "/".join([*folders, chance.choice(NAMES)]) if chance.random() < 0.8 else chance.choice(WHOLE)
        owner = chance.randrange(len(owners)) if owners and chance.random() < 0.6 else None
        files[path] = File(
            chance.randint(0, 4),
            path,
            chance.choice([0, 1, 10, 100, 1_000]),
            owner,
            *(chance.random() < 0.2 for _ in range(2)),
        )
    return list(files.values()), owners, frozenset(chance.sample(range(1, 5), chance.randint(0, 2)))


@settings(max_examples=80, deadline=None)
@given(images(), st.sets(st.sampled_from([f"R{n}" for n in range(1, 19)])))
def test_the_claims_agree_with_the_naive_model(
    made: tuple[list[File], list[Owner], frozenset[int]], techniques: set[str]
) -> None:
    files, owners, copied = made
    with image(files, owners, copied) as connection:
        rows = removable_rows(connection, "i1")
    found = {(row["position"], frozenset(row["claims"])): row["size_bytes"] for row in rows}
    assert len(found) == len(rows)
    assert found == groups_of(files, owners, copied)
    by_claims: dict[frozenset[str], int] = defaultdict(int)
    for (_, claims), size in found.items():
        by_claims[claims] += size
    naive = [(claims_of(file, files, owners, copied), file.size_bytes) for file in files]
    for level in LEVELS:
        counted = LEVELS[: LEVELS.index(level) + 1]
        wanted = {f"{technique}:{which}" for technique in techniques for which in counted}
        assert gain(by_claims, techniques, level) == sum(size for claims, size in naive if claims & wanted)
