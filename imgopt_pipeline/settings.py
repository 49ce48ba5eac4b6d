"""Settings: `imgopt.yaml`, environment variables (`IMGOPT_…`), and a default for every value.

Read when `load_settings` is called and never at import. What a value means to a part of imgopt is
that part's business; here stand names, types, defaults, and where files lie.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

import yaml
from platformdirs import user_config_path, user_data_path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.limits import Limits
from imgopt_pipeline.units import parse_bytes

CONFIG_NAME = "imgopt.yaml"
ARCHIVES_HOST = "archives"
"""Name under which the configured archive folder is audited."""

DEMO_HOST = "demo"
"""Name under which the demo fleet is audited."""

_PATTERN = re.compile(r"[?*\[\]#]")
_CHECKOUT = Path(__file__).resolve().parent.parent


def _size(value: Any) -> Any:
    try:
        return parse_bytes(value) if isinstance(value, str) else value
    except SettingsError as error:
        raise ValueError(str(error)) from error


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        raise ValueError(f"{name!r} is no time zone" + (f"; did you mean {near[0]!r}?" if near else ""))
    return name


Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HostSettings(_Strict):
    """One host: an `engine` (unix://, ssh://, tcp://; `auto` looks for one) or a folder of `archives`."""

    engine: str | None = None
    tls_folder: Path | None = None
    archives: Path | None = None
    platform: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> HostSettings:
        if (self.engine is None) == (self.archives is None):
            raise ValueError("say either `engine` or `archives`")
        return self


class ScheduleSettings(_Strict):
    """When the audit runs by itself, and in which time zone."""

    weekly_audit: str = "0 6 * * 1"
    daily_housekeeping: str = "30 4 * * *"
    timezone: Annotated[str, AfterValidator(_known_timezone)] = "UTC"
    status: Literal["running", "stopped"] = "running"


class RetentionSettings(_Strict):
    """How long things are kept. The newest audit of a host always stays.

    `backup_days`: what it takes to put an old state back: images, containers, override files, data set aside.
    """

    audit_days: int = Field(default=730, ge=1)
    dagster_run_days: int = Field(default=90, ge=1)
    backup_days: float = Field(default=7, ge=0)


class GateSettings(_Strict):
    """From when on an image is remarked upon. `lowest_efficiency` is live ÷ stored bytes."""

    image_bytes: Size = 2_000_000_000
    lowest_efficiency: float = Field(default=0.9, ge=0, le=1)


class FindingSettings(_Strict):
    """From when on rules find something, and a folder of SQL files with rules of one's own."""

    rules_folder: Path | None = None
    least_bytes: Size = 1_000_000
    log_bytes: Size = 100_000_000
    data_bytes: Size = 100_000_000
    build_cache_bytes: Size = 1_000_000_000
    stale_days: int = Field(default=180, ge=1)

    @field_validator("rules_folder")
    @classmethod
    def _full(cls, folder: Path | None) -> Path | None:
        return folder.absolute() if folder is not None else None


class BuildSettings(_Strict):
    """How optimized images are built and checked. `budget` bounds the builds that one optimization may take.

    `cpu_index` and `find_links` are where CPU-only packages come from: a package index, and folders or pages of
    wheels. `cache_bytes` is what stays of the build cache afterwards.
    """

    time_limit_seconds: float = Field(default=3600, gt=0)
    memory_bytes: Size | None = None
    budget: int = Field(default=8, ge=1)
    network: Literal["default", "host", "none"] = "default"
    cpu_index: str | None = "https://download.pytorch.org/whl/cpu"
    find_links: tuple[str, ...] = ()
    secrets: dict[str, Path] = Field(default_factory=dict)
    context_bytes: Size = 10_000_000_000
    cache_bytes: Size = 10_000_000_000
    soak_seconds: float = Field(default=10, ge=0)
    start_seconds: float = Field(default=120, gt=0)
    check_memory_bytes: Size | None = None


class ProbeSettings(_Strict):
    """What to ask a started container: a `path` over HTTP, whether its `port` opens, or a `command` to run inside.

    `status` and `body` (a regular expression) are what must come; by default what the image in use answers. A command
    is for deployments alone and must exit with 0; it runs in production.
    """

    path: str | None = None
    command: str | list[str] | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    status: int | None = Field(default=None, ge=100, le=599)
    body: str | None = None


class DoubleSettings(_Strict):
    """A stand-in for a service that a container needs to start, under the name it asks for."""

    image: str
    environment: dict[str, str] = Field(default_factory=dict)
    command: list[str] | None = None


class TargetSettings(_Strict):
    """What imgopt cannot know of one image: where it is built from, and how to try it.

    `shadow`: paths whose GET changes nothing; before a deployment they are asked of the running and the new image.
    """

    dockerfile: Path | None = None
    context: Path | None = None
    arguments: dict[str, str] = Field(default_factory=dict)
    stage: str | None = None
    secrets: dict[str, Path] = Field(default_factory=dict)
    probes: tuple[ProbeSettings, ...] = ()
    smoke: str | list[str] | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    doubles: dict[str, DoubleSettings] = Field(default_factory=dict)
    soak_seconds: float | None = Field(default=None, ge=0)
    without: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()


class DeploymentSettings(_Strict):
    """How a switched service is watched before it counts as verified.

    It must be as it was within `deadline_seconds` and stay so for `soak_seconds`; probes must answer `probe_times` in
    a row. `memory_share`: from which share of its memory limit on it counts as running out of it.
    """

    soak_seconds: float = Field(default=30, ge=0)
    deadline_seconds: float = Field(default=300, gt=0)
    probe_times: int = Field(default=3, ge=1)
    memory_share: float = Field(default=0.95, gt=0, le=1)
    stop_seconds: int | None = Field(default=None, ge=0)


class MoveSettings(_Strict):
    """Where a data directory is to go: `source` is looked up by name where it is not given.

    `filesystem` is what the destination must be mounted as (`nfs4`, `fuse.rclone`; any but the source's otherwise).
    `backup`: a folder for a packed copy made before.
    """

    source: Path | None = None
    destination: Path
    filesystem: str | None = None
    bytes_per_second: Size | None = None
    workers: int = Field(default=4, ge=1, le=64)
    backup: Path | None = None


class LimitSettings(_Strict):
    """Bounds that keep hostile images from filling memory, disk or time; see `limits.py`."""

    layers: int = Limits().layers
    layer_bytes: Size = Limits().layer_bytes
    entries: int = Limits().entries
    verify_bytes: Size = 512_000_000

    def to_limits(self) -> Limits:
        return Limits(layers=self.layers, layer_bytes=self.layer_bytes, entries=self.entries)


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(env_prefix="IMGOPT_", env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path
    hosts: dict[str, HostSettings] = Field(default_factory=lambda: {"local": HostSettings(engine="auto")})
    archives: Path | None = None
    schedule: ScheduleSettings = ScheduleSettings()
    retention: RetentionSettings = RetentionSettings()
    gates: GateSettings = GateSettings()
    findings: FindingSettings = FindingSettings()
    limits: LimitSettings = LimitSettings()
    builds: BuildSettings = BuildSettings()
    targets: dict[str, TargetSettings] = Field(default_factory=dict)
    deployments: DeploymentSettings = DeploymentSettings()
    migrations: dict[str, MoveSettings] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The environment wins over the file, whose values come as arguments.
        return env_settings, init_settings

    @field_validator("home", "archives")
    @classmethod
    def _plain_folder(cls, folder: Path | None) -> Path | None:
        # DuckDB and SQLite take these characters for patterns, and neither takes what is not UTF-8.
        if folder is not None and (_PATTERN.search(str(folder)) or not str(folder).isprintable()):
            raise ValueError("a folder's name may not hold any of ? * [ ] # or unprintable characters")
        try:
            return folder.absolute() if folder is not None else None
        except FileNotFoundError as error:
            raise ValueError("the current folder is gone; change to another, or name a full path") from error

    @model_validator(mode="after")
    def _host_names(self) -> Settings:
        for name in self.hosts:
            if not name or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
                raise ValueError(f"the host name {name!r} may hold letters, digits, '.', '-' and '_' only")
        if ARCHIVES_HOST in self.hosts:
            raise ValueError(f"the host name {ARCHIVES_HOST!r} is taken by the archive folder")
        if DEMO_HOST in self.hosts:
            raise ValueError(f"the host name {DEMO_HOST!r} is taken by the demo fleet")
        return self

    @property
    def paths(self) -> Paths:
        """Where imgopt keeps its files."""
        return Paths(self.home)

    @property
    def archives_folder(self) -> Path:
        """The folder of image archives that is audited where no engine answers."""
        return self.archives or self.home / "archives"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where imgopt keeps its files."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "imgopt.duckdb"

    @property
    def layers(self) -> Path:
        return self.home / "layers"

    @property
    def demo(self) -> Path:
        return self.home / "demo"

    @property
    def dagster(self) -> Path:
        return self.home / "dagster"

    @property
    def builds(self) -> Path:
        """Logs, Dockerfiles and diffs of optimized builds."""
        return self.home / "builds"

    @property
    def actions(self) -> Path:
        """A folder per deployment, migration and cleaning: its journal, and what going back takes."""
        return self.home / "actions"

    @property
    def locks(self) -> Path:
        return self.home / "locks"


def load_settings(config: Path | None = None) -> Settings:
    """The settings in force. Raises SettingsError, naming a mistyped key and the nearest right one."""
    path = config or config_path()
    values = _read_yaml(path) if path is not None else {}
    values.setdefault("home", default_home())
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_explanations(error)),
            subject=str(path or "environment"),
            hint="See imgopt.example.yaml.",
        ) from error


def default_home() -> Path:
    """`data/` of a checkout, else a folder per user. `IMGOPT_HOME` overrides both."""
    return checkout() / "data" if checkout() else user_data_path("imgopt")  # type: ignore[operator]


def checkout() -> Path | None:
    """The checkout this package runs from, None where it is installed."""
    return _CHECKOUT if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "workspace.yaml").is_file() else None


def config_path() -> Path | None:
    """The settings file in force: `IMGOPT_CONFIG`, else the first imgopt.yaml of the usual folders."""
    if named := os.environ.get("IMGOPT_CONFIG"):
        return Path(named)
    home = Path(os.environ.get("IMGOPT_HOME") or default_home())
    folders = [Path(), home, *([checkout()] if checkout() else []), user_config_path("imgopt")]
    return next((folder / CONFIG_NAME for folder in folders if folder and (folder / CONFIG_NAME).is_file()), None)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SettingsError(f"it cannot be read ({error.strerror}).", subject=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"it is no YAML ({' '.join(str(error).split())}).", subject=str(path)) from error
    if not isinstance(values, dict | None):
        raise SettingsError("it must be a mapping of settings.", subject=str(path), hint="See imgopt.example.yaml.")
    return _expanded(values or {}, path.absolute().parent)


def _expanded(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Folders relative to the file that names them."""

    def full(value: Any) -> Any:
        return folder / Path(value).expanduser() if isinstance(value, str) else value

    def files(named: Any) -> Any:
        return {name: full(value) for name, value in named.items()} if isinstance(named, dict) else named

    def links(listed: Any) -> Any:
        """Folders of wheels, but not pages."""
        if not isinstance(listed, list):
            return listed
        return [str(full(one)) if isinstance(one, str) and "://" not in one else one for one in listed]

    result = {key: full(value) if key in ("home", "archives") else value for key, value in values.items()}
    findings = result.get("findings")
    if isinstance(findings, dict):
        result["findings"] = {key: full(value) if key == "rules_folder" else value for key, value in findings.items()}
    targets = result.get("targets")
    if isinstance(targets, dict):
        result["targets"] = {
            name: {
                key: full(value) if key in ("dockerfile", "context") else files(value) if key == "secrets" else value
                for key, value in target.items()
            }
            if isinstance(target, dict)
            else target
            for name, target in targets.items()
        }
    moves = result.get("migrations")
    if isinstance(moves, dict):
        folders = ("source", "destination", "backup")
        result["migrations"] = {
            name: {key: full(value) if key in folders else value for key, value in move.items()}
            if isinstance(move, dict)
            else move
            for name, move in moves.items()
        }
    builds = result.get("builds")
    if isinstance(builds, dict):
        result["builds"] = {
            key: files(value) if key == "secrets" else links(value) if key == "find_links" else value
            for key, value in builds.items()
        }
    hosts = result.get("hosts")
    if isinstance(hosts, dict):
        result["hosts"] = {
            name: {key: full(value) if key in ("archives", "tls_folder") else value for key, value in host.items()}
            if isinstance(host, dict)
            else host
            for name, host in hosts.items()
        }
    return result


def _explanations(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] != "extra_forbidden":
            yield (
                f"{place}: {item['msg'].removeprefix('Value error, ')}"
                if place
                else item["msg"].removeprefix("Value error, ")
            )
            continue
        key = str(item["loc"][-1])
        near = difflib.get_close_matches(key, _keys_at(item["loc"][:-1]), n=1, cutoff=0.5)
        yield f"there is no setting {place!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {
        "hosts": HostSettings,
        "schedule": ScheduleSettings,
        "retention": RetentionSettings,
        "gates": GateSettings,
        "findings": FindingSettings,
        "limits": LimitSettings,
        "builds": BuildSettings,
        "targets": TargetSettings,
        "deployments": DeploymentSettings,
        "migrations": MoveSettings,
    }
    if "probes" in location or "doubles" in location:
        return list((ProbeSettings if "probes" in location else DoubleSettings).model_fields)
    model = sections[str(location[0])] if location else Settings
    return list(model.model_fields)
