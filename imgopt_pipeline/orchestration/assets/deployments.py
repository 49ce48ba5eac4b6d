"""Group deployments: candidates in the place of what ran, verified or rolled back, one partition per image."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from imgopt_pipeline.builds.targets import split_target
from imgopt_pipeline.deployments.models import Options
from imgopt_pipeline.deployments.targets import deploy_target, roll_back_target
from imgopt_pipeline.orchestration.assets import VERIFIED_DEPLOYMENTS, asset_key, shown, table_asset
from imgopt_pipeline.orchestration.assets.builds import OPTIMIZED_BUILDS, target_partitions
from imgopt_pipeline.orchestration.deployment_checks import check_results, deployment_check_specs
from imgopt_pipeline.orchestration.settling import settle_host
from imgopt_pipeline.reports.deployments import deployment_metadata
from imgopt_pipeline.settings import Settings

DEPLOY, ROLLBACK = "deploy", "rollback"
"""The jobs. The asset deploys in any run but one of the second, whatever that run's configuration."""


class DeploymentConfig(dg.Config):
    """What a person allows, see `imgopt deploy --help`; each image also needs their approval.

    `subject`: what is to be switched or taken back, where not all that runs the image; a service, a container, or the
    ID of a deployment.
    """

    subject: str = ""
    discard_changes: bool = False
    with_edits: bool = False
    soak_seconds: float | None = None


def deployment_assets() -> list[dg.AssetsDefinition]:
    """`verified_deployments`."""

    @table_asset(
        "deployments",
        name=VERIFIED_DEPLOYMENTS,
        group="deployments",
        partitions=target_partitions(),
        kinds={"docker"},
        deps=(OPTIMIZED_BUILDS,),
        check_specs=deployment_check_specs(asset_key(VERIFIED_DEPLOYMENTS)),
    )
    def verified_deployments(
        context: dg.AssetExecutionContext, config: DeploymentConfig, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        host_name, reference = split_target(context.partition_key)
        for told in settle_host(context.instance, settings, host_name):
            context.log.info(told)
        subject, asked_back = config.subject or reference, context.run.job_name == ROLLBACK
        options = Options(config.discard_changes, config.with_edits)
        if asked_back:
            rows = roll_back_target(settings, host_name, subject, options)
        else:
            rows = deploy_target(_soaking(settings, config), host_name, subject, options, context.run.run_id)
        yield dg.MaterializeResult(
            value=rows,
            metadata=shown(deployment_metadata(rows)),
            check_results=list(check_results(rows, asked_back=asked_back)),
        )

    return [verified_deployments]


def _soaking(settings: Settings, config: DeploymentConfig) -> Settings:
    """The settings, with the soak time of this run where it has one."""
    if config.soak_seconds is None:
        return settings
    watching = settings.deployments.model_copy(update={"soak_seconds": config.soak_seconds})
    return settings.model_copy(update={"deployments": watching})
