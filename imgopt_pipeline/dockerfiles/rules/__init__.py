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
    cuda_runtime,
    debug_files,
    kept_out,
    merged_runs,
    multi_stage,
    nextjs_standalone,
    package_caches,
    package_lists,
    package_tests,
    production_node,
    single_cuda,
    slim_base,
    static_libraries,
    uv_for_pip,
)

RULES: tuple[Rule, ...] = (
    cpu_only.RULE,
    single_cuda.RULE,
    cuda_runtime.RULE,
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
    nextjs_standalone.RULE,
    production_node.RULE,
    multi_stage.RULE,
    slim_base.RULE,
)
"""Each works on the text that those before it left."""
