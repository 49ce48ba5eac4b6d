"""What the labels of a container say of who made it: compose, by which files, as which replica of which service.

The labels may come from the image instead, which compose labels too when it builds one; those that say which replica
a container is come from compose alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from imgopt_pipeline.services.models import ServiceName

COMPOSE = "com.docker.compose."
PROJECT, SERVICE, NUMBER = f"{COMPOSE}project", f"{COMPOSE}service", f"{COMPOSE}container-number"
FOLDER, FILES = f"{COMPOSE}project.working_dir", f"{COMPOSE}project.config_files"
CONFIG_HASH, DEPENDS_ON, REPLACED = f"{COMPOSE}config-hash", f"{COMPOSE}depends_on", f"{COMPOSE}replace"
VERSION, ENVIRONMENT_FILE = f"{COMPOSE}version", f"{COMPOSE}project.environment_file"

_ONE_OFF = f"{COMPOSE}oneoff"
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def service_of(labels: Mapping[str, str]) -> ServiceName | None:
    """The service that a container is a replica of; None for one that compose did not make as such."""
    project, service = labels.get(PROJECT, ""), labels.get(SERVICE, "")
    folder = Path(labels.get(FOLDER) or "")
    if (
        is_one_off(labels)
        or not labels.get(NUMBER)
        or "\0" in f"{folder}{labels.get(FILES)}{labels.get(ENVIRONMENT_FILE)}"
    ):
        return None
    if not _NAME.fullmatch(project) or not _NAME.fullmatch(service) or not folder.is_absolute():
        return None
    # Compose 1 names files relative to the folder.
    files, environment_files = (
        tuple(folder / file for file in labels.get(label, "").split(",") if file) for label in (FILES, ENVIRONMENT_FILE)
    )
    return ServiceName(project, service, folder, files, labels.get(VERSION, ""), environment_files)


def is_one_off(labels: Mapping[str, str]) -> bool:
    """Whether `docker compose run` made it."""
    return labels.get(_ONE_OFF, "").lower() == "true"


def number_of(labels: Mapping[str, str]) -> int:
    """Which replica a container is, from 1; 0 where it does not say."""
    number = labels.get(NUMBER, "")
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 9 else 0
