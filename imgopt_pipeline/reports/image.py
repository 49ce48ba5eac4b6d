"""One image, for a terminal and for programs, and the gates it may fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgopt_pipeline.units import count, format_bytes, format_percent

if TYPE_CHECKING:  # the readers behind it are not needed to show what the warehouse holds
    from imgopt_pipeline.layers.analysis import ImageAnalysis

REASONS = {
    "overwritten": "overwritten",
    "deleted": "deleted",
    "metadata": "only mode, owner or time changed",
    "opaque": "hidden with its directory",
}
_FILES_SHOWN = 10


def inspection_document(analysis: ImageAnalysis) -> dict[str, Any]:
    """What `imgopt inspect --json` promises to other programs."""
    image, merged = analysis.image, analysis.merged
    return {
        "image_id": image.image_id,
        "references": list(image.references),
        "size_bytes": merged.live_bytes + merged.dead_bytes,
        "architecture": image.architecture,
        "os": image.os,
        "created_at": image.created_at,
        "layers": [
            {
                "position": layer.position,
                "diff_id": layer.diff_id,
                "tar_bytes": facts.tar_bytes,
                "file_bytes": facts.file_bytes,
                "live_bytes": totals.live_bytes,
                "dead_bytes": totals.dead_bytes,
                "entries": facts.entry_count,
                "created_by": layer.created_by,
                "reader": facts.reader,
            }
            for layer, facts, totals in zip(image.layers, analysis.layers, merged.layers, strict=True)
        ],
        "live_bytes": merged.live_bytes,
        "dead_bytes": merged.dead_bytes,
        "efficiency": merged.efficiency,
        "dead_files": [
            {
                "path": dead.path,
                "size_bytes": dead.size_bytes,
                "layer": dead.position,
                "killed_by": dead.killed_by,
                "reason": dead.reason,
            }
            for dead in merged.dead_files
        ],
        "dive": {
            "efficiency": merged.dive.efficiency,
            "size_bytes": merged.dive.size_bytes,
            "user_size_bytes": merged.dive.user_size_bytes,
            "wasted_bytes": merged.dive.wasted_bytes,
            "user_wasted_percent": merged.dive.user_wasted_percent,
        },
        "warnings": list(analysis.warnings),
    }


def inspection_view(analysis: ImageAnalysis) -> list[RenderableType]:
    """The same for a person, on one screen."""
    image, merged = analysis.image, analysis.merged
    total = merged.live_bytes + merged.dead_bytes
    heading = Text.assemble(
        (image.name, "bold"),
        f"  {image.os}/{image.architecture}" if image.architecture else "",
        f"  {format_bytes(total)} in {count(len(image.layers), 'layer')}",
        ("" if not image.created_at else f"  built {image.created_at:%Y-%m-%d}"),
    )
    summary = Text(
        f"visible {format_bytes(merged.live_bytes)}, dead {format_bytes(merged.dead_bytes)}"
        f" in {count(merged.dead_file_count, 'file')}, efficiency {format_percent(merged.efficiency)}"
        f" (dive: {format_percent(merged.dive.efficiency)}, {format_bytes(merged.dive.wasted_bytes)} wasted)"
    )
    parts: list[RenderableType] = [heading, summary, Text(), _layer_table(analysis)]
    if merged.dead_files:
        parts += [Text(), _dead_table(analysis)]
    return [*parts, *(Text(warning, style="yellow") for warning in analysis.warnings)]


def failed_gates(
    analysis: ImageAnalysis,
    *,
    max_bytes: int | None,
    min_efficiency: float | None,
    max_wasted_bytes: int | None,
    max_layers: int | None,
) -> list[str]:
    """The gates that an image does not pass, in words; None switches a gate off."""
    merged = analysis.merged
    total = merged.live_bytes + merged.dead_bytes
    failed = []
    if max_bytes is not None and total > max_bytes:
        failed.append(f"size {format_bytes(total)} is over {format_bytes(max_bytes)}")
    if min_efficiency is not None and merged.efficiency < min_efficiency:
        failed.append(f"efficiency {format_percent(merged.efficiency)} is under {format_percent(min_efficiency)}")
    if max_wasted_bytes is not None and merged.dead_bytes > max_wasted_bytes:
        failed.append(f"dead bytes {format_bytes(merged.dead_bytes)} are over {format_bytes(max_wasted_bytes)}")
    if max_layers is not None and len(analysis.layers) > max_layers:
        failed.append(f"{len(analysis.layers)} layers are over {max_layers}")
    return failed


def _layer_table(analysis: ImageAnalysis) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, expand=True)
    for heading in ("#", "size", "dead", "entries"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("built by", overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column("read by", no_wrap=True, style="dim")
    for layer, facts, totals in zip(analysis.image.layers, analysis.layers, analysis.merged.layers, strict=True):
        table.add_row(
            str(layer.position),
            format_bytes(facts.file_bytes),
            format_bytes(totals.dead_bytes) if totals.dead_bytes else "",
            f"{facts.entry_count:,}",
            one_line(layer.created_by),
            facts.reader,
        )
    return table


def _dead_table(analysis: ImageAnalysis) -> Table:
    table = Table(
        box=None, header_style="dim", pad_edge=False, expand=True, title="Biggest dead files", title_justify="left"
    )
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("path", overflow="fold", ratio=1)
    table.add_column("layer", no_wrap=True)
    table.add_column("why", no_wrap=True)
    for dead in analysis.merged.dead_files[:_FILES_SHOWN]:
        table.add_row(
            format_bytes(dead.size_bytes),
            dead.path,
            f"{dead.position} → {dead.killed_by}",
            REASONS[dead.reason],
        )
    rest = analysis.merged.dead_file_count - min(_FILES_SHOWN, len(analysis.merged.dead_files))
    if rest:
        left = analysis.merged.dead_bytes - sum(dead.size_bytes for dead in analysis.merged.dead_files[:_FILES_SHOWN])
        table.add_row(format_bytes(left), f"and {count(rest, 'more file')}", "", "")
    return table


def one_line(created_by: str | None) -> str:
    """A build step as its Dockerfile had it, without the shell and the marks of builders."""
    text = (created_by or "").removesuffix("# buildkit").strip()
    for shell in ("/bin/sh -c ", "RUN /bin/sh -c "):
        if text.startswith(shell):
            step = text.removeprefix(shell)
            return step.removeprefix("#(nop)").strip() if step.startswith("#(nop)") else f"RUN {step}"
    return text or "–"
