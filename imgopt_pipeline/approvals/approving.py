"""A person's word for an item of the plan: who, when, and for which image or directory as it then was."""

from __future__ import annotations

import getpass
import os
import secrets
from importlib import resources
from pathlib import Path
from typing import Any

from imgopt_pipeline.errors import ImgoptError, StorageError
from imgopt_pipeline.hosts.inventory import utc
from imgopt_pipeline.journal.clock import now
from imgopt_pipeline.names import printable
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.warehouse.store import fetch_rows, publish, replace_rows, snapshot

_LEFT_ALONE = ("accept", "avoid")


class NotApproved(ImgoptError):
    """No person has said yes to it."""

    exit_code = 1
    kind = "not approved"


def person() -> str:
    """Who is at the keyboard, also behind sudo."""
    user = getpass.getuser()
    asked_by = os.environ.get("SUDO_USER")
    return f"{asked_by} (as {user})" if asked_by and asked_by != user else user


def plan_item(database: Path, host: str, subject: str) -> dict[str, Any]:
    """The item of the host's newest plan that a subject means: an image, its ID, a directory, a volume, or a service.

    Raises SubjectNotFound, StorageError where there was no audit.
    """
    with snapshot(database) as connection:
        rows = fetch_rows(connection, _sql("select_plan_items"), host=host, subject=subject)
    if not rows:
        raise SubjectNotFound(
            f"the newest plan of host {host} has no item for it.",
            subject=subject,
            hint="`imgopt plan` lists the items; `imgopt audit` makes the plan anew.",
        )
    if len(rows) > 1:
        listed = ", ".join(sorted(str(row["subject"]) for row in rows))
        raise SubjectNotFound("it may mean several items of the plan.", subject=subject, hint=f"Name one: {listed}.")
    return rows[0]


def item_to_approve(settings: Settings, host: str, name: str) -> dict[str, Any]:
    """The item of the plan that a person may say yes to, or a directory that is to be moved, in the plan or not.

    Raises Refused where the plan leaves it alone, SubjectNotFound, StorageError.
    """
    entry = _move_entry(settings, name)
    path = _directory(settings, host, name)
    try:
        item = plan_item(settings.paths.database, host, printable(path) if path is not None else name)
    except (SubjectNotFound, StorageError):
        if path is None:
            raise
        return _move(path)
    if item["subject_kind"] == "directory" and item["decision"] == "accept" and entry:
        return _move(path or item["path"])  # the settings want it moved, which the plan does not know
    if item["decision"] in _LEFT_ALONE:
        raise Refused(
            "the plan says to leave it as it is.", subject=str(item["subject"]), hint="`imgopt plan --all` says why."
        )
    return item | {"path": path} if path is not None else item


def approve(database: Path, host: str, item: dict[str, Any], note: str = "") -> dict[str, Any]:
    """Record a person's yes to an item of the plan; the row of `approvals`. Raises StorageError."""
    row = {
        "approval_id": secrets.token_hex(8),
        "host": host,
        "subject": item["subject"],
        "subject_kind": item["subject_kind"],
        "image_id": item.get("image_id"),
        "path": item.get("path"),
        "action": item["action"],
        "approved_by": person(),
        "approved_at": utc(now().at),
        "note": note,
    }
    publish(database, lambda connection: replace_rows(connection, {"approvals": [row]}))
    return row


def approver_of(
    database: Path, host: str, *, subject: str, image_id: str | None = None, path: str | None = None
) -> str:
    """Who approved the item of this very image, or of this directory. Raises NotApproved."""
    if not database.exists():
        raise _not_approved(subject)
    with snapshot(database) as connection:
        rows = fetch_rows(connection, _sql("select_approvals"), host=host, image_id=image_id, path=path)
        if rows:
            return f"{rows[0]['approved_by']}, {rows[0]['approved_at']:%Y-%m-%d %H:%M} UTC"
        items = fetch_rows(connection, _sql("select_plan_items"), host=host, subject=subject)
        images = [item for item in items if item["image_id"] is not None]
        if image_id is None or any(item["image_id"] == image_id for item in images):
            raise _not_approved(subject)
        older = [
            row
            for name in {subject, *(item["subject"] for item in images)}
            for row in fetch_rows(
                connection, _sql("select_older_approvals"), host=host, subject=name, image_id=image_id
            )
        ]
    hint = f"`imgopt audit`, then `imgopt approve {subject}`."
    if older:
        raise NotApproved("what was approved is an older image.", subject=subject, hint=hint)
    if images:
        raise NotApproved(
            "nobody has approved it, and the newest plan is about an older image.", subject=subject, hint=hint
        )
    raise _not_approved(subject)


def _not_approved(subject: str) -> NotApproved:
    return NotApproved(
        "nobody has approved it as it is now.", subject=subject, hint=f"`imgopt approve {subject}` does."
    )


def _move(path: str) -> dict[str, Any]:
    """A directory that is to be moved, as an item of the plan would say it."""
    return {
        "subject": path,
        "subject_kind": "directory",
        "path": path,
        "decision": "optimize",
        "action": "move to a remote mount",
    }


def _move_entry(settings: Settings, name: str) -> bool:
    """Whether the settings say where it is to be moved."""
    sources = {os.path.normpath(entry.source) for entry in settings.migrations.values() if entry.source is not None}
    return name in settings.migrations or os.path.normpath(name) in sources


def _directory(settings: Settings, host: str, name: str) -> str | None:
    """The directory that a name means by the settings or by itself; None where that is for the plan to say."""
    entry = settings.migrations.get(name)
    if entry is not None and entry.source is not None:
        return os.path.normpath(entry.source)
    if os.path.isabs(name):
        path = os.path.normpath(name)
        return path if _move_entry(settings, name) or os.path.isdir(path) else None
    if entry is None or not settings.paths.database.exists():
        return None
    with snapshot(settings.paths.database) as connection:
        rows = fetch_rows(connection, _sql("select_directories"), host=host, name=name)
    return str(rows[0]["path"]) if len(rows) == 1 else None


def _sql(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.sql").read_text()
