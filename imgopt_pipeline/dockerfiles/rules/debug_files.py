"""R14: debug files go in the RUN that installed them."""

from __future__ import annotations

from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule
from imgopt_pipeline.dockerfiles.installed_files import python_folders, removing_steps
from imgopt_pipeline.dockerfiles.runs import Run

_DISTRIBUTION = {"apt-get", "apt", "apk", "dnf", "microdnf", "yum", "zypper"}


def propose(draft: Draft) -> Proposal:
    """Removes /usr/lib/debug, or the .debug files of Python packages."""
    return Proposal(tuple(removing_steps(draft, "R14", "debug files", _command)))


def _command(draft: Draft, run: Run) -> str:
    if run.plain_calls(_DISTRIBUTION):
        return "rm -rf /usr/lib/debug"
    folders = python_folders(draft, run)
    return f"find {' '.join(folders)} -type f -name '*.debug' -delete" if folders else ""


RULE = Rule(
    technique="R14",
    title="no debug files",
    needs="the layers of the image built from it",
    proof="every library resolves and every module imports as before",
    propose=propose,
)
