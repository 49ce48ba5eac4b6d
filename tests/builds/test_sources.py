"""The Dockerfile and context of an image are found where a person, settings, compose or a label names them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgopt_pipeline.builds.models import Source
from imgopt_pipeline.builds.sources.compose_builds import ServiceBuild, service_build
from imgopt_pipeline.builds.sources.compose_files import ComposeError, ComposeProject, with_values
from imgopt_pipeline.builds.sources.finding import SourceNotFound, find_source, target_of
from imgopt_pipeline.builds.sources.history_match import Comparison
from imgopt_pipeline.builds.sources.history_steps import history_steps
from imgopt_pipeline.dockerfiles.parsing import DockerfileError
from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.hosts.models import Container, Image
from imgopt_pipeline.settings import TargetSettings

DOCKERFILE = 'FROM python:3.11 AS base\nRUN make\nFROM base AS final\nCOPY app.py /app.py\nCMD ["python", "/app.py"]\n'
HISTORY = history_steps(
    [
        {"CreatedBy": 'CMD ["python" "/app.py"]', "Size": 0},
        {"CreatedBy": "COPY app.py /app.py # buildkit", "Size": 5},
        {"CreatedBy": "RUN /bin/sh -c make # buildkit", "Size": 5},
        {"CreatedBy": "base", "Size": 5},
    ],
    3,
)
CONFIG = {"Cmd": ["python", "/app.py"]}
IMAGE = Image("sha256:1", ("shop-web:latest",), (), ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "app.py").touch()
    return tmp_path


def container(folder: Path | None, *files: str, **changes: Any) -> Container:
    made = Container(
        container_id="1",
        name="shop-web-1",
        image_id="sha256:1",
        image_reference="shop-web",
        state="running",
        running=True,
        created_at=None,
        started_at=None,
        restart_policy="no",
        restart_count=0,
        compose_project="shop" if folder else None,
        compose_service="web" if folder else None,
        compose_working_dir=str(folder) if folder else None,
        compose_config_files=files,
        mounts=(),
        memory_limit_bytes=None,
        log_driver="",
        log_bytes=None,
        writable_bytes=None,
    )
    return replace(made, **changes)


def found(
    containers: list[Container] | None = None,
    target: TargetSettings | None = None,
    image: Image = IMAGE,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> tuple[Source, Comparison]:
    variables = {"PATH": "/nowhere"} if environment is None else environment
    return find_source(
        image, containers or [], target, history=HISTORY, config=CONFIG, environment=variables, **options
    )


def test_what_a_person_names_comes_first(folder: Path) -> None:
    (folder / "compose.yaml").write_text("services: {web: {build: /nowhere}}")
    settings = TargetSettings(context=Path("/nowhere"), arguments={"A": "1", "B": "1"}, secrets={"ca": Path("/ca")})

    source, comparison = found([container(folder)], settings, context=folder, arguments={"B": "2"}, stage="final")

    assert (source.dockerfile, source.context) == (folder / "Dockerfile", folder)
    assert (source.arguments, source.secrets, source.stage) == ({"A": "1", "B": "2"}, {"ca": "/ca"}, "final")
    assert (source.agrees, source.remarks) == (True, ())
    assert comparison.layers == {2: 1, 4: 2}


def test_settings_come_before_labels(folder: Path) -> None:
    source, _ = found([container(Path("/nowhere"))], TargetSettings(dockerfile=folder / "Dockerfile"))

    assert source.context == folder
    assert "imgopt.yaml" in source.origin


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"context": "gone"}, "there is no folder"),
        ({"dockerfile": "gone", "context": "."}, "there is no Dockerfile"),
        ({"context": ".", "stage": "finish"}, "has no stage finish (it has base, final)"),
    ],
)
def test_what_a_person_names_wrongly_is_refused(folder: Path, options: dict[str, str], said: str) -> None:
    given: dict[str, Any] = {name: value if name == "stage" else folder / value for name, value in options.items()}
    with pytest.raises(SettingsError) as caught:
        found(**given)
    assert said in str(caught.value)


def test_a_dockerfile_that_does_not_parse_is_told(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM a\nRUN <<END\n")
    with pytest.raises(DockerfileError):
        found(context=folder)


def test_a_context_without_what_is_copied_does_not_agree(folder: Path) -> None:
    (folder / "app.py").unlink()

    source, _ = found(context=folder)

    assert not source.agrees
    assert source.remarks == ("the context lacks app.py, which the Dockerfile copies",)


def test_compose_files_are_relative_to_their_project_or_absolute_or_the_usual_ones(folder: Path) -> None:
    for name in ("docker-compose.yml", "compose.yaml"):
        (folder / name).write_text("services: {web: {build: {context: ., target: final, args: {A: 1.5, T: true}}}}")

    for files in (["docker-compose.yml"], [str(folder / "docker-compose.yml")], []):
        source, _ = found([container(folder, *files)])
        assert (source.context, source.stage, source.service) == (folder, "final", "shop/web")
        assert source.arguments == {"A": "1.5", "T": "true"}


def test_of_several_services_the_one_that_agrees_is_taken(folder: Path) -> None:
    (folder / "Dockerfile.job").write_text(DOCKERFILE.replace('"/app.py"]', '"/job.py"]'))
    (folder / "compose.yaml").write_text(
        "services:\n job: {image: shop-web, build: {context: ., dockerfile: Dockerfile.job}}\n web: {build: .}\n"
    )
    job = container(folder, compose_service="job")

    assert found([job, container(folder)])[0].service == "shop/web"
    source, _ = found([job])
    assert not source.agrees
    assert "the image runs python /app.py, this Dockerfile python /job.py" in source.remarks


def test_a_service_that_builds_another_image_is_not_it(folder: Path) -> None:
    (folder / "compose.yaml").write_text("services: {web: {image: 'other:2', build: .}}")

    with pytest.raises(SourceNotFound) as caught:
        found([container(folder)])
    assert "it builds other:2" in caught.value.message

    moved_on = replace(IMAGE, references=())
    assert found([container(folder)], image=moved_on)[0].agrees


def test_the_images_own_compose_labels_need_a_container_that_knows_the_folder(folder: Path) -> None:
    (folder / "compose.yaml").write_text("services: {web: {build: .}, other: {image: x}}")
    labelled = replace(IMAGE, labels={"com.docker.compose.project": "shop", "com.docker.compose.service": "web"})
    neighbour = container(folder, image_id="sha256:2", image_reference="x", compose_service="other")

    assert found([neighbour], image=labelled)[0].service == "shop/web"
    with pytest.raises(SourceNotFound, match="compose project shop, of which no container"):
        found(image=labelled)


def test_labels_of_our_own_builds_name_the_files(folder: Path) -> None:
    labelled = replace(IMAGE, labels={"imgopt.dockerfile": str(folder / "Dockerfile")})

    assert found(image=labelled)[0].context == folder
    with pytest.raises(SourceNotFound, match="engine's machine"):
        found(image=labelled, local=False)


def test_a_third_partys_image_is_left_alone_and_what_was_tried_is_told(folder: Path) -> None:
    (folder / "compose.yaml").write_text("services: {web: {image: shop-web}}")
    gone = container(folder / "gone", "docker-compose.yml", compose_project="old")

    with pytest.raises(SourceNotFound) as caught:
        found([container(folder), gone, container(None)])

    assert caught.value.exit_code == 3
    assert f"{folder / 'gone' / 'docker-compose.yml'}" in caught.value.message
    assert "it has no `build`" in caught.value.message
    assert "--dockerfile" in caught.value.hint


def test_targets_are_named_with_or_without_a_tag() -> None:
    exact, general = TargetSettings(stage="exact"), TargetSettings(stage="general")
    image = replace(IMAGE, references=("registry:5000/shop/web:v2",))

    assert target_of(image.references, {"registry:5000/shop/web": general}) is general
    assert target_of(image.references, {"registry:5000/shop/web": general, "registry:5000/shop/web:v2": exact}) is exact
    assert target_of(image.references, {"registry": general}) is None


COMPOSE = """
x-args: &args {VERSION: "1", FROM_ENVIRONMENT: null, MISSING: null}
services:
  web:
    profiles: [production]
    build:
      context: ./web
      dockerfile: ../Dockerfile
      target: final
      args: {<<: *args, DEFAULT: "${UNSET:-d}$$"}
      additional_contexts: [shared=./shared, base=docker-image://python]
      secrets: [file, {source: file, target: other}, variable]
      platforms: [linux/amd64]
      network: host
  worker:
    extends: {service: web}
    image: "${REGISTRY}/worker"
    build: {context: ./worker, args: [VERSION=2]}
  elsewhere: {build: "https://user:secret@example.org/shop.git#main"}
  inline: {build: {context: ., dockerfile_inline: FROM a}}
  third: {extends: {file: sub/other.yaml, service: third}}
secrets:
  file: {file: ./secret}
  variable: {environment: TOKEN}
"""


@pytest.mark.parametrize("programs", ["/nowhere", os.environ["PATH"]], ids=["by hand", "by compose"])
def test_a_build_means_the_same_to_us_as_to_compose(tmp_path: Path, programs: str) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / ".env").write_text("FROM_ENVIRONMENT=file\nREGISTRY='registry'\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/other.yaml").write_text("services: {third: {build: .}}")
    environment = {"PATH": programs, "HOME": str(tmp_path), "FROM_ENVIRONMENT": "environment"}
    project = ComposeProject("shop", tmp_path, (tmp_path / "compose.yaml",))

    web = service_build(project, "web", environment)
    worker = service_build(project, "worker", environment)
    third = service_build(project, "third", environment)

    assert web is not None
    assert worker is not None
    assert third is not None
    assert web.context.resolve() == tmp_path / "web"
    assert web.dockerfile.resolve() == tmp_path / "Dockerfile"
    assert web.arguments == {"VERSION": "1", "FROM_ENVIRONMENT": "environment", "DEFAULT": "d$"}
    assert (web.stage, web.platform, web.network) == ("final", "linux/amd64", "host")
    assert {name: value.replace("/./", "/") for name, value in web.contexts.items()} == {
        "shared": f"{tmp_path}/shared",
        "base": "docker-image://python",
    }
    assert set(web.secrets) == {"file", "other"}
    assert Path(web.secrets["file"]).resolve() == tmp_path / "secret"
    assert any("variable" in remark for remark in web.remarks)
    assert worker.context.resolve() == tmp_path / "worker"
    assert (worker.image, worker.arguments["VERSION"], worker.stage) == ("registry/worker", "2", "final")
    assert third.context.resolve() == tmp_path / "sub"
    for service, said in (("elsewhere", "not on this machine"), ("inline", "inside"), ("none", "no service none")):
        with pytest.raises(ComposeError, match=said) as caught:
            service_build(project, service, environment)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("services: [", "no YAML"),
        ("services: {web: {build: {context: '${WHERE}'}}}", "WHERE"),
        ("services: {web: {extends: web}}", "without an end"),
        ("services: {web: {extends: gone}}", "gone"),
        ("[]", "no service"),
        ("services: {web: !reset null}", "no YAML"),
    ],
)
def test_a_broken_compose_file_is_told(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "compose.yaml").write_text(content)

    with pytest.raises(ComposeError, match=said) as caught:
        service_build(ComposeProject("shop", tmp_path, (tmp_path / "compose.yaml",)), "web", {"PATH": "/nowhere"})
    assert str(tmp_path) in str(caught.value)


def test_a_pipe_is_no_compose_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "compose.yaml")
    with pytest.raises(ComposeError, match="no compose file"):
        service_build(ComposeProject("shop", tmp_path, (tmp_path / "compose.yaml",)), "web", {})


def test_later_files_stand_over_earlier_ones(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yml", tmp_path / "b.yml"
    first.write_text("services: {web: {build: {context: one, args: [A=1, B=1]}}}")
    second.write_text("services: {web: {image: x, build: {target: t, args: {B: 2}}}}")

    build = service_build(ComposeProject("shop", tmp_path, (first, second)), "web", {"PATH": "/nowhere"})

    assert build == ServiceBuild(
        "x", tmp_path / "one", tmp_path / "one/Dockerfile", arguments={"A": "1", "B": "2"}, stage="t"
    )


@pytest.mark.parametrize(
    ("text", "result", "missing"),
    [
        ("$A-${A}", "1-1", []),
        ("${EMPTY:-x}${EMPTY-x}", "x", []),
        ("${NO:?must be}", "", ["NO"]),
        ("${A:+yes}${NO+no}", "yes", []),
        ("$$A $5", "$A $5", []),
        ("${NO:-${A}}", "}", ["?"]),
    ],
)
def test_variables_are_put_in_as_compose_does(text: str, result: str, missing: list[str]) -> None:
    assert with_values(text, {"A": "1", "EMPTY": ""})[1] == missing
    if not missing:
        assert with_values(text, {"A": "1", "EMPTY": ""})[0] == result
