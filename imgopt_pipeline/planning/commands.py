"""Commands that carry a plan out, exact and safe to paste whatever the names hold. Nothing here runs one."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence

from imgopt_pipeline.hosts.models import Container, Image
from imgopt_pipeline.planning.candidates import SET_ASIDE, candidate_reference
from imgopt_pipeline.planning.facts import AuditFacts, ContainerFacts, ImageFacts
from imgopt_pipeline.planning.provenance import repository
from imgopt_pipeline.planning.techniques import LEVELS

_REFERENCE = re.compile(r"[\w][\w./:@-]*", re.ASCII)
_USUAL_HOST = "local"
_COMPOSE = "com.docker.compose."
PROGRAM = "imgopt optimize"
"""The beginning of a command that imgopt itself carries out."""

_REBUILDABLE = {
    "node_modules": ("node_modules",),
    "build output": (".next", ".nuxt", ".svelte-kit", ".turbo", ".parcel-cache", ".venv", "__pycache__"),
}
"""Folders that can be made again, whatever they lie beside."""

_UNKNOWN_TO_CLEAN = (".venv", "__pycache__")
"""Those of them that `imgopt clean` leaves alone."""

_AMBIGUOUS = ("dist", "build", "out", "target")
"""Folders that can be made again only where they lie beside what makes them: for a person to tell."""


def word(text: str) -> str:
    """A name or path as one word of a shell.

    What `names.printable` escaped stands in bash's `$'…'`, whose escapes are the same.
    """
    if "\\" not in text:
        return shlex.quote(text)
    return "$'" + text.replace("'", "\\'") + "'"


def words(names: Iterable[str]) -> str:
    """Several names as words of a shell, after `--` where one could pass for an option."""
    given = list(names)
    end_of_options = ["--"] if any(name.startswith("-") for name in given) else []
    return " ".join([*end_of_options, *map(word, given)])


def program(facts: AuditFacts) -> str:
    """The engine's command."""
    return "podman" if facts.engine_kind == "podman" else "docker"


def remove_images(facts: AuditFacts, images: Iterable[ImageFacts]) -> str:
    """Removes images by all their names, else by ID."""
    names: list[str] = []
    for image in images:
        tags = [reference for reference in image.references if _REFERENCE.fullmatch(reference)]
        names += tags if len(tags) == len(image.references) and tags else [image.image_id]
    return f"{program(facts)} image rm {words(names)}"


def keep_image(facts: AuditFacts, image: ImageFacts) -> str:
    """Gives an image a second name, under which it stays when a new build takes the first."""
    return f"{program(facts)} image tag {words([image.image_id, _kept(image)])}"


def remove_kept(facts: AuditFacts, image: ImageFacts) -> str:
    """Removes what `keep_image` kept, or the image itself where it has no name."""
    return f"{program(facts)} image rm {words([_kept(image) if image.references else image.image_id])}"


def remove_volumes(facts: AuditFacts, names: Iterable[str]) -> str:
    """Removes volumes by name."""
    if facts.optimizes:
        return clean(facts, "--volume", names)
    return f"{program(facts)} volume rm {words(names)}"


def clean(facts: AuditFacts, option: str, names: Iterable[str] = ()) -> str:
    """Has imgopt clean a Docker host: an option alone, or once for each name."""
    given = [f"{option}={word(name)}" for name in names] or [option]
    return " ".join([f"imgopt clean{_host(facts.host)}", *given])


def prune_build_cache(facts: AuditFacts) -> str:
    """Removes the build cache."""
    if facts.optimizes:
        return clean(facts, "--build-cache")
    return "podman image prune --build-cache" if program(facts) == "podman" else "docker builder prune --all"


def empty_logs(facts: AuditFacts, containers: Iterable[str]) -> str:
    """Empties the log files of containers; they stay open for writing."""
    inspect = f"{program(facts)} container inspect --format '{{{{.LogPath}}}}' {words(containers)}"
    return f"{inspect} | sudo xargs --delimiter='\\n' truncate --size=0 --"


def optimize(facts: AuditFacts, image: ImageFacts, level: str) -> str:
    """Has imgopt rewrite, build and check it; by ID where its name is none that an engine takes."""
    name = next((reference for reference in image.references if _REFERENCE.fullmatch(reference)), image.image_id)
    further = "" if level == LEVELS[0] else f" --level {level}"
    return f"{PROGRAM}{_host(facts.host)}{further} {words([name])}"


def deploy(host: str, unit: str) -> str:
    """Has imgopt put the optimized image in the place of the one that a unit runs."""
    return f"imgopt deploy{_host(host)} {words([unit])}"


def unit_of(image: ImageFacts | Image, containers: Sequence[ContainerFacts | Container]) -> str | None:
    """What to call that which runs an image: `project/service` or a container, the image where there are several.

    None where nothing runs it.
    """
    units = {_unit(container, image) for container in containers if SET_ASIDE not in container.name}
    if len(units) > 1:
        return next((reference for reference in image.references if _REFERENCE.fullmatch(reference)), image.image_id)
    return units.pop() if units else None


def take_candidate(facts: AuditFacts, image: ImageFacts) -> str:
    """Gives the optimized image the name of the one in use."""
    reference = next(iter(image.references), None)
    candidate = candidate_reference(reference, image.image_id)
    return f"{program(facts)} image tag {words([candidate, reference or image.image_id])}"


def build(facts: AuditFacts, image: ImageFacts, service: ContainerFacts | None) -> str:
    """Builds an image again: by its compose service where that is known, else in the folder of its Dockerfile."""
    if service is None or not service.compose_service:
        tag = f" --tag={word(image.references[0])}" if image.references else ""
        return f"{program(facts)} build{tag} ."
    return f"{compose(facts, service, image)} build {words([service.compose_service])}"


def recreate(facts: AuditFacts, image: ImageFacts, service: ContainerFacts) -> str:
    """Puts a new container in the place of the one that still runs the old build."""
    return f"{compose(facts, service, image)} up -d {words([service.compose_service or ''])}"


def compose(facts: AuditFacts, container: ContainerFacts, image: ImageFacts | None = None) -> str:
    """The start of a compose command for the project of a container."""
    folder = container.compose_working_dir or ""
    files = [posixpath.join(folder, file) for file in container.compose_config_files]
    options = [f"-f {word(file)}" for file in files]
    if not files and folder:
        options.append(f"--project-directory {word(folder)}")
    project = container.compose_project or ""
    if project and project != _default_project(folder):
        options.append(f"-p {word(project)}")
    underscore = f"{project}_{container.compose_service}"
    if image is not None and underscore in map(repository, image.references):
        # Compose 2 names what it builds with a hyphen, unless told to do as compose 1 did.
        options.append("--compatibility")
    return " ".join([program(facts), "compose", *options])


def stop_containers(facts: AuditFacts, names: Iterable[str]) -> str:
    """Stops containers."""
    return f"{program(facts)} stop {words(names)}"


def copy_directory(path: str) -> str:
    """Copies a directory into the remote folder that the variable REMOTE names, and stops where that is not set."""
    name = posixpath.basename(path.rstrip("/")) or "data"
    return f'rsync -aHAX --partial -- {word(path.rstrip("/") + "/")} "${{REMOTE:?}}"/{word(name + "/")}'


def remove_rebuildable(facts: AuditFacts, path: str, kinds: Iterable[str]) -> str:
    """Removes node_modules and build output, either the directory itself or those below it."""
    if facts.optimizes and posixpath.basename(path.rstrip("/")) not in (*_UNKNOWN_TO_CLEAN, *_AMBIGUOUS):
        return clean(facts, "--directory", [path])
    names = [name for kind in kinds for name in _REBUILDABLE[kind]]
    if posixpath.basename(path.rstrip("/")) in (*names, *_AMBIGUOUS):
        return f"rm -rf -- {word(path)}"
    wanted = " -o ".join(f"-name {word(name)}" for name in names)
    return f"find {word(path)} -type d \\( {wanted} \\) -prune -exec rm -rf {{}} +"


def _host(name: str) -> str:
    return "" if name in ("", _USUAL_HOST) else f" --host {word(name)}"


def _unit(container: ContainerFacts | Container, image: ImageFacts | Image) -> str:
    project, service = container.compose_project, container.compose_service
    if not project or not service:
        return container.name
    # A container of `docker run` has the labels of its image, which compose labels too when it builds one.
    inherited = image.labels.get(f"{_COMPOSE}service") == service
    numbered = re.fullmatch(f"{re.escape(project)}[-_]{re.escape(service)}[-_][0-9]+", container.name)
    return container.name if inherited and not numbered else f"{project}/{service}"


def _kept(image: ImageFacts) -> str:
    return repository(image.references[0]) + ":before"


def _default_project(folder: str) -> str:
    """The project name that compose takes from a folder."""
    return re.sub(r"[^a-z0-9_-]", "", posixpath.basename(folder.rstrip("/")).lower())
