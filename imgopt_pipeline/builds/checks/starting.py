"""The checks `start`, `probe` and `smoke`: a candidate's application runs and answers as that of the image in use.

Both are run side by side, without capabilities first; with the engine's usual ones where the image in use does
not start without.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from imgopt_pipeline.builds.checks.application import Usage, application, memory_limit
from imgopt_pipeline.builds.checks.isolation import Isolation, Ran, Refused
from imgopt_pipeline.builds.checks.probing import Answer
from imgopt_pipeline.builds.checks.session import Session, run_session, smoke_command
from imgopt_pipeline.builds.checks.side_by_side import SideBySide
from imgopt_pipeline.builds.checks.subjects import CheckContext, Subject
from imgopt_pipeline.builds.checks.suspects import every_suspect, suspects_of
from imgopt_pipeline.builds.checks.wanting import advice
from imgopt_pipeline.builds.models import FAILED, PASSED, UNVERIFIED, CheckResult
from imgopt_pipeline.names import printable
from imgopt_pipeline.redaction import redact_text
from imgopt_pipeline.settings import ProbeSettings

_SMOKE_SECONDS = 300.0
_SIZE_CLASS = 4
_SMALL_BYTES = 2_000


def check_application(
    isolation: Isolation,
    pair: SideBySide,
    old: Subject,
    new: Subject,
    usage: Usage,
    context: CheckContext,
    *,
    machine_bytes: int,
    local: bool,
) -> list[CheckResult]:
    """Run both applications; the results of `start`, `probe` and, where one is set, `smoke`."""
    began = time.monotonic()
    memory_bytes = memory_limit(usage, context, machine_bytes)

    def session(dropped: bool) -> Callable[[Subject], Session]:
        return lambda subject: run_session(
            isolation, subject, usage, context, memory_bytes=memory_bytes, dropped=dropped, local=local
        )

    before, after = pair(session(True), old, new)
    if not (before.stayed_up or before.ran_to_its_end) and not usage.capabilities:
        before, after = pair(session(False), old, new)
    seconds = time.monotonic() - began
    results = [
        replace(judged_start(before, after, usage, context), seconds=seconds),
        judged_probe(before, after, context),
    ]
    if context.target.smoke is not None:
        results.append(_smoke(isolation, pair, (before, after), (old, new), usage, context, memory_bytes))
    return results


def judged_start(old: Session, new: Session, usage: Usage, context: CheckContext) -> CheckResult:
    """Whether the candidate starts and stays as the image in use does."""
    fine = new.stayed_up or new.ran_to_its_end
    if old.stayed_up or old.ran_to_its_end:
        if fine and old.stayed_up == new.stayed_up:
            return CheckResult("start", PASSED, old.words, new.words)
        text = "\n".join((new.words, *new.log))
        said = _said(new)
        why = f"The candidate's application {new.words}; that of the image in use {old.words}.{said}"
        return CheckResult("start", FAILED, old.words, new.words, why, suspects=every_suspect(text, context))
    also = (
        "The image in use does not start in isolation either" if not fine else "Only the candidate starts in isolation"
    )
    lacks = f" {advice(old.wanted, _reference(usage, context))}." if old.wanted else ""
    mounts = (
        f" Isolation leaves out what is mounted at {', '.join(map(printable, usage.mounts[:5]))}."
        if usage.mounts
        else ""
    )
    why = f"{also}: it {old.words}.{_said(old)}{lacks}{mounts}"
    return CheckResult("start", UNVERIFIED, old.words, new.words, why)


def judged_probe(old: Session, new: Session, context: CheckContext) -> CheckResult:
    """Whether the candidate answers what the image in use answers, and what settings ask for."""
    before, after = _answers(old), _answers(new)
    if not old.stayed_up:
        return CheckResult("probe", UNVERIFIED, old.words, new.words, "The image in use does not stay up in isolation.")
    if not new.stayed_up:
        return CheckResult("probe", UNVERIFIED, before, after, "The candidate does not stay up; see the check start.")
    if old.health == "healthy" and new.health != "healthy":
        why = f"The HEALTHCHECK of the image in use is through, the candidate's is {new.health or 'not there'}."
        return _failed(before, after, why, new, context)
    by_place = {(answer.port, answer.path): answer for answer in new.answers}
    unlike: list[str] = []
    broken: list[str] = []
    probes: Sequence[ProbeSettings | None] = context.target.probes or [None] * len(old.answers)
    for answer, probe in zip(old.answers, probes, strict=False):
        other = by_place.get((answer.port, answer.path)) or Answer(answer.port, answer.path, opens=False)
        wrong = _unlike(answer, other, probe)
        if not answer.steady and (probe is None or probe.status is None):
            broken.append(f"{answer.words} at the image in use, and another time otherwise")
        elif not _as_asked(answer, probe):
            broken.append(f"{answer.words} at the image in use already" + (f"; {wrong}" if wrong else ""))
        elif wrong:
            unlike.append(wrong)
    if unlike:
        return _failed(before, after, f"{'; '.join(unlike)}.{_said(new)}", new, context)
    if broken:
        return CheckResult("probe", UNVERIFIED, before, after, f"{'; '.join(broken)}.")
    if old.answers or old.health == "healthy":
        return CheckResult("probe", PASSED, before, after)
    why = old.unasked or "It opens no port and has no HEALTHCHECK; settings can name a smoke command."
    return CheckResult("probe", UNVERIFIED, before, after, why)


def _unlike(old: Answer, new: Answer, probe: ProbeSettings | None) -> str:
    """How an answer differs from that of the image in use, or from what settings ask; empty where it does not."""
    if new.opens != old.opens:
        return f"{new.words}, the image in use has it {'open' if old.opens else 'closed'}"
    if probe is not None and not _as_asked(new, probe):
        body = ", and its body does not match" if probe.body is not None and new.status is not None else ""
        return f"{new.words}{body}; settings ask for {_asked_for(probe)}"
    if (probe is None or probe.status is None) and new.status != old.status:
        return f"{new.words}, the image in use {old.status or 'no HTTP'}"
    # Who asks with a shell's means does not always learn it.
    if new.content_type and old.content_type and new.content_type != old.content_type:
        return f"{new.words}, the image in use {printable(old.content_type)}"
    small, large = sorted((old.size_bytes, new.size_bytes))
    if large > _SMALL_BYTES and small * _SIZE_CLASS < large:
        return f"{new.words} in {new.size_bytes} bytes, the image in use in {old.size_bytes}"
    return ""


def _as_asked(answer: Answer, probe: ProbeSettings | None) -> bool:
    """Whether an answer is what settings ask for; without settings, whether it is no failure of the server."""
    if probe is None or probe.status is None:
        if (answer.status or 0) >= 500 or not answer.opens:
            return False
    elif answer.status != probe.status:
        return False
    return probe is None or probe.body is None or re.search(probe.body, answer.body) is not None


def _asked_for(probe: ProbeSettings) -> str:
    asked = [f"status {probe.status}"] if probe.status is not None else []
    asked += [f"a body that matches {probe.body!r}"] if probe.body is not None else []
    return " and ".join(asked) or "an answer below 500"


def _smoke(
    isolation: Isolation,
    pair: SideBySide,
    sessions: tuple[Session, Session],
    subjects: tuple[Subject, Subject],
    usage: Usage,
    context: CheckContext,
    memory_bytes: int,
) -> CheckResult:
    """The user's command: beside the application where both stay up, else in containers of its own."""
    assert context.target.smoke is not None
    command = smoke_command(context.target.smoke)
    given = replace(
        application(subjects[0], usage, memory_bytes=memory_bytes, dropped=False), entrypoint=None, command=None
    )

    def once(subject: Subject) -> Ran:
        try:
            return isolation.run(subject.image_id, command, seconds=_SMOKE_SECONDS, given=given)
        except Refused as error:
            return Ran(127, "", error.message)

    beside = [session.smoke for session in sessions if session.smoke is not None]
    old, new = (beside[0], beside[1]) if len(beside) == len(sessions) else pair(once, *subjects)
    before, after = _ended(old), _ended(new)
    if old.exit_code != 0:
        why = f"The smoke command fails with the image in use already: {before}."
        return CheckResult("smoke", UNVERIFIED, before, after, why)
    if new.exit_code == 0:
        return CheckResult("smoke", PASSED, before, after)
    suspects = every_suspect(f"{new.errors}\n{new.output[-10_000:]}", context)
    return CheckResult("smoke", FAILED, before, after, f"The smoke command fails: {after}.", suspects=suspects)


def _ended(ran: Ran) -> str:
    how = "takes too long" if ran.exit_code is None else f"exit code {ran.exit_code}"
    return how + (f" ({redact_text(ran.last_line)})" if ran.exit_code and ran.last_line else "")


def _failed(before: str, after: str, why: str, new: Session, context: CheckContext) -> CheckResult:
    text = "\n".join((why, *new.log))
    return CheckResult(
        "probe", FAILED, before, after, why, suspects=suspects_of(text, context) or every_suspect("", context)
    )


def _answers(session: Session) -> str:
    said = [answer.words for answer in session.answers]
    return "; ".join([*said, *([f"health {printable(session.health)}"] if session.health not in ("", "none") else [])])


def _said(session: Session) -> str:
    return f" Its log ends: {' | '.join(session.log[-8:])}" if session.log else ""


def _reference(usage: Usage, context: CheckContext) -> str:
    return printable(str(((context.container or {}).get("Config") or {}).get("Image") or context.reference or "IMAGE"))
