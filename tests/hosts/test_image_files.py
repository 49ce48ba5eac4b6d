"""The plan of what to fetch: it holds everything that is wanted, at no more cost than any other way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.hosts.image_files import FolderSize, fetch_plan

Files = dict[str, int]


def folder_sizes(files: Mapping[str, int]) -> dict[str, FolderSize]:
    found: dict[str, FolderSize] = {}
    for path, size_bytes in files.items():
        for at, letter in enumerate(path):
            if letter == "/":
                before = found.get(path[:at], FolderSize(0, 0))
                found[path[:at]] = FolderSize(before.size_bytes + size_bytes, before.files + 1)
    return found


def covers(plan: list[str], path: str) -> bool:
    return any(path == item or path.startswith(f"{item}/") for item in plan)


def test_a_folder_of_small_files_is_fetched_whole() -> None:
    files = {f"lib/x.dist-info/{name}": 1_000 for name in ("METADATA", "RECORD", "WHEEL")}
    wanted = {path: size for path, size in files.items() if not path.endswith("WHEEL")}
    assert fetch_plan(wanted, folder_sizes(files)) == ["lib/x.dist-info"]


def test_a_small_file_beside_a_huge_one_is_fetched_alone() -> None:
    files = {"torch/version.py": 300, "torch/lib/libtorch_cuda.so": 1_000_000_000}
    assert fetch_plan({"torch/version.py": 300}, folder_sizes(files)) == ["torch/version.py"]


def test_nothing_wanted_is_nothing_fetched() -> None:
    assert fetch_plan({}, {}) == []


def test_a_path_of_thousands_of_folders_is_no_trouble() -> None:
    path = "/".join(["d"] * 5_000)
    assert len(fetch_plan({path: 1}, {})) == 1


def subsets(paths: list[str]) -> Iterator[list[str]]:
    if not paths:
        yield []
        return
    for rest in subsets(paths[1:]):
        yield rest
        yield [paths[0], *rest]


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(lambda parts: "/".join((*parts, "f"))),
        st.integers(0, 3_000_000),
        min_size=1,
        max_size=5,
    ),
    st.data(),
)
def test_no_other_choice_of_folders_and_files_is_cheaper(files: Files, data: st.DataObject) -> None:
    wanted = {path: files[path] for path in data.draw(st.sets(st.sampled_from(sorted(files)), min_size=1))}
    folders = folder_sizes(files)

    def cost(plan: list[str]) -> float:
        total = 0.0
        for item in plan:
            size = folders.get(item) if item not in files else FolderSize(files[item], 0)
            assert size is not None
            total += 0.006 + size.size_bytes / 200e6 + size.files * 40e-6
        return total

    plan = fetch_plan(wanted, folders)
    assert all(covers(plan, path) for path in wanted)
    choices = sorted(
        {*wanted, *(folder for folder in folders if any(path.startswith(f"{folder}/") for path in wanted))}
    )
    cheapest = min(cost(choice) for choice in subsets(choices) if all(covers(choice, path) for path in wanted))
    assert cost(plan) <= cheapest + 1e-9
