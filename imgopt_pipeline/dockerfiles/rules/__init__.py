"""The rules, one small module each, in the order in which they are applied.

Belongs here: when a rule applies, its edits, its reasons. A rule is pure: it reads a draft and proposes edits; it
must propose nothing on its own result. What each technique is stands in `planning.techniques`.
"""

from __future__ import annotations

from imgopt_pipeline.dockerfiles.drafts import Rule

RULES: tuple[Rule, ...] = ()
