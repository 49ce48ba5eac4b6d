"""Publishing: whole or not at all, whatever happens to the process or the disk; readers are never in the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.warehouse.store import publish, replace_rows, snapshot

HOST_FACTS = {
    "audit_id": "a1",
    "host": "local",
    "started_at": None,
    "engine_kind": "docker",
    "engine_version": "26",
    "image_store": "overlay2",
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "imgopt.duckdb"
    publish(path, lambda connection: connection.execute("CREATE TABLE numbers (n INTEGER NOT NULL)"))
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def insert(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    connection.execute(f"INSERT INTO numbers VALUES ({number})")


def numbers(path: Path) -> list[int]:
    with snapshot(path) as connection:
        return [row[0] for row in connection.execute("FROM numbers ORDER BY n").fetchall()]


def leftovers(path: Path) -> list[str]:
    return sorted(item.name for item in path.parent.iterdir() if item.name.startswith("."))


def test_a_reader_keeps_what_it_opened_and_the_next_one_sees_the_change(database: Path) -> None:
    with snapshot(database) as before:
        publish(database, lambda connection: insert(connection, 1))
        assert before.execute("FROM numbers").fetchall() == []
    assert numbers(database) == [1]
    assert leftovers(database) == []


def test_a_failing_change_leaves_the_file_untouched(database: Path) -> None:
    content = database.read_bytes()
    with pytest.raises(duckdb.ConstraintException):
        publish(database, lambda connection: connection.execute("INSERT INTO numbers VALUES (NULL)"))
    assert database.read_bytes() == content
    assert leftovers(database) == []


def test_rows_that_break_the_schema_are_refused(database: Path) -> None:
    with pytest.raises(duckdb.ConstraintException):
        publish(database, lambda connection: replace_rows(connection, {"host_facts": [HOST_FACTS]}))


def _publish_many(path: Path, first: int) -> None:
    for number in range(first, first + 15):
        publish(path, lambda connection, number=number: insert(connection, number))  # type: ignore[misc]


def test_two_processes_lose_nothing(database: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_publish_many, args=(database, first)) for first in (0, 100)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert numbers(database) == [*range(15), *range(100, 115)]


def test_killed_in_the_middle(database: Path) -> None:
    program = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from imgopt_pipeline.warehouse.store import publish
        def change(connection):
            connection.execute("INSERT INTO numbers FROM range(200000)")
            print("changed", flush=True)
            time.sleep(60)
        publish(Path({str(database)!r}), change)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "changed\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert leftovers(database) != []
    assert numbers(database) == []
    publish(database, lambda connection: insert(connection, 7))
    assert numbers(database) == [7]
    assert leftovers(database) == []


def test_killed_at_random_moments(database: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom tests.warehouse.test_store import insert, publish\n"
        "print('ready', flush=True)\n"
        "for n in range(10**6): publish(Path(sys.argv[1]), lambda c, n=n: insert(c, n))\n"
    )
    for delay in (0.02, 0.05, 0.08, 0.11):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(database)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
        found = numbers(database)
        assert found == sorted(found)
    publish(database, lambda connection: insert(connection, -1))
    assert numbers(database)[0] == -1
    assert leftovers(database) == []


def test_a_full_disk_says_so_and_changes_nothing(small_disk: Path) -> None:
    database = small_disk / "imgopt.duckdb"
    publish(database, lambda connection: connection.execute("CREATE TABLE numbers (n INTEGER)"))
    content = database.read_bytes()
    blob = "CREATE TABLE blob AS SELECT md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS text FROM range(400000) t(i)"
    with pytest.raises(StorageError) as raised:
        publish(database, lambda connection: connection.execute(blob))
    assert "imgopt.duckdb" in str(raised.value)
    assert "unchanged" in str(raised.value)
    assert database.read_bytes() == content
    assert leftovers(database) == []
    assert numbers(database) == []


def test_a_disk_without_room_for_the_copy(small_disk: Path) -> None:
    database = small_disk / "imgopt.duckdb"
    publish(database, lambda connection: connection.execute("CREATE TABLE numbers (n INTEGER)"))
    (small_disk / "filler").write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
    with pytest.raises(StorageError, match="No space left"):
        publish(database, lambda connection: insert(connection, 1))
    assert numbers(database) == []
    assert leftovers(database) == []


def test_an_analysts_shell_stays_open_all_the_time(database: Path) -> None:
    program = (
        "import duckdb, sys\nc = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print(c.execute('FROM numbers').fetchall(), flush=True)\nsys.stdin.readline()\n"
        "print(c.execute('FROM numbers').fetchall(), flush=True)\n"
    )
    shell = subprocess.Popen(
        [sys.executable, "-c", program, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert shell.stdout is not None
    assert shell.stdout.readline() == "[]\n"
    for number in range(3):
        publish(database, lambda connection, number=number: insert(connection, number))  # type: ignore[misc]
    said, _ = shell.communicate("\n")
    assert said == "[]\n"
    assert numbers(database) == [0, 1, 2]


def test_a_shell_that_writes_does_not_reach_readers_or_the_next_audit(database: Path) -> None:
    database.chmod(0o644)
    with duckdb.connect(str(database)) as shell:
        shell.execute("PRAGMA disable_checkpoint_on_shutdown")
        shell.execute("INSERT INTO numbers VALUES (666)")
        assert database.with_name(database.name + ".wal").exists()
        assert numbers(database) == []
        publish(database, lambda connection: insert(connection, 1))
    assert numbers(database) == [1]
    with duckdb.connect(str(database), read_only=True) as plain:
        assert plain.execute("FROM numbers").fetchall() == [(1,)]
    kept = [item.name for item in database.parent.iterdir() if ".wal.orphaned-" in item.name]
    assert len(kept) == 1


def test_opens_while_publishing_never_fail(database: Path) -> None:
    context = multiprocessing.get_context("spawn")
    publisher = context.Process(target=_publish_many, args=(database, 0))
    publisher.start()
    opened = 0
    while publisher.is_alive() or opened < 100:
        numbers(database)
        opened += 1
    publisher.join()
    assert publisher.exitcode == 0
    assert numbers(database) == list(range(15))


def test_without_a_file_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="imgopt audit"), snapshot(tmp_path / "imgopt.duckdb"):
        pass


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "imgopt.duckdb"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StorageError, match=r"imgopt\.duckdb"), snapshot(path):
        pass
