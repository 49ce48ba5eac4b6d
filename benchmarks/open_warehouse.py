"""Figure: readers that open the warehouse while somebody publishes every 200 ms.

Run as a module it is one of the processes: `publish DATABASE SECONDS` or `read DATABASE OPENS`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.measuring import run
from benchmarks.report import Figure

OPENS = 1_000
_READERS = 4
_INTERVAL_SECONDS = 0.2
_PAUSE_SECONDS = 0.04
_LONGEST_SECONDS = 300


def measure(ground: Ground) -> list[Figure]:
    """The warehouse is a real one, of the small fleet; half of the opens are imgopt's, half an analyst's."""
    home = ground.home / "state-readers"
    run(ground.imgopt("audit", "--json", engine=ground.fleet, home=home))
    database = home / "imgopt.duckdb"
    publisher = _start("publish", database, _LONGEST_SECONDS)
    readers = [_start("read", database, OPENS // _READERS) for _ in range(_READERS)]
    told = [json.loads(reader.communicate()[0]) for reader in readers]
    publisher.terminate()
    publishes = int(publisher.communicate()[0])
    failures = [failure for answer in told for failure in answer["failures"]]
    seen = {value for answer in told for value in answer["seen"]}
    return [
        Figure(
            "opens by readers while an audit publishes every 200 ms",
            f"0 of {OPENS:,} fail",
            f"{len(failures)} of {OPENS:,} fail",
            not failures and len(seen) > 1,
            f"{_READERS} processes, {publishes} publishes meanwhile, {len(seen)} of them seen, none by half"
            + (f"; the first failure: {failures[0]}." if failures else "."),
        )
    ]


def _start(role: str, database: Path, number: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "benchmarks.open_warehouse", role, str(database), str(number)]
    return subprocess.Popen(words, stdout=subprocess.PIPE)


def _publish(database: Path, seconds: float) -> None:
    """Store the images again and count, every 200 ms until the end of the time or a signal."""
    import signal

    import duckdb

    from imgopt_pipeline.warehouse.store import publish

    count = 0
    stopped = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True

    def change(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE OR REPLACE TABLE first_half AS SELECT ? AS count", [count])
        connection.execute("UPDATE image_inventory SET host = host")
        connection.execute("CREATE OR REPLACE TABLE second_half AS SELECT ? AS count", [count])

    signal.signal(signal.SIGTERM, stop)
    end = time.monotonic() + seconds
    while not stopped and time.monotonic() < end:
        due = time.monotonic() + _INTERVAL_SECONDS
        count += 1
        publish(database, change)
        time.sleep(max(0.0, due - time.monotonic()))
    print(count)


def _read(database: Path, opens: int) -> None:
    import duckdb

    from imgopt_pipeline.warehouse.store import snapshot

    query = "SELECT (SELECT count FROM first_half), (SELECT count FROM second_half), count(*) FROM image_inventory"
    failures: list[str] = []
    seen: set[int] = set()
    _wait_for_first(database)
    for number in range(opens):
        try:
            if number % 2:
                with snapshot(database) as connection:
                    row = connection.execute(query).fetchone()
            else:
                with duckdb.connect(str(database), read_only=True) as connection:
                    row = connection.execute(query).fetchone()
            if row is None or row[0] != row[1] or not row[2]:
                failures.append(f"saw half of a publish: {row}")
            else:
                seen.add(row[0])
        except Exception as error:  # noqa: BLE001  (whatever it is, it is a failed open)
            failures.append(f"{type(error).__name__}: {error}")
        time.sleep(_PAUSE_SECONDS)
    print(json.dumps({"failures": failures, "seen": sorted(seen)}))


def _wait_for_first(database: Path) -> None:
    """Until the first publish is there; before it the tables of the query are not."""
    import duckdb

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with duckdb.connect(str(database), read_only=True) as connection:
            if connection.execute("FROM duckdb_tables() WHERE table_name = 'second_half'").fetchone():
                return
        time.sleep(_INTERVAL_SECONDS)


if __name__ == "__main__":
    role, path, number = sys.argv[1:]
    if role == "publish":
        _publish(Path(path), float(number))
    else:
        _read(Path(path), int(number))
