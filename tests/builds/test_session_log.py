"""What is kept of a log of a checked application holds nothing of what the application was given."""

from __future__ import annotations

from imgopt_pipeline.builds.checks.application import Usage
from imgopt_pipeline.builds.checks.session import _LOG_CHARACTERS, _lines

KEY = "-----BEGIN PRIVATE KEY-----\nSECRETLINEONE0001\nSECRETLINETWO0002\n-----END PRIVATE KEY-----\n"
USAGE = Usage(environment=(f"KEY={KEY}", "DATABASE_URL=postgres://app:hunter2@db/x", "MODE=on"))


def test_lines_of_given_values_are_hidden() -> None:
    lines = _lines(f"starting\nusing password hunter2\n{KEY}\nkey SECRETLINETWO0002\nno \x1b]module\n", USAGE)
    assert lines[0] == "starting" and lines[-1] == "no \\x1b]module"
    assert not {word for word in ("SECRETLINE", "hunter2") if word in "".join(lines)}


def test_a_line_that_was_cut_off_at_its_beginning_is_left_out() -> None:
    log = ("SECRETLINETWO0002 " * _LOG_CHARACTERS + "\nended")[-_LOG_CHARACTERS:]
    assert _lines(log, USAGE) == ["ended"]
