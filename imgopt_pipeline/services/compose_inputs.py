"""The files that a compose service is made from, as digests: to see that none was edited since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path

import yaml

from imgopt_pipeline.builds.sources.compose_files import ComposeError, mapping
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import ServiceName

_FILE_BYTES = 4_000_000


def file_digests(name: ServiceName, files: Sequence[Path]) -> dict[str, str]:
    """The sha256 of each file that a service is made from, by path; of env files too, whose content is secret.

    Raises ComposeError where one cannot be read.
    """
    digests = {}
    for file in (*files, *(name.environment_files or (name.folder / ".env",)), *_env_files(name, files)):
        try:
            with file.open("rb") as opened:
                digests[str(file)] = file_digest(opened, "sha256").hexdigest()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ComposeError(f"it cannot be read ({error.strerror}).", subject=printable(str(file))) from error
    return digests


def _env_files(name: ServiceName, files: Sequence[Path]) -> Iterator[Path]:
    """The env files that the compose files name in so many words; what compose renders no longer names them."""
    for file in files:
        try:
            with file.open("rb") as opened:
                document = mapping(yaml.safe_load(opened.read(_FILE_BYTES)))
        except (OSError, yaml.YAMLError, ValueError, RecursionError):
            continue  # compose has read it, and knows a form of YAML that we do not
        listed = mapping(mapping(document.get("services")).get(name.service)).get("env_file") or []
        for item in [listed] if isinstance(listed, str | dict) else listed:
            path = item.get("path") if isinstance(item, dict) else item
            if isinstance(path, str) and "$" not in path:
                yield name.folder / Path(path).expanduser()
