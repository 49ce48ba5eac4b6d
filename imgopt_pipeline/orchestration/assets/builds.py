"""Group builds: optimized images that passed their checks, one partition per image."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from imgopt_pipeline.builds.preparing import Options
from imgopt_pipeline.builds.targets import flatten_target, optimize_target
from imgopt_pipeline.orchestration.assets import TARGETS, asset_key, shown, table_asset
from imgopt_pipeline.orchestration.build_checks import build_check_specs, check_results
from imgopt_pipeline.reports.builds import build_metadata
from imgopt_pipeline.settings import Settings

OPTIMIZED_BUILDS = "optimized_builds"


class BuildConfig(dg.Config):
    """How an image is to be optimized; see `imgopt optimize --help`.

    `arguments`: names of build arguments whose values stand in the environment, so that none is stored here.
    `flatten`: make one layer of its merged tree instead, without what `prune` names.
    """

    level: str = "safe"
    rules: list[str] = Field(default_factory=list)
    without: list[str] = Field(default_factory=list)
    dockerfile: str | None = None
    context: str | None = None
    stage: str | None = None
    arguments: list[str] = Field(default_factory=list)
    budget: int | None = None
    anyway: bool = False
    write: bool = False
    flatten: bool = False
    prune: list[str] = Field(default_factory=list)


def target_partitions() -> dg.DynamicPartitionsDefinition:
    """One partition per target, `host|image`."""
    return dg.DynamicPartitionsDefinition(name=TARGETS)


def build_assets() -> list[dg.AssetsDefinition]:
    """`optimized_builds`."""

    @table_asset(
        "builds",
        name=OPTIMIZED_BUILDS,
        group="builds",
        partitions=target_partitions(),
        kinds={"docker"},
        # A target belongs to one host, but Dagster has no mapping that would say so.
        deps=(dg.AssetDep(asset_key("optimization_plan"), partition_mapping=dg.AllPartitionMapping()),),
        check_specs=build_check_specs(asset_key(OPTIMIZED_BUILDS)),
    )
    def optimized_builds(
        context: dg.AssetExecutionContext, config: BuildConfig, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        key, build_id = context.partition_key, context.run.run_id
        if config.flatten:
            rows = flatten_target(settings, key, config.prune, build_id)
        else:
            rows = optimize_target(settings, key, _options(config), build_id)
        yield dg.MaterializeResult(
            value=rows, metadata=shown(build_metadata(rows)), check_results=list(check_results(rows))
        )

    return [optimized_builds]


def _options(config: BuildConfig) -> Options:
    return Options(
        level=config.level,
        rules=tuple(config.rules),
        without=tuple(config.without),
        dockerfile=config.dockerfile,
        context=config.context,
        stage=config.stage,
        argument_names=tuple(config.arguments),
        budget=config.budget,
        anyway=config.anyway,
        write=config.write,
    )
