"""Publishing and reading the DuckDB file.

A change is applied to a copy that then takes the file's place, so readers never block an audit and never
see half of one (a DuckDB file that is open for writing refuses everybody else). What is stored is
validated by the types, NOT NULL and CHECK of `schema.sql`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from filelock import FileLock, Timeout

from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.sql import Value, identifier, literal, with_values

_LOCK_SECONDS = 300
_READ_ONLY = 0o444
_DAMAGED = "If it is damaged, move it away: the next audit makes a new one."

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
"""Rows by table name; a row maps column names to values."""

Result = TypeVar("Result")


def publish(database: Path, change: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
    """Apply a change in one transaction and put the result in the file's place.

    Raises StorageError where the disk is full or not writable; the old file is then untouched.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(database.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            _remove_leftovers(database)
            beside = database.with_name(f".{database.name}.{secrets.token_hex(6)}.part")
            try:
                if database.exists():
                    shutil.copyfile(database, beside)
                with duckdb.connect(str(beside)) as connection:
                    _upgrade(connection)
                    connection.begin()
                    result = change(connection)
                    connection.commit()
                    connection.execute("CHECKPOINT")
                _settle(beside, database)
                return result
            finally:
                for leftover in (beside, beside.with_name(beside.name + ".wal")):
                    leftover.unlink(missing_ok=True)
    except Timeout as error:
        raise StorageError("another process keeps it locked.", subject=str(database)) from error
    except (OSError, duckdb.IOException, duckdb.FatalException, duckdb.TransactionException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise StorageError(
            f"it cannot be written ({reason}); what was there is unchanged.",
            subject=str(database),
            hint=_DAMAGED if _is_damaged(reason) else "Free some space there, or set IMGOPT_HOME to another folder.",
        ) from error


@contextlib.contextmanager
def snapshot(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the file as it is now; later publishes do not change it.

    Raises StorageError where there is none or it cannot be read.
    """
    if not database.exists():
        raise StorageError(
            "there is no audit yet.",
            subject=str(database),
            hint="Run `imgopt audit` (or `make audit`) first.",
        )
    connection = _connect(database)
    try:
        yield connection
    finally:
        connection.close()


def replace_rows(connection: duckdb.DuckDBPyConnection, tables: Tables) -> None:
    """Store rows, replacing those of the same audit (or of the same content, for tables without audits)."""
    import pyarrow as pa  # late: commands that only read start without it

    for table, rows in tables.items():
        if not rows:
            continue
        schema = connection.execute(f"FROM {identifier(table)} LIMIT 0").to_arrow_table().schema
        connection.register("incoming", pa.Table.from_pylist([dict(row) for row in rows], schema=schema))
        scope = ", ".join(_scope(schema.names))
        connection.execute(f"DELETE FROM {identifier(table)} WHERE ({scope}) IN (SELECT ({scope}) FROM incoming)")
        # Within one transaction DuckDB still holds the keys of deleted rows; the file is published whole anyway.
        connection.commit()
        connection.begin()
        connection.execute(f"INSERT INTO {identifier(table)} BY NAME SELECT * FROM incoming")
        connection.unregister("incoming")


def fetch_rows(connection: duckdb.DuckDBPyConnection, text: str, **values: Value) -> list[dict[str, Any]]:
    """Rows of a query whose `$names` take these values."""
    cursor = connection.execute(with_values(text, values))
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def sql_file(name: str) -> str:
    """The text of a .sql file of this package."""
    return resources.files(__package__).joinpath(name).read_text()


def _upgrade(connection: duckdb.DuckDBPyConnection) -> None:
    """Create what the schema has and the file lacks, once per version of the schema."""
    definition = sql_file("schema.sql") + sql_file("views.sql")
    digest = hashlib.sha256(definition.encode()).hexdigest()
    connection.execute("CREATE TABLE IF NOT EXISTS warehouse_version (digest VARCHAR NOT NULL)")
    if connection.execute("SELECT digest FROM warehouse_version").fetchall() != [(digest,)]:
        connection.execute(definition)
        connection.execute("DELETE FROM warehouse_version")
        connection.execute(f"INSERT INTO warehouse_version VALUES ({literal(digest)})")


def _settle(beside: Path, database: Path) -> None:
    """Make the copy durable and visible."""
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    # Opened for writing by a shell, the file would take a write-ahead log that fits no later file.
    beside.chmod(_READ_ONLY)
    log = database.with_name(database.name + ".wal")
    if log.exists():
        log.rename(database.with_name(f"{database.name}.wal.orphaned-{int(time.time())}"))
    os.replace(beside, database)
    folder = os.open(database.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_leftovers(database: Path) -> None:
    """Copies that a killed process left; under the lock nobody else writes one."""
    for leftover in database.parent.glob(f".{database.name}.*.part*"):
        leftover.unlink(missing_ok=True)


def _connect(database: Path) -> duckdb.DuckDBPyConnection:
    # By a name of its own, so that a stray write-ahead log of somebody's shell is not replayed into it.
    alias = database.with_name(f".{database.name}.{os.getpid()}-{secrets.token_hex(4)}.read")
    try:
        os.link(database, alias)
    except OSError:
        alias = database
    try:
        return duckdb.connect(str(alias), read_only=True)
    except duckdb.Error as error:
        locked = "set lock on" in str(error)
        raise StorageError(
            f"it cannot be read ({str(error).splitlines()[0]}).",
            subject=str(database),
            hint="Another program has it open for writing: close that, or open it read-only there."
            if locked
            else _DAMAGED,
        ) from error
    finally:
        if alias != database:
            alias.unlink(missing_ok=True)


def _is_damaged(reason: str) -> bool:
    return any(word in reason.lower() for word in ("corrupt", "checksum", "not a valid", "is a directory", "magic"))


def _scope(columns: Sequence[str]) -> list[str]:
    """The columns that say what a row replaces."""
    if "audit_id" in columns:
        return ["audit_id", "asset"] if "asset" in columns else ["audit_id"]
    return [columns[0]]
