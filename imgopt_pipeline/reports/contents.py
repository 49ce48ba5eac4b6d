"""Packages and space for a terminal: what fills an image or a host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.units import count, format_bytes, format_percent

_BAR = 24
_FOLDERS = 3
_PARTS = 3
_SHARE_SHOWN = 0.005
Rows = Sequence[dict[str, Any]]


def packages_table(packages: Rows, *, shown: int, with_image: bool) -> Table:
    """The biggest packages, and a last line for the rest."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("package", overflow="fold", min_width=16)
    table.add_column("version", overflow="ellipsis", no_wrap=True, max_width=28)
    table.add_column("kind", no_wrap=True)
    table.add_column("layer", justify="right", no_wrap=True)
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("remarks", overflow="fold")
    several = with_image and len({row["host"] for row in packages}) > 1
    if with_image:
        table.add_column("image", overflow="ellipsis", no_wrap=True, max_width=40)
    if several:
        table.add_column("host", no_wrap=True)
    for row in packages[:shown]:
        cells = [
            format_bytes(row["size_bytes"]),
            row["name"] or "(in no package)",
            row["local_version"] or row["version"],
            "" if row["ecosystem"] == "none" else row["ecosystem"],
            "" if row["position"] is None else str(row["position"]),
            f"{row['files']:,}",
            ", ".join(remarks(row)),
        ]
        where = [row["image"], row["host"]] if several else [row["image"]] if with_image else []
        table.add_row(*cells, *where)
    rest = packages[shown:]
    if rest:
        left = sum(row["size_bytes"] for row in rest)
        table.add_row(
            format_bytes(left), f"and {count(len(rest), 'more package')}; --all lists them", "", "", "", "", ""
        )
    return table


def remarks(row: dict[str, Any]) -> list[str]:
    """What is worth saying of a package in a word."""
    words = {"library": "GPU library", "framework": "GPU build", "compiler": "GPU compiler", "plugin": "GPU plugin"}
    found = [words[row["gpu_role"]]] if row["gpu_role"] in words else []
    if row["gpu_role"] == "needs gpu":
        found.append("needs a GPU")
    if row["development"]:
        found.append("development only")
    if row["only_recommended"]:
        found.append("only recommended")
    return found


def space_table(space: Rows, total_bytes: int, *, folders: bool = True, shown: int | None = None) -> Table:
    """Categories with a bar each, biggest first, and their biggest folders."""
    table = Table(box=None, header_style="dim", pad_edge=False, expand=folders)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("category", no_wrap=True)
    if folders:
        table.add_column("most of it in", overflow="ellipsis", no_wrap=True, ratio=1)
    for category, rows in by_category(space)[:shown]:
        size_bytes = sum(row["size_bytes"] for row in rows)
        share = size_bytes / total_bytes if total_bytes else 0.0
        cells: list[RenderableType] = [format_bytes(size_bytes), format_percent(share), bar(share), category]
        table.add_row(*cells, *([_folders(rows)] if folders else []))
    return table


def by_category(space: Rows) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows by category, the category with most bytes first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in space:
        found.setdefault(row["category"], []).append(row)
    return sorted(found.items(), key=lambda item: -sum(row["size_bytes"] for row in item[1]))


def bar(share: float) -> Text:
    """A share as a bar."""
    return Text("█" * round(share * _BAR) or ("▏" if share > _SHARE_SHOWN else ""), style="cyan")


def space_view(space: Rows, name: str, *, folders: bool = True) -> list[RenderableType]:
    """What fills one image or one host."""
    total_bytes = sum(row["size_bytes"] for row in space)
    return [
        Text.assemble((name, "bold"), f"  {format_bytes(total_bytes)}"),
        space_table(space, total_bytes, folders=folders),
    ]


def _folders(rows: Rows) -> str:
    by_prefix: dict[str, int] = {}
    for row in rows:
        if row["prefix"]:
            by_prefix[row["prefix"]] = by_prefix.get(row["prefix"], 0) + row["size_bytes"]
    biggest = sorted(by_prefix.items(), key=lambda item: -item[1])[:_FOLDERS]
    return ", ".join(f"{_short(prefix)} {format_bytes(size_bytes)}" for prefix, size_bytes in biggest)


def _short(prefix: str) -> str:
    """The end of a folder's path, which tells more than its beginning."""
    parts = prefix.split("/")
    return prefix if len(parts) <= _PARTS else "…/" + "/".join(parts[-_PARTS + 1 :])
