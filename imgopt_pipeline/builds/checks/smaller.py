"""The check `smaller`: a candidate is smaller than the image in use."""

from __future__ import annotations

from imgopt_pipeline.builds.checks.subjects import Subject
from imgopt_pipeline.builds.models import FAILED, PASSED, CheckResult
from imgopt_pipeline.units import format_bytes


def check_smaller(old: Subject, new: Subject) -> CheckResult:
    """Whether the candidate takes less than the image in use."""
    smaller = new.size_bytes < old.size_bytes
    return CheckResult(
        "smaller",
        PASSED if smaller else FAILED,
        format_bytes(old.size_bytes),
        format_bytes(new.size_bytes),
        "" if smaller else "The candidate is not smaller than the image in use.",
    )
