"""Group deployments: data moved to another file system, verified or put back, one partition per directory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from imgopt_pipeline.builds.targets import split_target
from imgopt_pipeline.migrations.migration import Options
from imgopt_pipeline.migrations.targets import migrate_target, roll_back_target
from imgopt_pipeline.orchestration.assets import DATA_MIGRATIONS, DIRECTORIES, asset_key, shown, table_asset
from imgopt_pipeline.orchestration.migration_checks import check_results, migration_check_specs
from imgopt_pipeline.orchestration.settling import settle_host
from imgopt_pipeline.reports.migrations import migration_metadata
from imgopt_pipeline.settings import Settings

MIGRATE_DATA = "migrate_data"


class MigrationConfig(dg.Config):
    """What a person allows, see `imgopt migrate-data --help`; the directory also needs their approval.

    `subject`: what the directory was called, where not by its path. `back`: put everything back instead.
    """

    subject: str = ""
    destination: str | None = None
    backup: str | None = None
    bytes_per_second: int | None = None
    leave_special: bool = False
    discard_changes: bool = False
    back: bool = False


def directory_partitions() -> dg.DynamicPartitionsDefinition:
    """One partition per directory, `host|path`."""
    return dg.DynamicPartitionsDefinition(name=DIRECTORIES)


def migration_assets() -> list[dg.AssetsDefinition]:
    """`data_migrations`."""

    @table_asset(
        "migrations",
        name=DATA_MIGRATIONS,
        group="deployments",
        partitions=directory_partitions(),
        kinds={"docker"},
        # A directory belongs to one host, but Dagster has no mapping that would say so.
        deps=(dg.AssetDep(asset_key("optimization_plan"), partition_mapping=dg.AllPartitionMapping()),),
        check_specs=migration_check_specs(asset_key(DATA_MIGRATIONS)),
    )
    def data_migrations(
        context: dg.AssetExecutionContext, config: MigrationConfig, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        host_name, path = split_target(context.partition_key)
        for told in settle_host(context.instance, settings, host_name):
            context.log.info(told)
        subject = config.subject or path
        if config.back:
            rows = roll_back_target(settings, host_name, subject)
        else:
            rows = migrate_target(settings, host_name, subject, _options(config), context.run.run_id)
        yield dg.MaterializeResult(
            value=rows,
            metadata=shown(migration_metadata(rows)),
            check_results=list(check_results(rows, asked_back=config.back)),
        )

    return [data_migrations]


def _options(config: MigrationConfig) -> Options:
    return Options(
        destination=Path(config.destination) if config.destination else None,
        backup=Path(config.backup) if config.backup else None,
        bytes_per_second=config.bytes_per_second,
        leave_special=config.leave_special,
        discard_changes=config.discard_changes,
    )
