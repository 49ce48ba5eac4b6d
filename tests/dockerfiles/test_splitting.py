"""One stage parted into two: what goes where, what is left alone, and that the configuration stays what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgopt_pipeline.dockerfiles.facts import Hidden, ImageFacts, MadePath, StepFacts
from imgopt_pipeline.dockerfiles.models import Dockerfile, Instruction, Stage
from imgopt_pipeline.dockerfiles.parsing import parse
from imgopt_pipeline.dockerfiles.rewriting import Rewrite, rewrite
from imgopt_pipeline.dockerfiles.rules.multi_stage import RULE
from tests.dockerfiles.stage_facts import SITE, facts_of

INSTALL = "RUN apt-get update && apt-get install -y curl gcc libpq-dev && rm -rf /var/lib/apt/lists/*"
MADE = {"pip install": (SITE, "/usr/local/bin/flask")}


def split(
    text: str,
    *,
    made: Mapping[str, Sequence[str]] = MADE,
    image: ImageFacts | None = None,
    stage: str | None = None,
    packages: Sequence[str] = (),
) -> Rewrite:
    facts = image or facts_of(text, "R3", made=made)
    return rewrite(text, [RULE], image=facts, stage=stage, packages=packages)


def final_lines(result: Rewrite) -> list[str]:
    """The lines of the last stage."""
    lines = result.text.split("\n")
    last = max(number for number, line in enumerate(lines) if line.upper().startswith("FROM "))
    return [line for line in lines[last:] if line]


def dockerfile(*lines: str) -> str:
    return "\n".join(["FROM python:3.11-slim", *lines, ""])


def test_what_builds_stays_in_a_build_stage() -> None:
    text = dockerfile("WORKDIR /app", INSTALL, "RUN pip install flask", "COPY . .", 'CMD ["flask", "run"]')
    result = split(text)
    assert result.text.startswith("FROM python:3.11-slim AS build\nWORKDIR /app\n" + INSTALL)
    assert final_lines(result) == [
        "FROM python:3.11-slim",
        "WORKDIR /app",
        "RUN apt-get update && apt-get install -y curl libpq5 && rm -rf /var/lib/apt/lists/*",
        f"COPY --from=build {SITE} {SITE}",
        "COPY --from=build /usr/local/bin/flask /usr/local/bin/flask",
        "COPY . .",
        'CMD ["flask", "run"]',
    ]
    assert result.replaces["gcc-12"] == ""
    assert "libpq5" not in result.replaces


def test_names_of_stages_stay_and_the_new_one_clashes_with_none() -> None:
    text = f"FROM scratch AS build\nFROM debian AS app\n{INSTALL}\nRUN make install\nCMD app\n"
    result = split(text, made={"make install": ("/opt/app",)})
    assert "FROM debian AS builder\n" in result.text
    assert final_lines(result)[0] == "FROM debian AS app"
    assert "COPY --from=builder /opt/app /opt/app" in result.text


def test_what_only_describes_the_image_moves_with_its_comments() -> None:
    text = dockerfile(
        "# Who made it", "LABEL maintainer=me", "EXPOSE 80", INSTALL, "RUN pip install flask", "CMD flask"
    )
    result = split(text)
    assert result.text.count("LABEL maintainer=me") == 1
    assert "FROM python:3.11-slim\n# Who made it\nLABEL maintainer=me\nEXPOSE 80\n" in result.text


def test_copies_come_again_unless_something_else_brings_them() -> None:
    text = dockerfile(
        "WORKDIR /app",
        INSTALL,
        "COPY requirements.txt package.json ./",
        "COPY certificates /etc/certificates",
        "COPY build.sh /tmp/",
        "RUN pip install flask",
        "COPY . .",
    )
    assert [line for line in final_lines(split(text)) if line.startswith("COPY") and "--from" not in line] == [
        "COPY certificates /etc/certificates",
        "COPY . .",
    ]


def test_requirements_are_only_for_the_installer() -> None:
    text = dockerfile(
        INSTALL, "COPY requirements.txt /app/", "RUN pip install -r /app/requirements.txt", "COPY src /app"
    )
    assert "COPY requirements.txt" not in "\n".join(final_lines(split(text)))


def test_users_and_folders_are_made_again_and_own_what_they_owned() -> None:
    text = dockerfile(
        INSTALL,
        "RUN useradd app && pip install --target /opt/app flask && chown -R app:app /opt/app",
        "USER app",
        "CMD flask",
    )
    assert final_lines(split(text, made={"pip": ("/opt/app",)}))[2:] == [
        "RUN useradd app",
        "COPY --from=build --chown=app:app /opt/app /opt/app",
        "USER app",
        "CMD flask",
    ]


def test_files_made_by_a_user_stay_the_users() -> None:
    text = dockerfile(INSTALL, "RUN useradd app", "USER app", "RUN pip install --user flask", "CMD flask")
    result = split(text, made={"pip": ("/home/app/.local",)})
    assert "COPY --from=build --chown=app:app /home/app/.local /home/app/.local" in final_lines(result)


def test_the_loader_is_told_after_the_libraries_are_there() -> None:
    text = dockerfile(INSTALL, "RUN make install && ldconfig && mkdir /data", "CMD app")
    lines = final_lines(split(text, made={"make": ("/usr/local/lib/libapp.so.1",)}))
    assert lines[2:] == [
        "RUN mkdir /data",
        "COPY --from=build /usr/local/lib/libapp.so.1 /usr/local/lib/libapp.so.1",
        "RUN ldconfig",
        "CMD app",
    ]


def test_arguments_come_again_where_something_uses_them() -> None:
    text = dockerfile("ARG PORT=80", "ARG JOBS=4", INSTALL, "RUN make -j$JOBS install", "ENV PORT=$PORT", "CMD app")
    lines = final_lines(split(text, made={"make": ("/opt/app",)}))
    assert "ARG PORT=80" in lines
    assert "ARG JOBS=4" not in lines


def test_tools_that_install_do_not_come_along() -> None:
    lines = (INSTALL, "RUN curl -LsSf https://astral.sh/uv/install.sh | sh", "RUN uv sync")
    made = {"astral": ("/root/.local",), "uv sync": ("/app/.venv",)}
    assert "/root/.local" not in "\n".join(final_lines(split(dockerfile(*lines, "CMD python app.py"), made=made)))
    assert "/root/.local" in "\n".join(final_lines(split(dockerfile(*lines, "CMD uv run app.py"), made=made)))


def test_what_runs_at_run_time_stays() -> None:
    text = dockerfile(INSTALL.replace("gcc", "gcc git"), "RUN curl -O x && git clone y && pip install flask")
    assert "apt-get install -y libpq5" in split(text).text
    kept = split(f"{text}HEALTHCHECK CMD curl -f localhost\nCMD git pull && flask\n").text
    assert "apt-get install -y curl git libpq5" in kept


def test_packages_that_were_missed_are_named() -> None:
    text = dockerfile(INSTALL, "RUN pip install flask")
    assert "install -y curl libpq5 libgomp1 &&" in split(text, packages=["libgomp1"]).text
    alone = dockerfile("ENV A=1", "RUN apt-get update && apt-get install -y gcc", "RUN pip install flask")
    lines = final_lines(split(alone, packages=["libgomp1"]))
    assert lines[2:5] == [
        "RUN apt-get update \\",
        "    && apt-get install -y --no-install-recommends libgomp1 \\",
        "    && rm -rf /var/lib/apt/lists/*",
    ]


def test_line_ends_stay_those_of_the_file() -> None:
    text = dockerfile("WORKDIR /app", INSTALL, "RUN pip install flask", "COPY . .").replace("\n", "\r\n")
    result = split(text)
    assert result.changes
    assert result.text.count("\n") == result.text.count("\r\n")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (('RUN ["pip", "install", "x"]', "RUN pip install flask"), "not understood"),
        (("RUN if true; then useradd app; pip install flask; fi",), "conditions"),
        (("RUN cd /opt && pip install flask && ln -s a b",), "changes folders"),
    ],
)
def test_steps_that_cannot_be_told_apart_are_left_alone(lines: tuple[str, ...], why: str) -> None:
    text = dockerfile(INSTALL, *lines)
    result = split(text)
    assert result.text == text
    assert why in result.left_out["R3"]


def test_a_stage_that_others_take_from_is_left_alone() -> None:
    text = f"FROM debian AS app\n{INSTALL}\nRUN make\nFROM debian\nCOPY --from=app /x /x\n"
    assert "takes from it" in split(text, stage="app").left_out["R3"]


def test_a_target_named_by_its_number_is_left_alone() -> None:
    text = dockerfile(INSTALL, "RUN pip install flask")
    assert "number" in split(text, stage="0").left_out["R3"]


def test_unknown_layers_and_odd_names_are_left_alone() -> None:
    text = dockerfile(INSTALL, "RUN pip install flask")
    image = facts_of(text, "R3", made=MADE)
    assert "not known" in split(text, image=replace(image, steps={2: image.steps[2]})).left_out["R3"]
    odd = StepFacts(2, 1, made=(MadePath("/opt/a b", 1),))
    assert "no COPY can say" in split(text, image=replace(image, steps={**image.steps, 3: odd})).left_out["R3"]


def test_a_build_that_deletes_what_it_was_given_is_left_alone() -> None:
    text = dockerfile(INSTALL, "COPY data /data", "RUN pip install flask && rm -rf /data")
    image = replace(facts_of(text, "R3", made=MADE), hidden=(Hidden(2, 3, "deleted", 100),))
    assert "deletes" in split(text, image=image).left_out["R3"]


_FRAGMENTS = (
    "ENV A=1 B=$A",
    "ARG C=2",
    "ENV D=$C",
    "WORKDIR /app",
    "WORKDIR sub",
    "USER app",
    "USER root",
    "LABEL a=b",
    "# A comment\nEXPOSE 80",
    "VOLUME /data",
    "STOPSIGNAL SIGINT",
    'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
    "HEALTHCHECK CMD curl -f localhost",
    'ENTRYPOINT ["tini", "--"]',
    "CMD flask run",
    "ONBUILD RUN echo",
    INSTALL,
    "RUN useradd app && mkdir -p /data",
    "RUN --mount=type=cache,target=/root/.cache/pip pip install \\\n    # the framework\n    flask",
    "RUN make install && ldconfig",
    "RUN <<EOF\nset -e\npip install flask\nmkdir /x\nEOF",
    "COPY . .",
    "COPY requirements.txt ./",
    "COPY a b /opt/",
    "",
)


_SOME = st.lists(st.sampled_from(_FRAGMENTS), max_size=5)


@settings(max_examples=150, deadline=None)
@given(_SOME, _SOME, _SOME)
def test_the_configuration_stays_and_a_second_time_changes_nothing(
    before: list[str], between: list[str], rest: list[str]
) -> None:
    text = dockerfile(*before, INSTALL, *between, "RUN pip install flask", *rest)
    made = {**MADE, "make install": ("/usr/local/bin/app", "/opt/app")}
    image = facts_of(text, "R3", made=made)
    result = split(text, image=image)
    assert result.changes
    after = parse(result.text)
    assert configuration(after, after.stages[-1]) == configuration(parse(text), parse(text).stages[-1])
    again = facts_of(result.text, "R3", made=made)
    assert split(result.text, image=again).text == result.text


def configuration(document: Dockerfile, stage: Stage) -> dict[str, object]:
    """What a stage says of the image besides its files."""
    told: dict[str, object] = {}
    listed: dict[str, list[Instruction]] = {}
    folder = "/"
    for instruction in stage.body:
        if instruction.onbuild:
            listed.setdefault("ONBUILD", []).append(instruction)
        elif instruction.keyword in ("ENV", "LABEL", "EXPOSE", "VOLUME"):
            listed.setdefault(instruction.keyword, []).append(instruction)
        elif instruction.keyword == "WORKDIR":
            given_path = instruction.words[0]
            folder = given_path if given_path.startswith("/") else f"{folder.rstrip('/')}/{given_path}"
        elif instruction.keyword in ("USER", "STOPSIGNAL", "SHELL", "HEALTHCHECK", "ENTRYPOINT", "CMD"):
            told[instruction.keyword] = (instruction.words, instruction.flags)
    meanings = {keyword: [one.meaning for one in found] for keyword, found in listed.items()}
    return {**told, **meanings, "WORKDIR": folder}
