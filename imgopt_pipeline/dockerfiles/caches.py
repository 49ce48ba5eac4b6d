"""What package managers keep in their caches: which call keeps it, how not to, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imgopt_pipeline.dockerfiles.runs import Call, Run


@dataclass(frozen=True, slots=True)
class Cache:
    """A package manager's cache. `actions`: what fills it. Kept away by `option` on the call, else by `cleanup`.

    `folder`: where it lies below the home of the user, or absolute, when no variable of `folder_variables` moves it.
    `switches`: variables that switch it off. `mountable`: a mount there speeds up later builds and hides nothing.
    """

    program: str
    actions: frozenset[str]
    option: str = ""
    cleanup: str = ""
    folder: str = ""
    folder_variables: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    mountable: bool = True

    def filled_by(self, call: Call) -> bool:
        """Whether a call fills it."""
        return call.program == self.program and call.does in self.actions

    def cleaning(self, values: Mapping[str, str]) -> str:
        """The command that empties it, for whatever user."""
        variable = next((f'"${name}"' for name in self.folder_variables if name in values), "")
        return self.cleanup.replace("{folder}", variable or f"~/{self.folder}")

    def path(self, values: Mapping[str, str]) -> str:
        """Where it lies for root, with these variables."""
        for variable in self.folder_variables:
            if values.get(variable, "").startswith("/") and "$" not in values[variable]:
                return values[variable].rstrip("/")
        if self.folder.startswith("/"):
            return self.folder
        home = values.get("HOME", "/root")
        base = values.get("XDG_CACHE_HOME", "") if self.folder.startswith(".cache/") else ""
        return f"{base.rstrip('/')}/{self.folder.removeprefix('.cache/')}" if base else f"{home}/{self.folder}"


PIP = Cache(
    "pip",
    frozenset({"install", "download", "wheel"}),
    option="--no-cache-dir",
    folder=".cache/pip",
    folder_variables=("PIP_CACHE_DIR",),
    switches=("PIP_NO_CACHE_DIR",),
)
# Values of a switch that leave the cache on.
_SWITCHED_ON = {"0", "off", "false", "no"}
_CONDA_ACTIONS = frozenset({"install", "create", "env", "update"})
CACHES = (
    PIP,
    Cache("uv pip", frozenset({"install", "sync"}), "--no-cache", "", ".cache/uv", ("UV_CACHE_DIR",), ("UV_NO_CACHE",)),
    Cache("uv", frozenset({"sync", "add"}), "--no-cache", "", ".cache/uv", ("UV_CACHE_DIR",), ("UV_NO_CACHE",)),
    Cache(
        "npm",
        frozenset({"install", "i", "ci", "clean-install", "add"}),
        cleanup="npm cache clean --force",
        folder=".npm",
        folder_variables=("npm_config_cache", "NPM_CONFIG_CACHE"),
    ),
    Cache(
        "yarn",
        frozenset({"", "install", "add", "global"}),
        cleanup="yarn cache clean",
        folder="/usr/local/share/.cache/yarn",
        folder_variables=("YARN_CACHE_FOLDER",),
    ),
    *(
        Cache(program, _CONDA_ACTIONS, cleanup=f"{program} clean -afy", mountable=False)
        for program in ("conda", "mamba", "micromamba")
    ),
    Cache(
        "poetry",
        frozenset({"install", "add", "sync"}),
        # Its virtual environments lie beside these two.
        cleanup="rm -rf {folder}/artifacts {folder}/cache",
        folder=".cache/pypoetry",
        folder_variables=("POETRY_CACHE_DIR",),
        mountable=False,
    ),
)
"""Each with what fills it; those of compilers are in `BUILD_CACHES`."""

BUILD_CACHES = (
    Cache("go", frozenset({"build", "install", "mod"}), folder="/go/pkg/mod", folder_variables=("GOMODCACHE",)),
    Cache("go", frozenset({"build", "install"}), folder=".cache/go-build", folder_variables=("GOCACHE",)),
    Cache("cargo", frozenset({"build", "install", "fetch"}), folder="/usr/local/cargo/registry"),
)


def is_off(cache: Cache, run: Run, call: Call) -> bool:
    """Whether a variable switches it off: of the environment, exported in the script, or before the command."""
    given = {*run.around.values, *(text.partition("=")[0] for text in call.command.assignments)}
    for command in run.script.commands:
        if command.start < call.command.start and (not command.words or command.name == "export"):
            given |= {text.partition("=")[0] for text in command.assignments}
    return any(
        switch in given and run.around.values.get(switch, "").lower() not in _SWITCHED_ON for switch in cache.switches
    )
