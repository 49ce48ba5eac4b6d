"""The errors a user can meet. Each says what failed, on which image or file, and what to do.

Nothing else belongs here: no logging, no handling. The command line prints `message` and `hint`
and exits with `exit_code`; an audit turns them into rows of `audit_problems`.
"""

from __future__ import annotations


class ImgoptError(Exception):
    """A foreseeable failure: `subject` is the image, file or host, `hint` what the user can do."""

    exit_code = 3
    kind = "error"

    def __init__(self, message: str, *, subject: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.hint = hint

    def __str__(self) -> str:
        about = f"{self.subject}: " if self.subject and self.subject not in self.message else ""
        return f"{about}{self.message}" + (f" {self.hint}" if self.hint else "")


class HostUnreachable(ImgoptError):
    """No engine answers there, or it refuses us."""

    kind = "host unreachable"


class ImageNotFound(ImgoptError):
    """The host has no such image, or lost it while it was being read."""

    kind = "image not found"


class UnreadableArchive(ImgoptError):
    """An image archive is broken: truncated, no tar, a blob missing or not what its digest says."""

    kind = "unreadable archive"


class UnreadableLayer(ImgoptError):
    """The entries of a layer cannot be read by any reader."""

    kind = "unreadable layer"


class LimitExceeded(ImgoptError):
    """Input passed one of the bounds that keep a hostile image from filling memory or disk."""

    kind = "limit exceeded"


class SettingsError(ImgoptError):
    """imgopt.yaml or an option says something imgopt does not understand."""

    exit_code = 2
    kind = "settings"


class StorageError(ImgoptError):
    """imgopt's own files, the DuckDB file or the layer cache, cannot be read or written."""

    kind = "storage"


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM, as an exception: helper containers and temporary files go on the way out.

    Not a KeyboardInterrupt, which the command line's library would turn into the exit code of a failed gate.
    """
