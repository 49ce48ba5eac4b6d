"""The whole of an optimization: build, check, find the guilty rule, keep the best candidate, tidy up.

Nothing that runs is touched; what stays on the host is one tagged candidate, or nothing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from imgopt_pipeline.builds.attempting import Attempt, ignore_text, subject_of, try_rewrite
from imgopt_pipeline.builds.bisecting import Search, Techniques, Verdict, largest_passing
from imgopt_pipeline.builds.builder.cleaning_up import (
    ATTEMPT_REPOSITORY,
    built_before,
    drop_build_cache,
    prune_build_cache,
    remove_attempts,
    sweep_attempts,
)
from imgopt_pipeline.builds.builder.contexts import measure_context
from imgopt_pipeline.builds.builder.disk_space import check_disk_space, needed_bytes
from imgopt_pipeline.builds.checks.conditions import FILE_NAME as CONDITIONS_FILE
from imgopt_pipeline.builds.checks.subjects import Subject
from imgopt_pipeline.builds.keeping import keep
from imgopt_pipeline.builds.leftovers import sweep_folders
from imgopt_pipeline.builds.measuring import measured_gains
from imgopt_pipeline.builds.preparing import NotItsDockerfile, Preparation
from imgopt_pipeline.dockerfiles.diff import unified_diff
from imgopt_pipeline.dockerfiles.files import add_ignore_lines, write_dockerfile
from imgopt_pipeline.dockerfiles.rewriting import Rewrite
from imgopt_pipeline.errors import StorageError
from imgopt_pipeline.hosts.engine import EngineHost
from imgopt_pipeline.hosts.models import Image
from imgopt_pipeline.interrupts import interrupts_deferred
from imgopt_pipeline.names import printable
from imgopt_pipeline.planning.candidates import candidate_reference
from imgopt_pipeline.planning.techniques import RISKS, TECHNIQUES
from imgopt_pipeline.redaction import redact_text
from imgopt_pipeline.settings import Settings
from imgopt_pipeline.units import count, format_bytes

_ROOM_BYTES = 20_000_000
KEPT, NOTHING_TO_CHANGE, FAILED = "kept", "nothing to change", "failed"


@dataclass(frozen=True, slots=True)
class Optimization:
    """What came of it. `best` is the attempt that was kept; `dropped` maps rules to why they were given up.

    `measured`: freed bytes by rule. `remarks`: what else a person should know, such as what stays on the host.
    """

    prepared: Preparation
    build_id: str
    outcome: str
    started_at: datetime
    seconds: float
    folder: Path
    attempts: tuple[Attempt, ...] = ()
    best: Attempt | None = None
    reference: str | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def rewritten(self) -> Rewrite:
        """The Dockerfile that was kept, else the one that was first meant."""
        return self.best.rewritten if self.best is not None else self.prepared.rewritten

    @property
    def diff(self) -> str:
        """How it differs from the user's."""
        name = self.prepared.source.dockerfile.name
        return unified_diff(self.prepared.original, self.rewritten.text, name)


def optimize(settings: Settings, host: EngineHost, prepared: Preparation, build_id: str) -> Optimization:
    """Carry out what was prepared.

    Raises LimitExceeded, ContextUnreadable, NotEnoughSpace, HostUnreachable, StorageError; Interrupted leaves neither
    image nor container behind. That no candidate passes is a result and no error.
    """
    started_at, begun = datetime.now(UTC), time.monotonic()
    if not prepared.source.agrees and not prepared.options.anyway:
        raise NotItsDockerfile(
            f"this is likely not its Dockerfile: {'; '.join(prepared.source.remarks)}.",
            subject=prepared.image.name,
            hint="If it is, add --anyway.",
        )
    folder = _folder(settings, build_id)
    result = Optimization(prepared, build_id, NOTHING_TO_CHANGE, started_at, 0.0, folder)
    if not prepared.worthwhile:
        return _timed(result, begun)
    size = measure_context(prepared.source.context, ignore_text(prepared), settings.builds.context_bytes)
    space = check_disk_space(host, needed_bytes(prepared.facts.size_bytes, size.size_bytes))
    sweep_attempts(host)
    sweep_folders()
    before = built_before(host)
    campaign = _Campaign(settings, host, prepared, build_id, folder)
    try:
        best = campaign.best(campaign.run())
        remove_attempts(host, [tag for tag in campaign.tags if best is None or tag != best.tag], before)
        freed_bytes = prune_build_cache(host, before, settings.builds.cache_bytes)
        remarks = [space] if space else []
        if freed_bytes:
            remarks.append(f"The build cache was over its limit: {format_bytes(freed_bytes)} of it went.")
        if best is None:
            remarks.append(campaign.why_none())
        _write(folder / "Dockerfile", (best or campaign.attempts[0]).rewritten.text)
        finished = Optimization(
            prepared=prepared,
            build_id=build_id,
            outcome=KEPT if best is not None else FAILED,
            started_at=started_at,
            seconds=0.0,
            folder=folder,
            attempts=tuple(campaign.attempts),
            best=best,
            reference=_reference(prepared.image) if best is not None else None,
            dropped=campaign.dropped(best),
            measured=_measured(prepared, best),
            remarks=tuple(remarks),
        )
        _write(folder / "changes.diff", finished.diff)
        _write(folder / CONDITIONS_FILE, best.conditions if best is not None else "")
        if finished.best is not None and finished.reference is not None:
            # Last, because an interrupt leaves nothing that it does not tell.
            keep(host, finished.best.image_id or "", finished.reference)
            if prepared.options.write:
                finished = replace(finished, remarks=(*finished.remarks, *_written(prepared, finished.best)))
    except BaseException as error:
        if not isinstance(error, Exception):  # an interrupt, by the name that whoever runs this has for it
            with interrupts_deferred():
                remove_attempts(host, campaign.tags, before)
                drop_build_cache(host, before)
        raise
    finally:
        with interrupts_deferred():
            remove_attempts(host, campaign.tags, before)
    return _timed(finished, begun)


def _written(prepared: Preparation, best: Attempt) -> list[str]:
    """Put what was kept in the place of the user's files; what was done, in sentences."""
    source = prepared.source
    backup = write_dockerfile(source.dockerfile, best.rewritten.text)
    said = [f"Wrote {printable(str(source.dockerfile))}; what it was is {printable(str(backup))}."]
    if best.rewritten.ignore_lines:
        path = add_ignore_lines(source.context, source.dockerfile, best.rewritten.ignore_lines)
        said.append(f"Added {', '.join(map(printable, best.rewritten.ignore_lines))} to {printable(str(path))}.")
    return said


class _Campaign:
    """The attempts of one optimization, each distinct Dockerfile built once.

    `tags`: of the images that may be there, also where an attempt was cut off.
    """

    def __init__(
        self, settings: Settings, host: EngineHost, prepared: Preparation, build_id: str, folder: Path
    ) -> None:
        self.attempts: list[Attempt] = []
        self.tags: list[str] = []
        self._settings = settings
        self._host = host
        self._prepared = prepared
        self._build_id = build_id
        self._folder = folder
        self._old: Subject = subject_of(host, prepared.image.image_id, prepared.examination)
        self._by_text: dict[tuple[str, tuple[str, ...]], Attempt] = {}
        self._packages: tuple[str, ...] = ()
        self._search = Search(self._attempt, prepared.options.budget or settings.builds.budget)
        self._unchanged: Attempt | None = None

    def run(self) -> Techniques | None:
        """The rules to keep, None where no candidate passes within the budget."""
        techniques = self._prepared.rewritten.techniques
        gains = self._prepared.gains
        worth = sorted(techniques, key=lambda technique: -gains[technique].likely_bytes)
        risks = {technique: RISKS.index(TECHNIQUES[technique].risk) for technique in techniques}
        kept = largest_passing(self._search, worth, risks)
        if kept is None and not self._search.exhausted:
            self._build_unchanged()
        return kept

    def best(self, kept: Techniques | None) -> Attempt | None:
        """The smallest candidate that passed."""
        passed = [a for a in self.attempts if a.passed and a is not self._unchanged and a.size_bytes is not None]
        return min(passed, key=lambda attempt: attempt.size_bytes or 0) if kept and passed else None

    def dropped(self, best: Attempt | None) -> dict[str, str]:
        """Rules that were tried and are not in the best candidate, with what failed with them.

        None where it may be no rule's fault: the Dockerfile fails as it is, or was not tried as it is.
        """
        if best is None and (self._unchanged is None or self._unchanged_fails):
            return {}
        kept = frozenset(best.rewritten.techniques) if best is not None else frozenset()
        result = {}
        for technique in self._prepared.rewritten.techniques:
            if technique not in kept:
                failures = [a for a in self.attempts if not a.passed and technique in a.rewritten.techniques]
                # The failure with the fewest other rules besides tells most about this one.
                told = min(failures, key=lambda a: len(set(a.rewritten.techniques) - kept), default=None)
                result[technique] = told.detail if told is not None else "the candidate without it is smaller"
        return result

    def why_none(self) -> str:
        """Why no candidate passed, as far as that was found out."""
        unchanged = self._unchanged
        if unchanged is None:
            return f"None passed within {count(len(self.attempts), 'build')}; --budget allows more."
        if unchanged.image_id is None:
            return f"The Dockerfile does not build even as it is: {unchanged.detail}"
        if self._unchanged_fails:
            return f"A rebuild without any change fails as well: {unchanged.detail}"
        return "A rebuild without any change passes, but none of the changes does."

    def _attempt(self, techniques: Techniques) -> Verdict:
        attempt = self._build(self._prepared.rewritten_by(techniques, self._packages))
        if attempt.packages and not set(attempt.packages) <= set(self._packages) and self._search.budget > 1:
            # Not the change is wrong, it only left out what the application links against.
            self._packages = tuple(dict.fromkeys((*self._packages, *attempt.packages)))
            completed = self._prepared.rewritten_by(techniques, self._packages)
            if completed.text != attempt.rewritten.text:
                self._search.budget -= 1
                attempt = self._build(completed)
        if not attempt.passed and techniques.isdisjoint(attempt.suspects):
            self._ask_whose_fault()
        return Verdict(attempt.passed, attempt.suspects)

    def _ask_whose_fault(self) -> None:
        """End the search where the Dockerfile fails without any change: nothing that is tried can help then."""
        if self._unchanged is None and self._search.budget > len(self._search.tried) + 1:
            self._build_unchanged()
            self._search.budget = 0 if self._unchanged_fails else self._search.budget - 1

    def _build_unchanged(self) -> None:
        original = self._prepared.original
        self._unchanged = self._build(Rewrite(original, original, (), (), {}))

    @property
    def _unchanged_fails(self) -> bool:
        """Whether a rebuild without any change was tried and fails; smaller it cannot be."""
        unchanged = self._unchanged
        return unchanged is not None and (unchanged.image_id is None or bool({*unchanged.failed_checks} - {"smaller"}))

    def _build(self, rewritten: Rewrite) -> Attempt:
        key = (rewritten.text, rewritten.ignore_lines)
        if key not in self._by_text:
            number = len(self.attempts) + 1
            self.tags.append(f"{ATTEMPT_REPOSITORY}:{self._build_id[:12]}-{number}")
            attempt = try_rewrite(
                self._settings,
                self._host,
                self._prepared,
                rewritten,
                number=number,
                tag=self.tags[-1],
                folder=self._folder,
                old=self._old,
            )
            self.attempts.append(attempt)
            self._by_text[key] = attempt
        return self._by_text[key]


def _reference(image: Image) -> str:
    return candidate_reference(next(iter(image.references), None), image.image_id)


def _measured(prepared: Preparation, best: Attempt | None) -> dict[str, int]:
    if best is None:
        return {}
    return measured_gains(prepared.claims, best.claims, best.rewritten.techniques)


def _folder(settings: Settings, build_id: str) -> Path:
    folder = settings.paths.builds / build_id
    database = settings.paths.database
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The result is stored by copy and replace; a candidate that no row names would be left otherwise.
        wanted = 2 * (database.stat().st_size if database.exists() else 0) + _ROOM_BYTES
        if shutil.disk_usage(folder).free < wanted:
            raise StorageError(
                f"what comes of a build has no room there: it takes {format_bytes(wanted)}.",
                subject=str(settings.home),
                hint="Free some space there, or set IMGOPT_HOME to another folder.",
            )
    except OSError as error:
        raise StorageError(f"it cannot be made ({error.strerror}).", subject=str(folder)) from error
    return folder


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(redact_text(text))
    except OSError as error:
        raise StorageError(f"it cannot be written ({error.strerror}).", subject=str(path)) from error


def _timed(result: Optimization, begun: float) -> Optimization:
    return replace(result, seconds=time.monotonic() - begun)
