"""Labels that no Dockerfile names go over to the candidate, but for imgopt's own and what no command line holds."""

from __future__ import annotations

import subprocess

from imgopt_pipeline.builds.builder.labels import OWN_LABELS, inherited_labels


def test_labels_of_compose_and_of_pipelines_are_kept() -> None:
    given = {"com.docker.compose.service": "web", "revision": "abc", "text": "two\nlines = one", "empty": ""}
    assert inherited_labels(given | dict.fromkeys(OWN_LABELS, "x")) == given


def test_what_cannot_be_given_is_left_out() -> None:
    assert inherited_labels({"": "x", "a=b": "x", "nul": "\0", "long": "x" * 200_000, "kept": "x"}) == {"kept": "x"}
    many = {f"label{number}": "ä" * 1_000 for number in range(2_000)}
    assert inherited_labels(many) == {}
    most = dict(list(many.items())[:290]) | {"longest": "ä" * 29_999}
    words = [f"--label={name}={value}" for name, value in inherited_labels(most).items()]
    assert subprocess.run(["true", *words], check=False).returncode == 0
