"""R15: static libraries and headers of Python packages go in the RUN that installed them."""

from __future__ import annotations

from imgopt_pipeline.dockerfiles.drafts import Draft, Proposal, Rule
from imgopt_pipeline.dockerfiles.installed_files import python_folders, removing_steps
from imgopt_pipeline.dockerfiles.runs import Run, runs

_COMPILING = {"gcc", "g++", "cc", "make", "cmake", "nvcc", "meson", "ninja", "cython"}
_COMPILE_WHEN_THEY_RUN = ("triton", "numba-cuda", "cupy", "pycuda", "deepspeed", "flash-attn")


def propose(draft: Draft) -> Proposal:
    """Removes them unless something compiles against them, in a later RUN or when it runs."""
    if draft.image is None:
        return Proposal()
    compiling = [name for name in _COMPILE_WHEN_THEY_RUN if name in draft.image.of("python")]
    if compiling and draft.image.gpu_verdict != "denied":
        return Proposal(passed_over=f"{compiling[0]} compiles against headers when it runs")
    if any(call.program in _COMPILING or call.has("--no-build-isolation") for run in runs(draft) for call in run.calls):
        return Proposal(passed_over="the stage compiles something itself, perhaps against these headers")
    return Proposal(tuple(removing_steps(draft, "R15", "static libraries and headers", _command)))


def _command(draft: Draft, run: Run) -> str:
    folders = " ".join(python_folders(draft, run))
    names = r"\( -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.cuh' \)"
    return f"find {folders} -type f {names} -delete" if folders else ""


RULE = Rule(
    technique="R15",
    title="no static libraries and headers",
    needs="the layers of the image built from it",
    proof="every module imports and the application answers as before",
    propose=propose,
)
