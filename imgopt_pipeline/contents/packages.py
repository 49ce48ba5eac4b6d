"""All packages of an image, of every ecosystem."""

from __future__ import annotations

from collections.abc import Mapping

from imgopt_pipeline.contents.alpine_packages import alpine_packages
from imgopt_pipeline.contents.conda_packages import conda_packages
from imgopt_pipeline.contents.debian_packages import debian_packages
from imgopt_pipeline.contents.models import PackagesFound
from imgopt_pipeline.contents.node_packages import node_packages
from imgopt_pipeline.contents.python_packages import python_packages
from imgopt_pipeline.contents.tree_view import Tree

_ECOSYSTEMS = (python_packages, conda_packages, debian_packages, alpine_packages, node_packages)
_WARNINGS = 50
"""No ecosystem says more; the rest is counted."""


def all_packages(documents: Mapping[str, bytes], tree: Tree) -> PackagesFound:
    """The packages that documents, given by live path, describe. Broken ones are passed over with a warning."""
    found = PackagesFound()
    for packages_of in _ECOSYSTEMS:
        part = packages_of(documents, tree)
        found.packages += part.packages
        found.warnings += part.warnings[:_WARNINGS]
        if (more := len(part.warnings) - _WARNINGS) > 0:
            found.warnings.append(f"{more:,} more broken pieces of package metadata like these")
    return found
