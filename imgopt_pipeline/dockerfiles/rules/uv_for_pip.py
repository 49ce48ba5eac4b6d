"""R2: uv instead of pip where uv is there already. It shortens the build and leaves the same packages."""

from __future__ import annotations

import re

from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule, Step
from imgopt_pipeline.dockerfiles.editing import Edit
from imgopt_pipeline.dockerfiles.runs import Call, Run, runs
from imgopt_pipeline.dockerfiles.surroundings import above

_SAME = {
    "-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-U", "--upgrade", "-q", "--quiet", "-v",
    "--verbose", "--no-deps", "--require-hashes", "-i", "--index-url", "-f", "--find-links", "--no-index",
    "--no-build-isolation", "--only-binary", "--no-binary", "--no-cache-dir", "--break-system-packages", "-t",
    "--target", "--force-reinstall", "--no-compile",
}  # fmt: skip
_OTHERWISE = {"--no-cache-dir": "--no-cache"}
_OF_PIP_ALONE = re.compile(r"(pip|uv|setuptools|wheel)\b")


def propose(draft: Draft) -> Proposal:
    """Replaces the call of pip word for word, where every option of it means the same to uv."""
    steps: list[Step] = []
    for run in runs(draft):
        calls = run.plain_calls({"pip"}, {"install"})
        if calls and all(_is_same(call) for call in calls) and _has_uv(draft, run):
            edits = tuple(edit for call in calls for edit in _edits(run, call))
            steps.append(Step(edits, run.instruction.line, "uv installs the same packages as pip in less time."))
    return Proposal(tuple(steps))


def _is_same(call: Call) -> bool:
    options = {word.text.partition("=")[0] for word in call.arguments if word.text.startswith("-")}
    bare = call.first.text.rpartition("/")[0] == ""
    packages = [word.text for word in call.named]
    return (
        bare
        and not call.as_other
        and not call.options
        and not call.command.assignments
        and options <= _SAME
        and all(word.literal or "=" in word.text for word in call.arguments)
        and not any(_OF_PIP_ALONE.match(package) for package in packages)
    )


def _has_uv(draft: Draft, run: Run) -> bool:
    """Whether uv was brought before: copied, installed by pip, or part of the base."""
    for other in above(draft, run.instruction):
        words = " ".join((*other.flags, *other.words))
        if other.keyword == "COPY" and re.search(r"(^|/)uv\b", other.flag("from") or "") and "/bin" in words:
            return True
        if other.keyword == "FROM" and re.search(r"astral-sh/uv:", words):
            return True
        if other.keyword == "RUN" and re.search(r"\bpip[\d.]* install [^&;|]*(?<![\w-])uv(?![\w-])", words):
            return True
    return False


def _edits(run: Run, call: Call) -> list[Edit]:
    assert call.action is not None
    system = not {"VIRTUAL_ENV", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT"} & set(run.around.values)
    # pip compiles what it installs and uv does not, unless asked.
    compiles = not call.has("--no-compile") and "UV_COMPILE_BYTECODE" not in run.around.values
    system = system and not call.has("-t", "--target")
    options = f"{' --system' if system else ''}{' --compile-bytecode' if compiles else ''}"
    edits = [Edit(call.first.start, call.action.end, f"uv pip install{options}")]
    for word in call.arguments:
        if word.text == "--no-compile":
            edits.append(Edit(word.start, word.end, "--no-compile-bytecode"))
        elif word.text in _OTHERWISE:
            edits.append(Edit(word.start, word.end, _OTHERWISE[word.text]))
    return edits


RULE = Rule(
    technique="R2",
    title="uv instead of pip",
    needs="",
    proof="the same packages in the same versions",
    propose=propose,
)
