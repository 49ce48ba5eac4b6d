"""Files of installed packages that no application asks for: where they lie and what removes them in their RUN."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from imgopt_pipeline.dockerfiles.drafts import Draft, Step
from imgopt_pipeline.dockerfiles.layout import followed_by
from imgopt_pipeline.dockerfiles.runs import Run, runs
from imgopt_pipeline.units import format_bytes

PYTHON_INSTALLERS = {"pip", "uv pip", "uv", "poetry", "pdm", "pipenv", "conda", "mamba", "micromamba"}
_INSTALLING = {"install", "sync", "add", "create", "env", "update"}
# Less than this is not worth a line.
_FLOOR_BYTES = 1_000_000


def removing_steps(draft: Draft, technique: str, noun: str, command_of: Callable[[Draft, Run], str]) -> Iterator[Step]:
    """A command at the end of each RUN whose layer holds such files; none where `command_of` gives no command."""
    for run in runs(draft):
        claimed = draft.claimed(technique, run.instruction)
        if claimed is None or claimed.likely_bytes < _FLOOR_BYTES:
            continue
        command = command_of(draft, run)
        if not command or command.removeprefix("rm -rf ") in draft.document.source(run.instruction):
            continue
        edit = followed_by(draft.document, run.script, None, command)
        if edit is not None:
            reason = f"Its layer holds {format_bytes(claimed.likely_bytes)} of {noun}."
            yield Step((edit,), run.instruction.line, reason)


def python_folders(draft: Draft, run: Run) -> tuple[str, ...]:
    """The folders of Python packages that a RUN installed into; empty where it installed none."""
    step = draft.step(run.instruction)
    if step is None or draft.image is None or not run.plain_calls(PYTHON_INSTALLERS, _INSTALLING):
        return ()
    made = [f"{path.path}/" for path in step.made]
    folders = draft.image.python_folders
    return tuple(f for f in folders if any(m.startswith(f"{f}/") or f"{f}/".startswith(m) for m in made))
