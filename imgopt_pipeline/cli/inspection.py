"""`imgopt inspect` and `imgopt check`: one image, now, without the warehouse and without dagster."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgopt_pipeline.cli.output import print_json, show, shown_progress
from imgopt_pipeline.reports.image import failed_gates, inspection_document, inspection_view
from imgopt_pipeline.settings import Settings, load_settings
from imgopt_pipeline.units import parse_bytes

if TYPE_CHECKING:
    from imgopt_pipeline.hosts.models import Image
    from imgopt_pipeline.hosts.opening import AnyHost
    from imgopt_pipeline.layers.analysis import ImageAnalysis

Subject = Annotated[str, typer.Argument(help="An image of a host, or the path of an archive or OCI layout.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HostName = Annotated[str | None, typer.Option("--host", help="Ask this host of imgopt.yaml.")]
ImageName = Annotated[str, typer.Option("--image", help="Which image of an archive that holds several.")]
Platform = Annotated[str | None, typer.Option(help="Which platform of a multi-platform archive, like linux/arm64.")]
Verify = Annotated[bool, typer.Option("--verify", help="Hash every byte of an archive's layers, also of large ones.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Read every layer anew and keep nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("inspect")(inspect)
    app.command("check")(check)


def inspect(
    subject: Subject,
    json: Json = False,
    host: HostName = None,
    image: ImageName = "",
    platform: Platform = None,
    verify: Verify = False,
    no_cache: NoCache = False,
    layers_only: Annotated[
        bool, typer.Option("--layers-only", help="Only layers and waste: no packages, space and GPU.")
    ] = False,
) -> None:
    """Show what one image holds: layers, live and dead bytes, packages, what fills it, what speaks for a GPU."""
    if layers_only:
        analysis = _analyse(subject, host, image, platform, verify, no_cache)
        if json:
            print_json(inspection_document(analysis))
        else:
            show(*inspection_view(analysis))
        return
    from imgopt_pipeline.examining import examine_image
    from imgopt_pipeline.reports.image_contents import contents_document, contents_view

    with _opened(subject, host, image, platform, verify, no_cache) as (opened, found, cache, verify_bytes):
        examined = examine_image(opened, found, cache, verify_bytes=verify_bytes)
    if json:
        print_json(inspection_document(examined.analysis) | contents_document(examined))
    else:
        show(*inspection_view(examined.analysis), *contents_view(examined))


def check(
    subject: Subject,
    max_size: Annotated[str | None, typer.Option(help="Largest size, like 2GB. Default: gates.image_bytes.")] = None,
    min_efficiency: Annotated[
        float | None,
        typer.Option(help="Least live ÷ stored bytes. Default: gates.lowest_efficiency.", min=0, max=1),
    ] = None,
    max_wasted: Annotated[str | None, typer.Option(help="Most dead bytes, like 50MB. Default: no limit.")] = None,
    max_layers: Annotated[int | None, typer.Option(help="Most layers. Default: no limit.", min=0)] = None,
    json: Json = False,
    host: HostName = None,
    image: ImageName = "",
    platform: Platform = None,
    verify: Verify = False,
    no_cache: NoCache = False,
) -> None:
    """Fail (exit code 1) where an image is too big or wastes too much: a gate for CI."""
    gates = load_settings().gates
    largest = gates.image_bytes if max_size is None else parse_bytes(max_size)
    efficiency = gates.lowest_efficiency if min_efficiency is None else min_efficiency
    wasted = None if max_wasted is None else parse_bytes(max_wasted)
    analysis = _analyse(subject, host, image, platform, verify, no_cache)
    failed = failed_gates(
        analysis, max_bytes=largest, min_efficiency=efficiency, max_wasted_bytes=wasted, max_layers=max_layers
    )
    if json:
        print_json({**inspection_document(analysis), "failed": failed})
    else:
        show(*([f"✗ {reason}" for reason in failed] or [f"✓ {analysis.image.name} passes."]))
    raise typer.Exit(1 if failed else 0)


def _analyse(
    subject: str, host_name: str | None, image_name: str, platform: str | None, verify: bool, no_cache: bool
) -> ImageAnalysis:
    from imgopt_pipeline.layers.analysis import analyse_image

    with _opened(subject, host_name, image_name, platform, verify, no_cache) as (host, image, cache, verify_bytes):
        return analyse_image(host, image, cache, verify_bytes=verify_bytes)


@contextmanager
def _opened(
    subject: str, host_name: str | None, image_name: str, platform: str | None, verify: bool, no_cache: bool
) -> Iterator[tuple[AnyHost, Image, Path, int]]:
    """The host and the image asked for, the folder to cache its layers in, and up to which size to hash them."""
    from imgopt_pipeline.hosts.opening import open_subject

    settings = load_settings()
    with (
        shown_progress(),
        _cache_folder(settings, no_cache) as cache,
        open_subject(settings, subject, host_name=host_name, platform=platform) as (host, reference),
    ):
        image = host.image(image_name or reference)
        yield host, image, cache, settings.limits.layer_bytes if verify else settings.limits.verify_bytes


@contextmanager
def _cache_folder(settings: Settings, no_cache: bool) -> Iterator[Path]:
    """The lasting layer cache; one for this command where that is unwanted or not writable."""
    folder = settings.paths.layers
    if not no_cache:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError:
            no_cache = True
    if not no_cache:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="imgopt-") as temporary:
        yield Path(temporary)
