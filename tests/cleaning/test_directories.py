"""Which directories can be made again, and who uses an application."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imgopt_pipeline.cleaning.directories import (
    audited_directories,
    find_directories,
    named_directories,
    rebuildable_in,
)
from imgopt_pipeline.cleaning.in_use import Users
from imgopt_pipeline.services.models import Refused
from imgopt_pipeline.settings import Settings
from tests.cleaning.made import application, audited, compose, inspected, policy, standing_of

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees all processes")


def reasons(folder: Path, *mounted: Path) -> dict[str, str | None]:
    found = rebuildable_in(str(folder), frozenset(map(str, mounted)))
    return {os.path.relpath(one.path, folder): one.reason for one in found}


@contextmanager
def process(folder: Path, *command: str) -> Iterator[int]:
    started = subprocess.Popen(command or ("sleep", "60"), cwd=folder)
    try:
        yield started.pid
    finally:
        started.kill()
        started.wait()


def test_beside_what_makes_them(tmp_path: Path) -> None:
    application(tmp_path / "shop")
    application(tmp_path / "unlocked", lock=None)
    application(tmp_path / "bare", manifest=None)
    application(tmp_path / "unbuilt", manifest='{"scripts": {"start": "node ."}}')
    application(tmp_path / "broken", manifest="{")
    application(tmp_path / "shop" / "node_modules" / "inner")
    no_build = "package.json beside it has no script `build` that makes it"
    assert reasons(tmp_path) == {
        "shop/node_modules": None,
        "shop/.next": None,
        "unlocked/node_modules": "no lock file lies beside it that says what was installed",
        "unlocked/.next": "no lock file lies beside it that says what was installed",
        "bare/node_modules": "no package.json lies beside it, to make it from",
        "bare/.next": "no package.json lies beside it, to make it from",
        "unbuilt/node_modules": None,
        "unbuilt/.next": no_build,
        "broken/node_modules": None,
        "broken/.next": no_build,
    }
    assert reasons(tmp_path / "shop" / "node_modules") == {".": None}
    assert reasons(tmp_path / "nowhere") == {}


def test_links_files_and_mounts_are_left(tmp_path: Path) -> None:
    real = application(tmp_path / "real")
    for name in ("linked", "filed"):
        application(tmp_path / name)
        subprocess.run(["rm", "-rf", tmp_path / name / "node_modules", tmp_path / name / ".next"], check=True)
    (tmp_path / "linked" / "node_modules").symlink_to(real / "node_modules")
    (tmp_path / "filed" / "node_modules").touch()
    (tmp_path / "behind").symlink_to(real)
    found = reasons(tmp_path, real / "node_modules" / "left-pad")
    assert found == {
        "linked/node_modules": "it is a symbolic link",
        "filed/node_modules": "it is no directory",
        "real/node_modules": "something is mounted in it",
        "real/.next": None,
    }
    assert reasons(tmp_path / "behind") == {}


@ROOT
def test_who_uses_an_application(tmp_path: Path) -> None:
    shop = application(tmp_path / "shop")
    modules = str(shop / "node_modules")

    def why(*containers: dict[str, object]) -> str | None:
        return Users(standing_of(*containers)).why_in_use(modules)

    def mounting(source: str, *, state: str = "running", writable: bool = True) -> dict[str, object]:
        return inspected("web", state, Mounts=[{"Type": "bind", "Source": source, "RW": writable}])

    assert why() is None
    assert why(mounting(modules)) == "container web runs and mounts it"
    assert why(mounting(str(shop))) == "container web runs and mounts it"
    assert why(mounting(str(shop / "node_modules" / "left-pad"))) == "container web runs and mounts it"
    assert why(mounting(str(shop) + "-else")) is None
    assert why(mounting(modules, state="exited")) is None
    assert why(mounting("/", writable=False)) is None
    assert why(mounting("/")) is not None
    (tmp_path / "link").symlink_to(shop)
    assert why(mounting(str(tmp_path / "link"))) is not None
    waiting = mounting(modules, state="exited") | {"HostConfig": policy("always")}
    assert why(waiting) == "container web, which may be started again, mounts it"

    beside = inspected("api", "running", Config=compose("shop", str(shop)))
    above = inspected("api", "running", Config=compose("all", str(tmp_path)))
    assert why(beside) == "compose project shop beside it runs (api)"
    assert why(above) == "compose project all beside it runs (api)"
    assert why(inspected("api", Config=compose("shop", str(shop)))) is None

    with process(shop / ".next") as pid:
        assert why() == f"process {pid} sleep works in it or has a file of it open"
    with process(Path("/"), "sh", "-c", "sleep 60; true", f"--file={shop}/server.js", str(shop / "server.js")) as pid:
        assert why() == f"process {pid} was started with a path in it"
    with process(tmp_path, "sh", "-c", "sleep 60; true", "shop/server.js") as pid:
        assert why() == f"process {pid} was started with a path in it"
    assert why() is None


@ROOT
def test_only_what_an_audit_found(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    shop, other = application(tmp_path / "shop"), application(tmp_path / "other")
    assert audited_directories(settings, "local") is None
    users = Users(standing_of())
    assert "imgopt audit" in find_directories(None, users).left[0].reason
    audited(settings.paths.database, shop)
    assert audited_directories(settings, "elsewhere") is None
    listed = audited_directories(settings, "local")
    assert listed == [str(shop)]
    assert "another machine" in find_directories(listed, None).left[0].reason
    found = find_directories(listed, users)
    assert {item.subject for item in found.items} == {str(shop / "node_modules"), str(shop / ".next")}
    assert found.items[1].size_bytes is not None
    (modules,) = named_directories(found, str(shop / "node_modules"))
    assert modules.subject == str(shop / "node_modules")
    assert len(named_directories(found, str(shop))) == 2
    for name in (other, other / "node_modules", shop / "package.json", shop / "node_modules" / "left-pad"):
        with pytest.raises(Refused, match="the last audit found nothing there"):
            named_directories(found, str(name))
