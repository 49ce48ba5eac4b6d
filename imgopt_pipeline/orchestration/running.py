"""Runs a job of this code location in this process, in the instance that the UI shows.

The one place that touches dagster's private modules: the public `execute_job` cannot say to which code
location a run belongs, and without that the UI cannot run it again.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from alembic.util import CommandError
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from filelock import FileLock, Timeout
from sqlalchemy.exc import SQLAlchemyError

from imgopt_pipeline.errors import ImgoptError, Interrupted, StorageError
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.orchestration.assets import (
    DATA_MIGRATIONS,
    DIRECTORIES,
    PARTITION_TAG,
    PREFIX,
    TARGETS,
    VERIFIED_DEPLOYMENTS,
)
from imgopt_pipeline.orchestration.assets.builds import OPTIMIZED_BUILDS
from imgopt_pipeline.orchestration.build import (
    reconstruct_audit_job,
    reconstruct_deploy_job,
    reconstruct_migrate_data_job,
    reconstruct_optimize_job,
    reconstruct_rollback_job,
)
from imgopt_pipeline.orchestration.housekeeping import CleanUp, clean_up
from imgopt_pipeline.orchestration.instance import prepare_instance
from imgopt_pipeline.orchestration.settling import settle_host
from imgopt_pipeline.settings import Settings

CODE_LOCATION = "imgopt"
"""`location_name` in workspace.yaml."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_LOCK_SECONDS = 120
_INTERRUPTS = (Interrupted, KeyboardInterrupt, dg.DagsterExecutionInterruptedError)


def run_audit(settings: Settings, host: str) -> str:
    """Run the audit of a host; the run's ID.

    Raises the error that stopped it, Interrupted after Ctrl-C.
    """
    with _instance(settings) as instance:
        return _run(instance, reconstruct_audit_job, {PARTITION_TAG: host})


def run_optimize(settings: Settings, target: str, config: Mapping[str, Any]) -> str:
    """Optimize a target with the configuration of `optimized_builds`; the run's ID, which is the build's.

    A candidate that fails its checks is a result and no error. Raises the error that stopped it, Interrupted.
    """
    return _run_target(settings, reconstruct_optimize_job, OPTIMIZED_BUILDS, target, config)


def run_deploy(settings: Settings, target: str, config: Mapping[str, Any]) -> str:
    """Deploy by the configuration of `verified_deployments`; the run's ID, which is the deployment's.

    One that was rolled back is a result and no error. Raises the error that stopped it, Interrupted.
    """
    return _run_target(settings, reconstruct_deploy_job, VERIFIED_DEPLOYMENTS, target, config)


def run_rollback(settings: Settings, target: str, subject: str, *, discard_changes: bool = False) -> str:
    """Take the deployment back that `subject` means; the run's ID. Raises the error that stopped it, Interrupted."""
    config = {"subject": subject, "discard_changes": discard_changes}
    return _run_target(settings, reconstruct_rollback_job, VERIFIED_DEPLOYMENTS, target, config)


def run_migration(settings: Settings, directory: str, config: Mapping[str, Any]) -> str:
    """Move the data of a directory, or put it back, by the configuration of `data_migrations`; the run's ID.

    One that was rolled back is a result and no error. Raises the error that stopped it, Interrupted.
    """
    return _run_target(
        settings, reconstruct_migrate_data_job, DATA_MIGRATIONS, directory, config, partitions=DIRECTORIES
    )


def run_resume(settings: Settings, host: str) -> list[str]:
    """Settle what was cut off on a host; what came of it, in sentences. Raises as `settle_host` does."""
    with _instance(settings) as instance:
        return settle_host(instance, settings, host)


def run_housekeeping(settings: Settings) -> CleanUp:
    """Remove what is too old. Raises StorageError."""
    with _instance(settings) as instance:
        return clean_up(settings, instance)


def _run_target(
    settings: Settings,
    job_function: Callable[[], dg.JobDefinition],
    asset: str,
    target: str,
    config: Mapping[str, Any],
    *,
    partitions: str = TARGETS,
) -> str:
    with _instance(settings) as instance:
        instance.add_dynamic_partitions(partitions, [target])
        operation = dg.AssetKey([PREFIX, asset]).to_python_identifier()
        return _run(instance, job_function, {PARTITION_TAG: target}, {"ops": {operation: {"config": dict(config)}}})


def _run(
    instance: dg.DagsterInstance,
    job_function: Callable[[], dg.JobDefinition],
    tags: dict[str, str],
    config: Mapping[str, Any] | None = None,
) -> str:
    reconstructable = dg.reconstructable(job_function)
    job = reconstructable.get_definition()
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(CODE_LOCATION), "__repository__")
    with interrupts_deferred():
        run = instance.create_run_for_job(
            job_def=job,
            run_config={**_QUIET, **(config or {})},
            tags={**job.run_tags, **tags},
            remote_job_origin=RemoteJobOrigin(repository, job.name),
            job_code_origin=reconstructable.get_python_origin(),
        )
    try:
        execute_run(reconstructable, run, instance, raise_on_error=True)
    except BaseException as error:  # noqa: BLE001  (raised again, or turned into Interrupted)
        cause = _cause(error)
        if isinstance(cause, DagsterAssetCheckFailedError):
            return run.run_id  # a check that blocks; what it found is a result
        if not isinstance(cause, _INTERRUPTS):
            raise cause from None
    with interrupts_deferred():
        finished = instance.get_run_by_id(run.run_id)
        if finished is not None and finished.is_success:
            return run.run_id
        if finished is not None:
            instance.report_run_canceled(finished, "Interrupted.")
    raise Interrupted


def _cause(error: BaseException) -> BaseException:
    """The error of the domain behind Dagster's, but not what is behind that."""
    while error.__cause__ is not None and not isinstance(error, ImgoptError):
        error = error.__cause__
    return error


def _make_files(instance: dg.DagsterInstance) -> None:
    """Have each of the instance's databases made, which happens when it is first asked something."""
    instance.get_runs_count()
    instance.get_asset_keys(limit=1)
    instance.all_instigator_state()


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    """Tell faults of Dagster's own databases as ours."""
    try:
        yield
    except (SQLAlchemyError, CommandError, Timeout) as error:
        raise StorageError(
            f"Dagster's databases cannot be used ({str(error).splitlines()[0]}).",
            subject=str(folder),
            hint="Is the disk full? If they are damaged, move the folder away; audits lie elsewhere.",
        ) from error


@contextmanager
def _instance(settings: Settings) -> Iterator[Any]:
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    folder = prepare_instance(settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    with _storage_errors(folder), ExitStack() as stack:
        # One after the other: two that make the files of a fresh instance at once spoil them for good.
        with interrupts_deferred(), FileLock(folder / "instance.lock", timeout=_LOCK_SECONDS):
            instance = stack.enter_context(dg.DagsterInstance.from_config(str(folder)))
            _make_files(instance)
        try:
            yield instance
        finally:
            with interrupts_deferred():
                stack.close()
