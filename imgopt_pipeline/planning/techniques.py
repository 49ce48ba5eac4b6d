"""What is known of each technique beforehand: what it does, how risky and how laborious it is.

The bytes come from the images; nothing here depends on one. Sources of the risks: docs/guide/plan.md.
"""

from __future__ import annotations

from dataclasses import dataclass

RISKS = ("low", "medium", "high")
LEVELS = ("safe", "balanced", "aggressive")


@dataclass(frozen=True, slots=True)
class Technique:
    """`means`: what is done, as part of a sentence. `noun`: the bytes it removes. `edit`: what to change first.

    `level`: how far one has to go for it (docs/decisions/0019-levels.md).
    """

    technique: str
    noun: str
    means: str
    complexity: str
    risk: str
    edit: str

    @property
    def level(self) -> str:
        """One of LEVELS."""
        return level_of(self.technique)


_LEVELS = {
    **dict.fromkeys(("R2", "R8", "R9", "R11", "R16", "R18"), "balanced"),
    **dict.fromkeys(("R14", "R15"), "aggressive"),
}


def level_of(technique: str) -> str:
    """How far one has to go for a technique: one of LEVELS."""
    return _LEVELS.get(technique, LEVELS[0])


TECHNIQUES = {
    technique.technique: technique
    for technique in (
        Technique("R1", "GPU code", "CPU-only packages", "medium", "medium", ""),
        Technique(
            "R18",
            "CUDA that is there twice",
            "one CUDA instead of two",
            "low",
            "medium",
            "Keep one CUDA: build on an image without /usr/local/cuda where the wheels bring it, and try a GPU call.",
        ),
        Technique(
            "R16",
            "CUDA development files",
            "CUDA's runtime image instead of its devel image",
            "low",
            "medium",
            "Change the tag of the CUDA base from -devel to -runtime, unless something is compiled when it runs.",
        ),
        Technique(
            "R3",
            "build tools",
            "a multi-stage build",
            "medium",
            "medium",
            "Install compilers, -dev packages and git in a first stage only; copy what they made (/opt/venv or wheels)"
            " into a second stage, and check there that ldd finds every library.",
        ),
        Technique(
            "R8",
            "packages of the full base image",
            "a slim base image",
            "medium",
            "medium",
            "Build on the -slim variant of the base (never on alpine for machine learning) and name the libraries"
            " that are then missing in apt-get install.",
        ),
        Technique(
            "R7",
            "development dependencies of Node",
            "production dependencies only",
            "medium",
            "medium",
            "Build in a first stage with all dependencies; install only those of production in the last one"
            " (npm ci --omit=dev, pnpm install --prod, yarn workspaces focus --production).",
        ),
        Technique(
            "R13",
            "node_modules that Next.js can trace",
            "the standalone output of Next.js",
            "medium",
            "medium",
            "Set output: 'standalone' in the Next.js configuration; copy .next/standalone, .next/static and public.",
        ),
        Technique(
            "R10",
            "what .dockerignore should keep out",
            "a .dockerignore",
            "low",
            "low",
            "List .git, node_modules and data in .dockerignore beside the Dockerfile.",
        ),
        Technique(
            "R6",
            "package caches",
            "no package caches",
            "low",
            "low",
            "Install with --no-cache-dir (pip) or --no-cache (uv), or clean the cache in the same RUN"
            " (npm cache clean --force, yarn cache clean).",
        ),
        Technique(
            "R5",
            "apt lists",
            "no apt lists",
            "low",
            "low",
            "End each RUN that calls apt-get update with rm -rf /var/lib/apt/lists/*.",
        ),
        Technique(
            "R11",
            "caches of package managers",
            "cache mounts",
            "low",
            "low",
            "Use RUN --mount=type=cache for apt and pip where the engine builds with BuildKit.",
        ),
        Technique(
            "R4",
            "packages that were only recommended",
            "no recommended packages",
            "low",
            "low",
            "Add --no-install-recommends to apt-get install, and name ca-certificates and codecs that are needed.",
        ),
        Technique(
            "R14",
            "debug files",
            "no debug files",
            "low",
            "medium",
            "Leave out the -dbg packages and /usr/lib/debug in the RUN that installs them.",
        ),
        Technique(
            "R9",
            "tests, manuals and bytecode",
            "no tests and manuals of packages",
            "low",
            "low",
            "Delete tests, manuals and bytecode of packages in the same RUN that installs them; import every"
            " package afterwards.",
        ),
        Technique(
            "R15",
            "static libraries and headers",
            "no static libraries and headers",
            "low",
            "medium",
            "Delete *.a and headers in the RUN that installs them, unless something is compiled when it runs.",
        ),
        Technique(
            "R12",
            "files stored again by chown or chmod",
            "COPY --chown",
            "low",
            "low",
            "Replace RUN chown and RUN chmod after a COPY by COPY --chown and --chmod.",
        ),
        Technique(
            "R2",
            "nothing but build time",
            "uv instead of pip",
            "low",
            "low",
            "Install with uv pip install --system, where uv is there already.",
        ),
        Technique(
            "R17",
            "overwritten and deleted files",
            "merged RUN steps",
            "low",
            "low",
            "Merge each RUN that deletes or overwrites files with the RUN that made them.",
        ),
    )
}
"""By ID. Bytes that several claim equally surely are shown under the first of them in this order."""

ORDER = {technique: number for number, technique in enumerate(TECHNIQUES)}
