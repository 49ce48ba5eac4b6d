"""The code location that Dagster loads. Reads the settings when asked, never at import."""

from __future__ import annotations

import dagster as dg

from imgopt_pipeline.orchestration.build import build_defs
from imgopt_pipeline.settings import load_settings


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions, for the settings in force."""
    return build_defs(load_settings())
