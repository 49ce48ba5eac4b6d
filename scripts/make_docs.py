"""Writes docs/reference: tables from the schema, commands from the program, settings from their models, from their
SQL the rules and the categories of space, from their code the rules of rewriting and the checks of candidates.

With `--check` nothing is written; the pages that are out of date are named, and the exit code is 1. What is written by
hand (the guide, the decisions, the worked queries) does not belong here.
"""

from __future__ import annotations

import argparse
import re
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.main import get_command

from imgopt_pipeline import contents
from imgopt_pipeline.builds.checks.candidate import CHECKS
from imgopt_pipeline.cli.app import app
from imgopt_pipeline.dockerfiles.rewriting import chosen_rules
from imgopt_pipeline.findings.headers import SEVERITIES, Rule
from imgopt_pipeline.findings.rule_files import built_in_rules
from imgopt_pipeline.planning.techniques import LEVELS, TECHNIQUES
from imgopt_pipeline.settings import DoubleSettings, HostSettings, MoveSettings, ProbeSettings, Settings, TargetSettings
from imgopt_pipeline.warehouse.schema import TableSchema, warehouse_schema

TOP = Path(__file__).resolve().parent.parent
REFERENCE = TOP / "docs" / "reference"
QUERIES = REFERENCE / "queries"
_WIDTH = 100
_MADE = "<!-- Written by scripts/make_docs.py (`make docs`). Do not edit. -->\n"

TABLES = f"""# Tables and views

{_MADE}
The warehouse is one DuckDB file, `imgopt.duckdb`. Sizes are bytes (`_bytes`), durations seconds (`_seconds`), times
UTC. How to open it: [upkeep](../guide/upkeep.md#query-the-warehouse).

Facts about content (`images`, `layers`, …) are stored once, under the content's digest. Facts about a host at a time
belong to an audit (`audit_id`). Start with the [views](#views): they know which audit is the newest.
"""

COMMANDS = f"""# Commands

{_MADE}
Facts go to standard output, progress and errors to standard error. Where nobody's terminal limits the width, tables
are 140 columns wide; programs read `--json`.

| exit code | meaning |
|---|---|
| 0 | fine; also an audit in which some things could not be read (its status is then `partial`) |
| 1 | a gate failed (`check`); no candidate passed (`optimize`); it was rolled back, refused, not approved (`deploy`) |
| 2 | an option, a setting or an SQL statement that imgopt does not understand |
| 3 | the host, the image or imgopt's own files could not be read or written; `doctor`: something needed does not work |
| 130 | interrupted by Ctrl-C or SIGTERM; nothing is left behind, and what was switched is put back |
"""

SETTINGS = f"""# Settings

{_MADE}
Every value has a default and no file is needed. imgopt reads the first of these files that is there:

1. the one that the environment variable `IMGOPT_CONFIG` names,
2. `imgopt.yaml` in the current folder,
3. `imgopt.yaml` in imgopt's own folder (`home` below),
4. `imgopt.yaml` at the top of the checkout, where imgopt runs from one,
5. `imgopt.yaml` in the user's configuration folder (`~/.config/imgopt` on Linux).

Environment variables win over the file. Folders in the file are relative to it. A mistyped key is an error that names
the nearest right one. Sizes are plain bytes or text such as `500MB`, `2GB`, `1.5GiB`.

imgopt also heeds Docker's own variables where no engine is configured: `DOCKER_HOST`, `DOCKER_TLS_VERIFY`,
`DOCKER_CERT_PATH`, `DOCKER_CONTEXT`, `DOCKER_CONFIG`; and `TMPDIR`, where the entries of a layer lie while it is read.
"""

HOSTS = """
Without `hosts` there is one, `local`, with `engine: auto`. `tls_folder` (with ca.pem, cert.pem, key.pem) belongs to a
`tcp://` engine, `platform` (such as `linux/arm64`) to archives that hold several. `IMGOPT_HOSTS` takes all as JSON.
"""

TARGETS = """
`NAME` is an image, with or without its tag. What these are for: [optimize](../guide/optimize.md#settings). Targets have
no environment variables of their own: `IMGOPT_TARGETS` takes all as JSON.
"""

MIGRATIONS = """
`NAME` is what `imgopt migrate-data` is given. `IMGOPT_MIGRATIONS` takes all as JSON.
"""

REWRITING = f"""# Rewriting

{_MADE}
The rules by which `imgopt optimize` and `imgopt rewrite` change a Dockerfile, in the order in which they are tried, and
the checks that a candidate has to pass. How the two work together: [optimize](../guide/optimize.md).

## Rules

Where *needs* is empty the text alone is enough, so that `imgopt rewrite` applies the rule too. The level is that from
which on a rule is used; `--rules` takes any of them. Risk as in [the plan](../guide/plan.md#techniques).
"""

CANDIDATE_CHECKS = """
## Checks

Each compares a candidate with the image in use doing the same. All are blocking asset checks of `optimized_builds`.
"""

RULES = f"""# Rules

{_MADE}
What imgopt looks for at every audit, in the words of the rules' own headers (`imgopt_pipeline/findings/rules/`). The
severity is that of the header; many rules raise or lower it by the bytes at stake. Where a rule answers to a technique
(R1 to R18), [the plan](../guide/plan.md) uses that. How rules work and how to add one:
[findings](../guide/findings.md).
"""

CATEGORIES = f"""# Categories

{_MADE}
What each file that an image shows is, as `imgopt space` and the table `space_usage` tell it. The first category that
fits counts, from top to bottom, so that every byte is in exactly one. The exact conditions:
`imgopt_pipeline/contents/categories.sql`. More: [contents](../guide/contents.md).
"""

_TYPES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    Path: "folder",
    ProbeSettings: "[probe](#targetsnameprobes)",
    DoubleSettings: "[double](#targetsnamedoublesservice)",
}
_FILES = ("dockerfile", "secrets")
"""Keys whose paths are those of files."""

_TOP_LEVEL = {
    "home": "Where imgopt keeps its files. Default: `data/` of a checkout, else `~/.local/share/imgopt` (Linux).",
    "archives": "A folder of image archives, audited as host `archives`. Default: `archives/` in `home`.",
}


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    return {
        "tables.md": tables_page(),
        "cli.md": commands_page(),
        "settings.md": settings_page(),
        "rules.md": rules_page(),
        "categories.md": categories_page(),
        "rewriting.md": rewriting_page(),
    }


def tables_page() -> str:
    """Tables with columns and comments, then views with a worked query each."""
    schema = warehouse_schema().values()
    parts = [TABLES, "## Tables\n"]
    parts += [_table_section(table) for table in schema if table.kind == "table"]
    parts.append("## Views\n")
    parts += [_view_section(view) for view in schema if view.kind == "view"]
    return "\n".join(parts)


def commands_page() -> str:
    """Every command as its --help shows it."""
    program: Any = get_command(app)
    parts = [COMMANDS, _help("imgopt", program)]
    parts += [f"## {name}\n\n{_help(f'imgopt {name}', command)}" for name, command in program.commands.items()]
    return "\n".join(parts)


def settings_page() -> str:
    """Every key with its type, default and environment variable, then the example file."""
    simple, sections = [], []
    for name, field in Settings.model_fields.items():
        if name == "hosts":
            sections.append(_plain_section("hosts.NAME", HostSettings) + HOSTS)
        elif name == "targets":
            sections.append(_plain_section("targets.NAME", TargetSettings) + TARGETS)
            sections.append(_plain_section("targets.NAME.probes", ProbeSettings))
            sections.append(_plain_section("targets.NAME.doubles.SERVICE", DoubleSettings))
        elif name == "migrations":
            sections.append(_plain_section("migrations.NAME", MoveSettings) + MIGRATIONS)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections.append(_section(name, field.annotation))
        else:
            simple.append((f"`{name}`", "folder", _TOP_LEVEL[name], f"`IMGOPT_{name.upper()}`"))
    example = (TOP / "imgopt.example.yaml").read_text()
    heads = ("key", "type", "what it is", "environment variable")
    whole = [SETTINGS, "## At the top\n", _markdown(heads, simple), *sections]
    return "\n".join([*whole, "## The example file\n", f"`imgopt.example.yaml`:\n\n```yaml\n{example}```\n"])


def rules_page() -> str:
    """An overview of the built-in rules, the most severe first, then each with its reasons."""
    rules = sorted(built_in_rules(), key=lambda rule: (SEVERITIES.index(rule.severity), rule.rule_id))
    heads = ("rule", "what it finds", "technique", "severity", "risk of mending it")
    rows = [
        (f"[{rule.rule_id}](#{rule.rule_id})", rule.title, rule.technique or "", rule.severity, rule.risk)
        for rule in rules
    ]
    return "\n".join([RULES, _markdown(heads, rows), *(_rule_section(rule) for rule in rules)])


def categories_page() -> str:
    """The categories of space in the order in which they are tried, from the comments of their SQL."""
    text = resources.files(contents).joinpath("categories.sql").read_text()
    _, _, statement = text.partition("CREATE TEMP TABLE categories AS")
    comments: dict[str, str] = {}
    for category, comment in re.findall(r"(?:THEN|ELSE)\s+'([^']+)'[^\S\n]*(?:--[^\S\n]*(.*))?", statement):
        comments[category] = comments.get(category) or comment.strip()
    if not comments or not all(comments.values()):
        lacking = ", ".join(name for name, comment in comments.items() if not comment)
        raise ValueError(f"categories.sql: no comment follows {lacking or 'any category'}")
    return "\n".join([CATEGORIES, _markdown(("category", "what it is"), list(comments.items()))])


def rewriting_page() -> str:
    """The rules of rewriting in their order, and the checks."""
    heads = ("rule", "what it does", "level", "risk", "needs", "proved by")
    rules = [
        # R2 is about time: no plan counts on it.
        (
            rule.technique,
            rule.title,
            rule.level,
            TECHNIQUES[rule.technique].risk if rule.technique in TECHNIQUES else "low",
            rule.needs,
            rule.proof,
        )
        for rule in chosen_rules(LEVELS[-1])
    ]
    checks = [(f"`{name}`", description) for name, description in CHECKS.items()]
    return "\n".join(
        [REWRITING, _markdown(heads, rules), CANDIDATE_CHECKS, _markdown(("check", "holds where"), checks)]
    )


def out_of_date(folder: Path) -> list[str]:
    """The pages that are missing there or say something else."""
    return [
        name for name, text in pages().items() if not (folder / name).is_file() or (folder / name).read_text() != text
    ]


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a page is out of date")
    parser.add_argument("--folder", type=Path, default=REFERENCE, help="where the pages lie (default: docs/reference)")
    options = parser.parse_args(arguments)
    stale = out_of_date(options.folder)
    if options.check:
        for name in stale:
            print(f"{options.folder / name} is out of date: run `make docs`.", file=sys.stderr)
        return 1 if stale else 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (options.folder / name).write_text(pages()[name])
        print(f"wrote {options.folder / name}")
    return 0


def _table_section(table: TableSchema) -> str:
    rows = [
        (f"`{column.name}`", column.type, "yes" if column.nullable else "", column.comment) for column in table.columns
    ]
    return f"### {table.name}\n\n{table.comment}\n\n{_markdown(('column', 'type', 'null', 'meaning'), rows)}"


def _view_section(view: TableSchema) -> str:
    columns = _markdown(("column", "type"), [(f"`{column.name}`", column.type) for column in view.columns])
    question, _, query = (QUERIES / f"{view.name}.sql").read_text().removeprefix("-- ").partition("\n")
    return f"### {view.name}\n\n{view.comment}\n\n{columns}\n{question}\n\n```sql\n{query}```\n"


def _rule_section(rule: Rule) -> str:
    mended = f", mended by {rule.technique}" if rule.technique else ""
    return f"## {rule.rule_id}\n\n**{rule.title}** ({rule.severity}, risk {rule.risk}{mended}). {rule.why}\n"


def _help(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=_WIDTH, max_content_width=_WIDTH)
    return f"```text\n{command.get_help(context).rstrip()}\n```\n"


def _section(name: str, model: type[BaseModel]) -> str:
    rows = [
        (f"`{key}`", _type(key, field), _default(field), f"`IMGOPT_{name}__{key}`".upper())
        for key, field in model.model_fields.items()
    ]
    return f"## {name}\n\n{_sentence(model)}\n\n{_markdown(('key', 'type', 'default', 'environment variable'), rows)}"


def _plain_section(name: str, model: type[BaseModel]) -> str:
    """A section without defaults worth telling, whose keys no environment variable sets."""
    rows = [(f"`{key}`", _type(key, field)) for key, field in model.model_fields.items()]
    return f"## {name}\n\n{_sentence(model)}\n\n{_markdown(('key', 'type'), rows)}"


def _sentence(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is PydanticUndefined else "none" if value in (None, (), {}) else f"`{value}`"


def _type(key: str, field: FieldInfo) -> str:
    if "bytes" in key.split("_"):
        return "size"
    names = " or ".join(_names(field.annotation))
    return names.replace("folder", "file") if key in _FILES else names


def _names(annotation: Any) -> Iterator[str]:
    origin, parts = get_origin(annotation), [part for part in get_args(annotation) if part is not types.NoneType]
    if origin is Literal:
        yield from (f"`{value}`" for value in parts)
    elif origin in (types.UnionType, typing.Union):
        for part in parts:
            yield from _names(part)
    elif origin in (tuple, list):
        yield f"list of {' or '.join(_names(parts[0]))}"
    elif origin is dict:
        yield f"names with {' or '.join(_names(parts[1]))}"
    else:
        yield _TYPES[annotation]


def _markdown(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
