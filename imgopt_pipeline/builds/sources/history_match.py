"""Whether a Dockerfile is the one that an image was built from, and which layer each of its instructions made.

The image's history and configuration are compared with what the Dockerfile would leave (`expected_steps`). An
edited Dockerfile is still the right one; one whose steps or command are others is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imgopt_pipeline.builds.sources.expected_steps import (
    UNKNOWN,
    Expectation,
    Expected,
    expectation,
    exposed_ports,
    fits,
    squeezed,
)
from imgopt_pipeline.builds.sources.history_steps import HistoryStep
from imgopt_pipeline.dockerfiles.models import Dockerfile, Stage
from imgopt_pipeline.hosts.image_config import familiar
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_history, redact_text

LEAST_SHARE = 0.5
"""From which share of steps in common on a Dockerfile counts as the image's."""

_WEIGHTS = {"RUN": 4.0, "COPY": 3.0, "ADD": 3.0, "ENV": 2.0, "CMD": 2.0, "ENTRYPOINT": 2.0, "": 0.0, "ONBUILD": 0.0}
_TELLING = ("RUN", "COPY", "ADD", "ENV")
_LEAST_COMMON = 0.4
"""From which share of words in common on two steps count as one that was edited."""

_MOST_STEPS = 500
_MOST_REMARKS = 8
_LONGEST = 100
_FLAGS = re.compile(r"(?:--\S+ )*")
_LEGACY_COPY = re.compile(r"\S+ in (.*)", re.DOTALL)
_SHELL = re.compile(r"(?:\|\d+ .*? )?\S+(?: -\S+)* ", re.DOTALL)
_GO_LIST = re.compile(r'[\[\]"\\,]')


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a Dockerfile fits an image. `share` is the weighed share of steps that both have.

    `layers` maps the line of an instruction to the position of the layer it made, where both are known; `remarks`
    say in words what differs.
    """

    agrees: bool
    share: float
    remarks: tuple[str, ...] = ()
    layers: Mapping[int, int] = field(default_factory=dict)


def compare_history(
    document: Dockerfile,
    stage: Stage,
    steps: Sequence[HistoryStep],
    config: Mapping[str, Any],
    *,
    arguments: Mapping[str, str] | None = None,
    image_layers: Sequence[str] = (),
    base_layers: Mapping[str, Sequence[str]] | None = None,
) -> Comparison:
    """Compare a stage of a Dockerfile with an image's history, oldest step first, and its configuration.

    `image_layers` are the image's diff IDs, `base_layers` those of the host's images by reference, so that the
    base can be told.
    """
    expected = expectation(document, stage, arguments or {})
    base_count, base_remarks = _base(expected.base, image_layers, base_layers or {})
    own = _above(steps, base_count)[-_MOST_STEPS:]
    wanted = expected.steps[-_MOST_STEPS:]
    pairs = _aligned(wanted, own)
    same_command, command_remarks = _commands(expected, config)
    remarks = [*command_remarks, *base_remarks, *_settings(expected, config)]
    if not steps:
        told = "the image tells no build steps, so that only its configuration was compared"
        return Comparison(same_command, 0.0, (*remarks[: _MOST_REMARKS - 1], told))
    share = _share(wanted, own, pairs, base_known=base_count is not None)
    remarks += _step_remarks(wanted, own, pairs)
    if len(remarks) > _MOST_REMARKS:
        remarks[_MOST_REMARKS - 1 :] = [f"and {len(remarks) - _MOST_REMARKS + 1} more differences"]
    layers = {wanted[left].line: layer for left, right in pairs if (layer := own[right].layer) is not None}
    return Comparison(same_command and share >= LEAST_SHARE, share, tuple(remarks), layers)


def _base(
    base: str, image_layers: Sequence[str], base_layers: Mapping[str, Sequence[str]]
) -> tuple[int | None, list[str]]:
    """How many layers are the base's, None where that is not known."""
    if base == "scratch":
        return 0, []
    name = familiar(base)
    tagged = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
    layers = base_layers.get(name) or base_layers.get(tagged)
    if layers is None or not image_layers:
        return None, []
    if list(image_layers[: len(layers)]) == list(layers):
        return len(layers), []
    return None, [f"this host's {_short(name)} is not what the image stands on: it was updated since, or another base"]


def _above(steps: Sequence[HistoryStep], base_count: int | None) -> Sequence[HistoryStep]:
    """The steps after the one that made the base's last layer; all where that cannot be told."""
    if not base_count:
        return steps
    last = next((number for number, step in enumerate(steps) if step.layer == base_count - 1), None)
    return steps if last is None else steps[last + 1 :]


def _aligned(wanted: Sequence[Expected], own: Sequence[HistoryStep]) -> list[tuple[int, int]]:
    """The best pairing that keeps the order of both, by weight; among equals the one nearest to the end."""
    # best[i][j]: the weight that the first i expected and the first j own steps reach.
    best = [[0.0] * (len(own) + 1) for _ in range(len(wanted) + 1)]
    for i, expected in enumerate(wanted):
        row, above = best[i + 1], best[i]
        for j, step in enumerate(own):
            row[j + 1] = max(above[j + 1], row[j], above[j] + _likeness(expected, step))
    pairs: list[tuple[int, int]] = []
    i, j = len(wanted), len(own)
    while i and j:
        likeness = _likeness(wanted[i - 1], own[j - 1])
        if likeness and best[i][j] == best[i - 1][j - 1] + likeness:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i -= 1
    return pairs[::-1]


def _weight(keyword: str) -> float:
    return _WEIGHTS.get(keyword, 1.0)


def _likeness(expected: Expected, step: HistoryStep) -> float:
    """The weight of a step that is the same, less for one of the same kind with words in common, else 0."""
    if expected.keyword != step.keyword:
        return 0.0
    weight = _weight(expected.keyword)
    if _same(expected, step):
        return weight
    if expected.keyword not in _TELLING:
        return 0.0
    ours, theirs = set(expected.text.split()), set(_bare(step).split())
    common = len(ours & theirs) / len(ours | theirs)
    return weight * common / 2 if common >= _LEAST_COMMON else 0.0


def _same(expected: Expected, step: HistoryStep) -> bool:
    text = squeezed(step.text)
    match expected.keyword:
        case "RUN":
            return _ran(text, expected)
        case "COPY" | "ADD":
            text = text[_flags_end(text) :]
            legacy = _LEGACY_COPY.fullmatch(text)
            return fits(" ".join(expected.words[-1:]), legacy[1]) if legacy else fits(expected.text, text)
        case "ARG":
            return all(re.search(rf"(?:^| ){re.escape(name)}(?:=| |$)", text) for name in expected.words)
        case "CMD" | "ENTRYPOINT":
            wanted, found = (squeezed(_GO_LIST.sub("", each)) for each in (expected.text, text))
            return found == wanted or (not expected.json_form and found.endswith(f" {wanted}"))
        case "EXPOSE":
            ports = re.sub(r"map\[|\]|:\{\}", "", text).split()
            return UNKNOWN in expected.text or exposed_ports(expected.words) == exposed_ports(ports)
        case "ENV" | "LABEL" | "USER" | "WORKDIR" | "STOPSIGNAL" | "MAINTAINER":
            return fits(expected.text, text)
        case _:
            return True


def _ran(text: str, expected: Expected) -> bool:
    """Whether a step ran that command: before it stand build arguments and, but for the exec form, a shell."""
    if not text.endswith(expected.text):
        return False
    before = text[: len(text) - len(expected.text)]
    if not before or (expected.json_form and before.startswith("|")):
        return True
    return not expected.json_form and _SHELL.fullmatch(before) is not None


def _flags_end(text: str) -> int:
    flags = _FLAGS.match(text)
    return flags.end() if flags else 0


def _bare(step: HistoryStep) -> str:
    """A step's words without flags, build arguments and the shell, as far as they can be told."""
    text = squeezed(step.text)
    if step.keyword in ("COPY", "ADD"):
        return text[_flags_end(text) :]
    return re.sub(r"^(?:\|\d+ .*? )?\S+(?: -\S+)* (?=\S)", "", text) if step.keyword == "RUN" else text


def _share(
    wanted: Sequence[Expected], own: Sequence[HistoryStep], pairs: Sequence[tuple[int, int]], *, base_known: bool
) -> float:
    """What both have, of what either has; above an unknown base steps count from the first that is the same on."""
    same = (right for left, right in pairs if _same(wanted[left], own[right]))
    first = 0 if base_known else next(same, len(own))
    either = sum(_weight(each.keyword) for each in wanted) + sum(_weight(each.keyword) for each in own[first:])
    both = sum(_likeness(wanted[left], own[right]) for left, right in pairs)
    return 2 * both / either if either else 1.0


def _commands(expected: Expectation, config: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether the image runs what the Dockerfile says."""
    found = {name: tuple(str(word) for word in config.get(name) or ()) for name in ("Entrypoint", "Cmd")}
    wanted = {"Entrypoint": expected.entrypoint, "Cmd": expected.command}
    forms = {
        "Entrypoint": next((step.json_form for step in reversed(expected.steps) if step.keyword == "ENTRYPOINT"), True),
        "Cmd": next((step.json_form for step in reversed(expected.steps) if step.keyword == "CMD"), True),
    }
    same = all(
        words is None or found[name] == words or (not forms[name] and found[name][-1:] == words)
        for name, words in wanted.items()
    )
    if same:
        return True, []
    runs = [word for words in found.values() for word in words]
    says = [word for name, words in wanted.items() for word in (found[name] if words is None else words)]
    return False, [f"the image runs {_words(runs)}, this Dockerfile {_words(says)}"]


def _settings(expected: Expectation, config: Mapping[str, Any]) -> list[str]:
    """Where the image's configuration is another than the Dockerfile sets. Values of variables are not told."""
    remarks: list[str] = []
    variables = dict(str(entry).partition("=")[::2] for entry in config.get("Env") or ())
    for name, pattern in expected.environment.items():
        if name not in variables:
            remarks.append(f"this Dockerfile sets the variable {_short(name)}, the image has none")
        elif not fits(pattern, variables[name]):
            remarks.append(f"the variable {_short(name)} has another value in the image")
    for what, wanted, found in (
        ("user", expected.user, str(config.get("User") or "")),
        ("working directory", expected.folder, str(config.get("WorkingDir") or "")),
    ):
        if wanted is not None and not fits(wanted, found):
            remarks.append(f"the image's {what} is {_short(found) or 'not set'}, this Dockerfile's {_short(wanted)}")
    exposed = frozenset(str(port) for port in config.get("ExposedPorts") or ())
    words = [word for step in expected.steps if step.keyword == "EXPOSE" for word in step.words if UNKNOWN not in word]
    if missing := exposed_ports(words) - exposed:
        remarks.append(f"the image does not expose {_short(', '.join(sorted(missing)))}, this Dockerfile does")
    return remarks


def _step_remarks(
    wanted: Sequence[Expected], own: Sequence[HistoryStep], pairs: Sequence[tuple[int, int]]
) -> list[str]:
    """The steps that only one of the two has, and those that differ; of the steps that make files and variables."""
    by_left = dict(pairs)
    remarks: list[str] = []
    for number, step in enumerate(wanted):
        if step.keyword not in _TELLING:
            continue
        said = f"line {step.line}: {_told(step.keyword, step.text)}"
        if number not in by_left:
            remarks.append(f"{said} is no step of the image")
        elif not _same(step, own[by_left[number]]):
            remarks.append(f"{said} differs; the image has {_told(step.keyword, _bare(own[by_left[number]]))}")
    if not pairs:
        return remarks
    matched = {right for _, right in pairs}
    for number in range(pairs[0][1] + 1, len(own)):
        if number not in matched and own[number].keyword in _TELLING:
            remarks.append(f"the image has a step more: {_told(own[number].keyword, _bare(own[number]))}")
    return remarks


def _told(keyword: str, text: str) -> str:
    return _short(redact_history(f"{keyword} {text}"))


def _words(words: Sequence[str]) -> str:
    return _short(redact_text(" ".join(words))) or "nothing"


def _short(text: str) -> str:
    text = printable(squeezed(text).replace(UNKNOWN, "…"))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
