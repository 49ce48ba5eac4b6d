"""Asset checks: what is worth a look after an audit. A failed check is a warning, never the end of it."""

from collections.abc import Iterator

import dagster as dg

from imgopt_pipeline.orchestration.assets import PARTITION_TAG, asset_key
from imgopt_pipeline.reports.gates import GateResult, gate_results
from imgopt_pipeline.settings import Settings

_SPECS = {
    "host_readable": ("image_inventory", "Everything on the host could be read."),
    "moved_data": ("data_directories", "What was moved to a mount is there: the mount is."),
    "image_size": ("layer_analysis", "No image is over the limit (`gates.image_bytes`)."),
    "efficiency": ("layer_analysis", "No image is under the least efficiency (`gates.lowest_efficiency`)."),
    "gpu_builds_used": ("gpu_checks", "No image is built for a GPU that it is not given."),
    "cache_current": ("layer_analysis", "All layers were analysed by this version."),
    "schema_current": ("audit_report", "The warehouse fits the schema of this version."),
}


def audit_checks() -> list[dg.AssetChecksDefinition]:
    """All checks, in one step that reads the warehouse once."""

    @dg.multi_asset_check(
        name="audit_checks",
        specs=[
            dg.AssetCheckSpec(name, asset=asset_key(asset), description=description)
            for name, (asset, description) in _SPECS.items()
        ],
    )
    def checks(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
    ) -> Iterator[dg.AssetCheckResult]:
        # Checks with partitions are a preview in Dagster; the run knows its host all the same.
        for result in gate_results(settings, context.run.tags.get(PARTITION_TAG)):
            yield _check_result(result)

    return [checks]


def _check_result(result: GateResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=result.name,
        asset_key=asset_key(_SPECS[result.name][0]),
        passed=result.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=result.message,
    )
