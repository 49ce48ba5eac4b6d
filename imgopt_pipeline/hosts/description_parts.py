"""Values of a described host's `host.json`, each of the kind asked for. What they mean stands in `described`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imgopt_pipeline.errors import UnreadableArchive
from imgopt_pipeline.names import printable

HINT = "Make the folder again, with `imgopt demo` or what else made it."
_ITEMS = 100_000
_MOST_BYTES = 10**15
_MOST = 10**9


class Part:
    """A mapping of the description, whose values are of the kind asked for or raise UnreadableArchive."""

    def __init__(self, value: object, place: str, source: str) -> None:
        self.place = place
        self._source = source
        if not isinstance(value, dict):
            raise self._wrong("", "a mapping")
        self.values: dict[str, Any] = value

    def part(self, key: str) -> Part:
        """A mapping; an empty one where there is none."""
        value = self.values.get(key)
        return Part({} if value is None else value, f"{self.place} → {printable(key)}", self._source)

    def parts(self, key: str) -> list[Part]:
        """A list of mappings."""
        return [Part(item, f"{key} {number}", self._source) for number, item in enumerate(self._list(key), start=1)]

    def text(self, key: str, otherwise: str = "") -> str:
        """A text, safe to store and to print."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "a text")
        return printable(value) if value is not None else otherwise

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self._list(key)
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(key, "a list of texts")
        return tuple(printable(value) for value in values)

    def number(self, key: str) -> int | None:
        """A whole number that is not negative and not absurdly large; None where there is none."""
        return self._number(key, self.values.get(key))

    def numbers(self, key: str) -> list[int]:
        """A list of such numbers."""
        return [self._number(key, value) or 0 for value in self._list(key)]

    def flag(self, key: str) -> bool:
        """Yes or no; no where it is missing."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return bool(value)

    def _number(self, key: str, value: object) -> int | None:
        if value is None:
            return None
        most = _MOST_BYTES if key.endswith("_bytes") else _MOST
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise self._wrong(key, f"a number from 0 to {most:,}")
        return value

    def _list(self, key: str) -> Sequence[Any]:
        values = self.values.get(key)
        if values is None:
            return ()
        if not isinstance(values, list) or len(values) > _ITEMS:
            raise self._wrong(key, f"a list of at most {_ITEMS:,}")
        return values

    def _wrong(self, key: str, wanted: str) -> UnreadableArchive:
        what = f"`{key}` of {self.place}" if key else self.place
        return UnreadableArchive(f"{what} is not {wanted}.", subject=self._source, hint=HINT)
