"""R9: tests of installed Python packages go in the RUN that installed them.

Only folders named `tests`: `test`, `docs` and `examples` are modules that some packages import when they run.
"""

from __future__ import annotations

from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule
from imgopt_pipeline.dockerfiles.installed_files import python_folders, removing_steps
from imgopt_pipeline.dockerfiles.runs import Run


def propose(draft: Draft) -> Proposal:
    """Removes them at the end of each RUN whose layer holds enough of them."""
    return Proposal(tuple(removing_steps(draft, "R9", "tests and manuals of packages", _command)))


def _command(draft: Draft, run: Run) -> str:
    folders = python_folders(draft, run)
    return f"find {' '.join(folders)} -type d -name tests -prune -exec rm -rf '{{}}' +" if folders else ""


RULE = Rule(
    technique="R9",
    title="no tests of packages",
    needs="the layers of the image built from it",
    proof="every top-level module that could be imported before still can",
    propose=propose,
)
