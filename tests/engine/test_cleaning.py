"""`imgopt clean` on a real engine: what goes, what stays, what comes back, and every place where it can be killed."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from imgopt_pipeline.cleaning.carrying_out import clean, cleaning_journal, resume, undo
from imgopt_pipeline.cleaning.fates import fates_of
from imgopt_pipeline.cleaning.finding import engine_of, plan_cleaning
from imgopt_pipeline.cleaning.keeping import housekeeping_of
from imgopt_pipeline.cleaning.models import DIRECTORY, LEFT, MOVED, PUT_BACK, REMOVED, Plan, Selection
from imgopt_pipeline.cleaning.rows import publish_cleanings
from imgopt_pipeline.cli.cleaning import register
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.hosts.opening import open_host
from imgopt_pipeline.journal.clock import Moment, now
from imgopt_pipeline.journal.journal import Journal
from imgopt_pipeline.journal.outcomes import OUTCOME
from imgopt_pipeline.services.models import Refused, SubjectNotFound
from imgopt_pipeline.settings import HostSettings, Settings
from tests.cleaning.made import application, audited

from .conftest import ROOT
from .daemons import Daemon, private_daemon
from .program import rows

IMAGE = "cleaning/base:1"
NOW_ON = Selection(older_than_days=0)
DAY = 86_400
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """One of its own: cleaning takes whatever is left over."""
    with private_daemon("classic", ROOT) as started:
        started.import_busybox(IMAGE)
        yield started


@pytest.fixture
def settings(daemon: Daemon, tmp_path: Path) -> Iterator[Settings]:
    yield Settings(home=tmp_path / "home", hosts={"local": HostSettings(engine=daemon.url)})
    if left := daemon.docker("ps", "--all", "--quiet").split():
        daemon.docker("rm", "--force", *left)
    daemon.docker("image", "prune", "--force")
    daemon.docker("volume", "prune", "--all", "--force")


def stopped(daemon: Daemon, name: str, *options: str) -> str:
    """A container that ended at once; its ID."""
    daemon.docker("run", "--network=none", "--name", name, *options, IMAGE, "true")
    return daemon.docker("inspect", "--format", "{{.Id}}", name)


def dangling(daemon: Daemon) -> str:
    """An image without a tag."""
    tar = subprocess.run(["tar", "-c", "/etc/hostname"], capture_output=True, check=True).stdout
    return daemon.docker("import", "--message", os.urandom(4).hex(), "-", stdin=tar)


def plan_of(settings: Settings, selection: Selection = NOW_ON) -> Plan:
    with open_host(settings, "local") as host:
        return plan_cleaning(settings, host, selection)


def cleaned(settings: Settings, selection: Selection = NOW_ON, plan: Plan | None = None) -> Journal:
    with open_host(settings, "local") as host:
        plan = plan or plan_cleaning(settings, host, selection)
        return clean(settings, engine_of(host), plan)


def outcomes(journal: Journal) -> dict[str, str]:
    return {fate.item.subject: fate.outcome for fate in fates_of(journal)}


def reasons(plan: Plan) -> dict[str, str]:
    return {left.subject: left.reason for left in plan.found.left}


def why_left(settings: Settings) -> str:
    """Of the directories."""
    return " ".join(left.reason for left in plan_of(settings).found.left if left.kind == DIRECTORY)


@contextmanager
def working_in(folder: Path, *command: str) -> Iterator[int]:
    process = subprocess.Popen(command or ["sleep", "60"], cwd=folder)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_only_what_is_left_over_goes(daemon: Daemon, settings: Settings) -> None:
    stopped(daemon, "plain")
    daemon.docker("create", "--network=none", "--name", "restarting", "--restart=unless-stopped", IMAGE, "true")
    stopped(daemon, "shop-web.imgopt-deploy-1")
    stopped(daemon, "swarm", "--label", "com.docker.swarm.service.id=x")
    stopped(daemon, "mounting", "--volume", "cleaning_data:/data")
    daemon.docker("run", "--network=none", "--name", "written", IMAGE, "sh", "-c", "echo x > /precious")
    daemon.docker("create", "--network=none", "--name", "made", IMAGE, "true")
    daemon.docker("run", "--detach", "--network=none", "--name", "up", IMAGE, "sleep", "60")
    image_id = dangling(daemon)

    plan = plan_of(settings)
    items = {item.subject for item in plan.found.items}
    assert items == {"plain", "made", "mounting", image_id.removeprefix("sha256:")[:12]}
    told = reasons(plan)
    assert "restart policy unless-stopped" in told["restarting"]
    assert told["swarm"] == "Docker Swarm manages it"
    assert "/precious" in told["written"]
    assert "name it to remove it" in told["written"]
    young = reasons(plan_of(settings, Selection()))
    assert "less than 7 days ago" in young["plain"]
    assert "build that is under way" in young[image_id.removeprefix("sha256:")[:12]]

    journal = cleaned(settings)
    assert set(outcomes(journal).values()) == {REMOVED}
    names = set(daemon.docker("ps", "--all", "--format", "{{.Names}}").split())
    assert names == {"restarting", "shop-web.imgopt-deploy-1", "swarm", "written", "up"}
    assert daemon.docker("volume", "ls", "--quiet") == "cleaning_data"
    assert daemon.docker("images", "--quiet", "--filter", "dangling=true") == ""

    assert outcomes(cleaned(settings, Selection(containers=("written",)))) == {"written": REMOVED}
    with pytest.raises(Refused, match="restart policy"):
        plan_of(settings, Selection(containers=("restarting",)))


def test_a_composed_project_that_runs_keeps_its_stopped_services(
    daemon: Daemon, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "shop" / "compose.yaml"
    file.parent.mkdir()
    services = {
        "web": {"image": IMAGE, "command": "sleep 60", "network_mode": "none"},
        "job": {"image": IMAGE, "command": "true", "network_mode": "none"},
    }
    file.write_text(json.dumps({"services": services}))
    compose = ("compose", "--file", str(file))
    daemon.docker(*compose, "up", "--detach")
    daemon.docker("wait", "shop-job-1")
    assert reasons(plan_of(settings))["shop-job-1"] == ("its compose project shop runs, which may start it again")
    daemon.docker(*compose, "kill")
    assert {item.subject for item in plan_of(settings).found.items} == {"shop-job-1", "shop-web-1"}


def test_what_changed_since_the_plan_is_left(daemon: Daemon, settings: Settings) -> None:
    stopped(daemon, "started")
    daemon.docker("create", "--network=none", "--name", "wakes", IMAGE, "sleep", "60")
    stopped(daemon, "gone")
    image_id = dangling(daemon)
    stopped(daemon, "goes")
    plan = plan_of(settings)
    daemon.docker("start", "wakes")
    daemon.docker("rm", "gone")
    daemon.docker("tag", image_id, "cleaning/tagged:1")
    journal = cleaned(settings, plan=plan)
    fates = {fate.item.subject: (fate.outcome, fate.detail) for fate in fates_of(journal)}
    assert fates["wakes"] == (LEFT, "it is running")
    assert fates["gone"] == (LEFT, "it went meanwhile")
    assert fates[image_id.removeprefix("sha256:")[:12]] == (LEFT, "it has a tag")
    assert fates["goes"][0] == fates["started"][0] == REMOVED
    daemon.docker("rmi", "cleaning/tagged:1")


def test_volumes_go_by_name_alone_and_never_while_mounted(daemon: Daemon, settings: Settings) -> None:
    for name in ("cleaning_used", "cleaning_unused"):
        daemon.docker("volume", "create", name)
    daemon.docker(
        "run",
        "--network=none",
        "--volume=cleaning_unused:/d",
        "--rm",
        IMAGE,
        "dd",
        "if=/dev/zero",
        "of=/d/x",
        "bs=1M",
        "count=3",
    )
    stopped(daemon, "user", "--volume=cleaning_used:/data", "--restart=always")
    plan = plan_of(settings)
    assert not [item for item in plan.found.items if item.kind == "volume"]
    assert "name it to remove it" in reasons(plan)["cleaning_unused"]
    with pytest.raises(Refused, match="container user mounts it"):
        plan_of(settings, Selection(volumes=("cleaning_used",)))
    for name in ("nowhere", "../containers/user", "-x", "a\nb"):
        with pytest.raises(SubjectNotFound):
            plan_of(settings, Selection(volumes=(name,)))
    (fate,) = fates_of(cleaned(settings, Selection(volumes=("cleaning_unused",))))
    assert (fate.outcome, fate.item.size_bytes) == (REMOVED, 3 << 20)
    assert fate.freed_bytes is not None
    assert "cleaning_unused" not in daemon.docker("volume", "ls", "--quiet")


def test_old_build_cache_goes_down_to_what_is_kept(daemon: Daemon, settings: Settings) -> None:
    daemon.build(f"FROM {IMAGE}\nRUN dd if=/dev/zero of=/big bs=1M count=64\n", {}, "cleaning/built:1")
    daemon.docker("rmi", "cleaning/built:1")
    only = replace(NOW_ON, kinds=frozenset({"build cache"}))
    assert "builds.cache_bytes keeps 10 GB" in plan_of(settings, only).found.left[0].reason
    none_kept = settings.model_copy(update={"builds": settings.builds.model_copy(update={"cache_bytes": 0})})
    assert "used in the last 7 days" in plan_of(none_kept, replace(only, older_than_days=7)).found.left[0].reason
    (fate,) = fates_of(cleaned(none_kept, only))
    assert fate.outcome == REMOVED
    assert fate.freed_bytes is not None
    assert fate.freed_bytes >= 32 << 20  # others write to that disk as well
    assert not plan_of(none_kept, only).found.items


@pytest.fixture
def shop(settings: Settings, tmp_path: Path) -> Path:
    folder = application(tmp_path / "srv" / "sh\nop \udcff")
    audited(settings.paths.database, folder)
    return folder


def test_directories_are_moved_aside_and_back(settings: Settings, shop: Path) -> None:
    before = (shop / "node_modules").stat().st_ino
    journal = cleaned(settings)
    assert set(outcomes(journal).values()) == {MOVED}
    aside = shop / f"node_modules.imgopt-{journal.action_id}"
    assert aside.stat().st_ino == before
    assert not (shop / "node_modules").exists()
    publish_cleanings(settings)
    (row,) = rows(settings.home, "FROM cleanings")
    assert (row["freed_bytes"], row["moved_aside"], row["outcome"]) == (0, 2, "finished")
    assert row["pending_bytes"] > 300_000

    # Installed again meanwhile: neither is touched.
    (shop / ".next").mkdir()
    assert len(undo(journal, settings)) == 1
    assert (shop / "node_modules").stat().st_ino == before
    again = cleaning_journal(settings, journal.action_id)
    assert sorted(outcomes(again).values()) == [MOVED, PUT_BACK]
    (shop / ".next").rmdir()
    assert undo(again, settings) == []
    assert (shop / ".next" / "BUILD_ID").exists()
    with pytest.raises(Refused, match="nothing of this cleaning lies aside"):
        undo(again, settings)


def test_directories_of_what_runs_are_left(daemon: Daemon, settings: Settings, shop: Path, tmp_path: Path) -> None:
    audited(settings.paths.database, shop, application(tmp_path / "srv" / "mounted"))
    with working_in(shop / "node_modules") as pid:
        assert f"process {pid} sleep works in it" in why_left(settings)
        with pytest.raises(Refused, match="works in it"):
            plan_of(settings, Selection(directories=(str(shop / "node_modules"),)))
    with working_in(Path("/"), "sh", "-c", "sleep 60; true", str(shop / "server.js")) as pid:
        assert f"process {pid} was started with a path in it" in why_left(settings)
    plan = plan_of(settings)
    assert len(plan.found.items) == 4
    # Whoever comes after the plan counts as well.
    mount = f"type=bind,source={tmp_path / 'srv' / 'mounted'},target=/app,readonly"
    daemon.docker("run", "--detach", "--network=none", "--name", "app", "--mount", mount, IMAGE, "sleep", "60")
    with working_in(shop):
        journal = cleaned(settings, plan=plan)
    details = [fate.detail for fate in fates_of(journal)]
    assert [fate.outcome for fate in fates_of(journal)] == [LEFT] * 4
    assert sum("container app runs and mounts it" in detail for detail in details) == 2
    for name in ("/nowhere", str(settings.home), str(shop / "package.json")):
        with pytest.raises(Refused, match="the last audit found nothing there"):
            plan_of(settings, Selection(directories=(name,)))


def test_what_lies_aside_goes_after_its_retention_and_not_before(settings: Settings, shop: Path) -> None:
    start = now()
    journal = cleaned(settings)
    aside = shop / f"node_modules.imgopt-{journal.action_id}"

    def after(days: float, *, wall_days: float | None = None, boot: str = start.boot_id) -> Any:
        wall = start.wall_seconds + (days if wall_days is None else wall_days) * DAY
        at = Moment(wall, boot, (start.boot_seconds if boot == start.boot_id else 0) + days * DAY)
        return housekeeping_of(settings, clock=lambda: at)

    assert after(0.1, wall_days=400).removed == 0
    assert after(6.9).kept == 2
    assert aside.is_dir()
    with working_in(aside):
        result = after(7.1)
        assert (result.removed, result.kept) == (1, 1)
        assert "works in it" in result.problems[0]
    result = after(7.2)
    assert (result.removed, result.kept, result.problems) == (1, 0, ())
    assert sorted(path.name for path in shop.iterdir()) == ["package-lock.json", "package.json", "server.js"]
    assert after(8).removed == 0
    publish_cleanings(settings, result.changed)
    (row,) = rows(settings.home, "FROM cleanings")
    assert (row["pending_bytes"], row["removed"]) == (0, 2)
    with pytest.raises(Refused):
        undo(journal, settings)


def test_a_mount_inside_what_lies_aside_is_never_entered(settings: Settings, shop: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    journal = cleaned(settings)
    aside = shop / f"node_modules.imgopt-{journal.action_id}"
    (aside / "link").symlink_to(precious)
    subprocess.run(["mount", "--bind", precious, aside / "left-pad"], check=True)
    late = now()
    try:
        due = Moment(late.wall_seconds, late.boot_id, late.boot_seconds + 8 * DAY)
        assert "something is mounted in it" in str(housekeeping_of(settings, clock=lambda: due).problems)
    finally:
        subprocess.run(["umount", aside / "left-pad"], check=True)
    assert housekeeping_of(settings, clock=lambda: due).removed == 1
    assert (precious / "file").read_text() == "x"


def kill_at(run: Callable[[], Any], entry: int, *, before: bool) -> int | None:
    """Run in a process that kills itself before or after an entry of that number; its exit code."""

    def killed() -> None:
        usual = Journal.append

        def append(journal: Journal, *arguments: Any, **facts: Any) -> Any:
            at = len(journal.entries) + 1 == entry
            if at and before:
                os.kill(os.getpid(), signal.SIGKILL)
            written = usual(journal, *arguments, **facts)
            if at:
                os.kill(os.getpid(), signal.SIGKILL)
            return written

        Journal.append = append  # type: ignore[method-assign, assignment]
        run()

    process = FORK.Process(target=killed)
    process.start()
    process.join()
    return process.exitcode


def test_killed_at_every_entry(daemon: Daemon, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "srv" / "app"
    audited(settings.paths.database, folder)
    entries = 0
    for entry in range(1, 20):
        for before in (True, False):
            for path in list(folder.glob("*")) + list(folder.glob(".next*")):
                subprocess.run(["rm", "-rf", "--", path], check=True)
            application(folder)
            (folder / ".next" / "BUILD_ID").unlink()
            (folder / ".next").rmdir()
            daemon.docker("rm", "--force", "left")
            daemon.docker("create", "--network=none", "--name", "left", IMAGE)
            daemon.docker("image", "prune", "--force")
            image_id = dangling(daemon)
            plan = plan_of(settings)
            assert len(plan.found.items) == 3
            known = set(settings.paths.actions.glob("*"))
            if kill_at(partial(cleaned, settings, plan=plan), entry, before=before) != -signal.SIGKILL:
                entries = entry - 1
                break
            made = set(settings.paths.actions.glob("*")) - known
            found = [journal for journal in map(Journal, made) if journal.entries]
            there = {
                "left": "left" in daemon.docker("ps", "--all", "--format", "{{.Names}}").split(),
                image_id.removeprefix("sha256:")[:12]: image_id
                in daemon.docker("images", "--quiet", "--no-trunc").split(),
                str(folder / "node_modules"): (folder / "node_modules" / "left-pad" / "index.js").exists(),
            }
            if not found:
                assert all(there.values())
                continue
            resume(found[0], settings)
            journal = Journal(found[0].folder)
            assert journal.last(OUTCOME) is not None
            assert {subject: outcome == LEFT for subject, outcome in outcomes(journal).items()} == there
            if not there[str(folder / "node_modules")]:
                assert undo(journal, settings) == []
                assert (folder / "node_modules" / "left-pad" / "index.js").stat().st_size == 300_000
        if entries:
            break
    assert entries == 8


def test_killed_while_it_is_taken_back_or_removed(settings: Settings, tmp_path: Path) -> None:
    late = now()
    due = Moment(late.wall_seconds, late.boot_id, late.boot_seconds + 8 * DAY)
    audited(settings.paths.database, tmp_path / "srv")
    killed = 0
    for name in ("undo", "remove"):
        for entry, before in itertools.product(range(5, 8), (True, False)):
            folder = application(tmp_path / "srv" / f"{name}-{entry}-{before}")
            journal = cleaned(settings, Selection(directories=(str(folder / "node_modules"),)))
            assert len(journal.entries) == 4
            back, keep = partial(undo, journal, settings), partial(housekeeping_of, settings, clock=lambda: due)
            again: Callable[[], object] = back if name == "undo" else keep
            killed += kill_at(again, entry, before=before) == -signal.SIGKILL
            if name == "undo" and outcomes(Journal(journal.folder))[str(folder / "node_modules")] == MOVED:
                undo(journal, settings)
            if name == "remove":
                again()
            there = {path.name for path in folder.iterdir()} - {
                ".next",
                "package.json",
                "package-lock.json",
                "server.js",
            }
            assert there == ({"node_modules"} if name == "undo" else set())
            (fate,) = fates_of(Journal(journal.folder))
            assert fate.outcome == (PUT_BACK if name == "undo" else REMOVED)
    assert killed == 2 * 2 + 3 * 2


def test_a_full_disk_changes_nothing(daemon: Daemon, settings: Settings, shop: Path) -> None:
    stopped(daemon, "stays")
    plan = plan_of(settings)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "full", settings.home], check=True)
    try:
        with pytest.raises(StorageError):
            cleaned(settings, plan=plan)
    finally:
        subprocess.run(["umount", settings.home], check=True)
    assert "stays" in daemon.docker("ps", "--all", "--format", "{{.Names}}")
    assert (shop / "node_modules").is_dir()


def test_the_command(daemon: Daemon, settings: Settings, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    register(app)
    monkeypatch.setattr("imgopt_pipeline.cli.cleaning.load_settings", lambda: settings)
    stopped(daemon, "old")
    run = CliRunner()

    shown = run.invoke(app, ["--dry-run", "--older-than", "0"])
    assert shown.exit_code == 0, shown.output
    assert "Removed for good, about 0 B: this cannot be taken back." in shown.output
    planned = json.loads(run.invoke(app, ["--dry-run", "--json"]).output)
    folder = str(shop).replace("\n", "\\x0a").replace("\udcff", "\\xff")
    assert {item["subject"] for item in planned["items"]} == {f"{folder}/node_modules", f"{folder}/.next"}
    assert "old" in daemon.docker("ps", "--all", "--format", "{{.Names}}")

    done = run.invoke(app, ["--yes", "--json", "--older-than", "0", "--host", "local"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.output)
    assert [item["outcome"] for item in result["cleaned_items"]] == [REMOVED, MOVED, MOVED]
    cleaning_id = result["cleanings"][0]["cleaning_id"]
    back = run.invoke(app, ["--undo", cleaning_id])
    assert back.exit_code == 0, back.output
    assert (shop / "node_modules").is_dir()
    assert rows(settings.home, "SELECT outcome, count(*) AS n FROM cleaned_items GROUP BY ALL ORDER BY 1") == [
        {"outcome": PUT_BACK, "n": 2},
        {"outcome": REMOVED, "n": 1},
    ]
