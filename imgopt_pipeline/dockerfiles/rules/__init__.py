"""The rules, one small module each, in the order in which they are applied.

Belongs here: when a rule applies, its edits, its reasons. A rule is pure: it reads a draft and proposes edits; it
must propose nothing on its own result. What each technique is stands in `planning.techniques`.
"""

from __future__ import annotations

from imgopt_pipeline.dockerfiles.drafts import Rule
from imgopt_pipeline.dockerfiles.rules import (
    apt_recommends,
    cache_mounts,
    copy_owner,
    cpu_only,
    debug_files,
    kept_out,
    merged_runs,
    package_caches,
    package_lists,
    package_tests,
    static_libraries,
    uv_for_pip,
)

RULES: tuple[Rule, ...] = (
    cpu_only.RULE,
    kept_out.RULE,
    package_tests.RULE,
    debug_files.RULE,
    static_libraries.RULE,
    apt_recommends.RULE,
    package_lists.RULE,
    copy_owner.RULE,
    merged_runs.RULE,
    uv_for_pip.RULE,
    cache_mounts.RULE,
    package_caches.RULE,
)
"""Each works on the text that those before it left."""
