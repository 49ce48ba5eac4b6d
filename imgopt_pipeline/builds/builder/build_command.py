"""How a build is asked for on the docker command's command line, without a secret in it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from imgopt_pipeline.builds.builder.contexts import IGNORE_NAME
from imgopt_pipeline.builds.models import BuildRequest
from imgopt_pipeline.errors import SettingsError

CLASSIC_DOCKERFILE = ".imgopt.Dockerfile"

_ARGUMENT_NAME = re.compile(r"[^\s=\0-][^\s=\0]*")
# Arguments that the docker command itself would follow if they stood in its environment; none of them is a secret.
_FOLLOWED = re.compile(r"(?:DOCKER|BUILDX|BUILDKIT|LD|XDG)_.*|PATH|HOME|TMPDIR|SSL_CERT_\w+|GODEBUG|SOURCE_DATE_EPOCH")


def buildkit_words(request: BuildRequest, folder: Path) -> list[str]:
    """The docker command's words for a build by BuildKit; writes the Dockerfile and its .dockerignore to `folder`."""
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(request.dockerfile_text, newline="")
    if request.ignore_text is not None:
        (folder / f"Dockerfile{IGNORE_NAME}").write_text(request.ignore_text, newline="")
    words = ["buildx", "build", "--progress=plain", "--load", f"--file={dockerfile}"]
    words += [f"--secret={_secret_option(name, source)}" for name, source in request.secrets.items()]
    words += [f"--build-context={name}={_context_source(value)}" for name, value in request.contexts.items()]
    if request.memory_bytes:
        words.append(f"--ulimit=data={request.memory_bytes}")
    return words + _shared_options(request)


def classic_words(request: BuildRequest) -> list[str]:
    """The words for a build without BuildKit; the context comes as a tar with the Dockerfile in it."""
    words = ["build", "--force-rm", f"--file={CLASSIC_DOCKERFILE}"]
    if request.memory_bytes:
        words += [f"--memory={request.memory_bytes}", f"--memory-swap={request.memory_bytes}"]
    return words + _shared_options(request)


def argument_environment(arguments: Mapping[str, str]) -> dict[str, str]:
    """The build arguments whose values the docker command is to find in its environment."""
    return {name: value for name, value in arguments.items() if not _FOLLOWED.fullmatch(name)}


def _shared_options(request: BuildRequest) -> list[str]:
    words = [f"--tag={request.tag}"]
    words += [f"--label={name}={value}" for name, value in sorted(request.labels.items())]
    for name, value in request.arguments.items():
        if not _ARGUMENT_NAME.fullmatch(name):
            raise SettingsError(f"{name!r} is no name of a build argument.", subject=request.tag)
        # Without its value, which the command finds in its environment: a command line can be seen by everybody.
        words.append(f"--build-arg={name}={value}" if _FOLLOWED.fullmatch(name) else f"--build-arg={name}")
    for option, given in (("target", request.stage), ("platform", request.platform), ("network", request.network)):
        if given:
            words.append(f"--{option}={given}")
    return words


def _secret_option(name: str, source: str) -> str:
    """`id=…,src=…` as the comma-separated values that the docker command takes."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow([f"id={name}", f"src={Path(source).absolute()}"])
    return row.getvalue()


def _context_source(value: str) -> str:
    """A named context: a folder, an address, or else an image."""
    if Path(value).is_dir():
        return str(Path(value).absolute())
    return value if "://" in value else f"docker-image://{value}"
