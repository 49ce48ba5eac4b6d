"""The candidate of an image: built, checked, and still on the host as the very image that was checked."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from imgopt_pipeline.deployments.models import Candidate, NoCandidate
from imgopt_pipeline.errors import ImageNotFound
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.engine_files import engine_errors
from imgopt_pipeline.services.models import FAILED, UNVERIFIED
from imgopt_pipeline.warehouse.store import fetch_rows, snapshot


def candidate_of(database: Path, host: EngineHost, image_id: str, name: str) -> Candidate:
    """The newest candidate of an image, `name` being what a person calls it.

    Raises NoCandidate where none was built or kept, a check failed, or it is not on the host as it was checked.
    """
    hint = f"`imgopt optimize {name}` builds and checks one."
    if not database.exists():
        raise NoCandidate("no optimized image of it was built.", subject=name, hint=hint)
    with snapshot(database) as connection:
        rows = fetch_rows(connection, _sql("select_candidate"), host=host.name, image_id=image_id)
        if not rows:
            raise NoCandidate("no optimized image of it was built and kept.", subject=name, hint=hint)
        (row,) = rows
        checks = fetch_rows(
            connection, _sql("select_candidate_checks"), build_id=row["build_id"], image_id=row["candidate_image_id"]
        )
    if not checks:
        raise NoCandidate("nothing is known of its candidate's checks.", subject=name, hint=hint)
    failed = sorted(check["check_name"] for check in checks if check["outcome"] == FAILED)
    if failed:
        raise NoCandidate(f"its candidate failed the checks {', '.join(failed)}.", subject=name, hint=hint)
    try:
        with engine_errors("the engine does not describe it", missing=ImageNotFound):
            host.client.inspect_image(row["candidate_image_id"])
    except ImageNotFound as error:
        raise NoCandidate(
            f"its candidate {row['candidate_reference']} is not on the host any more.", subject=name, hint=hint
        ) from error
    return Candidate(
        build_id=row["build_id"],
        image_id=row["candidate_image_id"],
        reference=row["candidate_reference"],
        kind=row["kind"],
        old_bytes=row["old_bytes"],
        new_bytes=row["new_bytes"] or 0,
        unverified=tuple(sorted(check["check_name"] for check in checks if check["outcome"] == UNVERIFIED)),
    )


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text()
