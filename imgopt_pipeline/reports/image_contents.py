"""The contents of one image that was just examined, for a terminal and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from imgopt_pipeline.gpu.verdict import worth_saying
from imgopt_pipeline.reports.contents import by_category, packages_table, space_table
from imgopt_pipeline.reports.gpu import gpu_view
from imgopt_pipeline.units import format_bytes

if TYPE_CHECKING:  # what examines is not needed to show it
    from imgopt_pipeline.examining import Examination

_PACKAGES_SHOWN = 10


def contents_document(examined: Examination) -> dict[str, Any]:
    """What `imgopt inspect --json` promises about packages, space and GPUs."""
    contents = examined.contents
    owned = [row for row in contents.packages if row["ecosystem"] != "none"]
    return {
        "packages": [
            {
                "ecosystem": row["ecosystem"],
                "name": row["name"],
                "version": row["version"],
                "local_version": row["local_version"],
                "bytes": row["size_bytes"],
                "files": row["files"],
                "layer": row["position"],
                "location": row["location"],
                "requested": row["requested"],
                "development": row["development"],
                "only_recommended": row["only_recommended"],
            }
            for row in owned
        ],
        "unowned_bytes": sum(row["size_bytes"] for row in contents.packages if row["ecosystem"] == "none"),
        "space": [
            {
                "category": category,
                "bytes": sum(row["size_bytes"] for row in rows),
                "files": sum(row["files"] for row in rows),
            }
            for category, rows in by_category(contents.space)
        ],
        "gpu": examined.gpu_check.row(),
        "warnings": [*examined.analysis.warnings, *contents.missing, *contents.warnings],
    }


def contents_view(examined: Examination) -> list[RenderableType]:
    """The same for a person."""
    contents, check = examined.contents, examined.gpu_check
    total_bytes = sum(row["size_bytes"] for row in contents.space)
    parts: list[RenderableType] = [
        Text(),
        Text(f"What fills its {format_bytes(total_bytes)}", style="bold"),
        space_table(contents.space, total_bytes),
        Text(),
        Text("Biggest packages", style="bold"),
        packages_table(contents.packages, shown=_PACKAGES_SHOWN, with_image=False),
    ]
    if worth_saying(check, contents.gpu.environment):
        row = {**check.row(), "container_id": None, "subject": contents.image.name}
        parts += [Text(), Text("GPU", style="bold"), *gpu_view([row], weak=False)]
    return [*parts, *(Text(warning, style="yellow") for warning in (*contents.missing, *contents.warnings))]
