"""The sources of images that compose and both builders built are found on a real engine, and no other's.

One project of two services is built and its containers created, never started.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from imgopt_pipeline.builds.models import Source
from imgopt_pipeline.builds.sources.finding import find_source
from imgopt_pipeline.builds.sources.history_match import Comparison, compare_history
from imgopt_pipeline.builds.sources.history_steps import history_steps
from imgopt_pipeline.dockerfiles.parsing import parse
from imgopt_pipeline.hosts.connection import EngineAddress
from imgopt_pipeline.hosts.engine import EngineHost

from .daemons import Daemon, EngineError

BASE = "sources-base:1"
COMPOSE = """
services:
  web:
    build: {context: ./web, network: host, args: {VERSION: "7"}, target: final}
    network_mode: none
  worker:
    profiles: [jobs]
    image: example/worker:1
    build: {context: ., dockerfile: worker/Dockerfile, network: host}
    network_mode: none
  cache:
    image: sources-base:1
    network_mode: none
"""
WEB = f"""ARG BASE={BASE}
FROM $BASE AS build
RUN echo built > /built
FROM $BASE AS final
ARG VERSION=1
ENV VERSION=$VERSION PATH=/srv:$PATH
WORKDIR /srv
COPY main.txt ./
RUN set -e; \\
    # which one
    echo   $VERSION > version && \\
    touch /srv/done
COPY --from=build /built /srv/
USER 1000
CMD ["cat", "main.txt"]
FROM $BASE
"""
WORKER = f"""FROM {BASE}
COPY worker/job.txt /srv/
RUN cat /srv/job.txt \\
    > /srv/result
RUN <<EOF
echo one > /one
rm /srv/job.txt
EOF
ENTRYPOINT cat /srv/result
"""


@pytest.fixture(scope="module")
def project(classic: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the project, whose images are built and whose containers are created."""
    folder = tmp_path_factory.mktemp("shop")
    for name, content in {
        "docker-compose.yml": COMPOSE,
        "web/Dockerfile": WEB,
        "web/main.txt": "main",
        "worker/Dockerfile": WORKER,
        "worker/job.txt": "job",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    classic.import_busybox(BASE)
    try:
        classic.docker("compose", "version")
    except EngineError:
        pytest.skip("sources: docker compose is not installed")
    compose = ["compose", f"--project-directory={folder}", f"--file={folder}/docker-compose.yml", "--profile=jobs"]
    classic.docker(*compose, "build", "--quiet")
    classic.docker(*compose, "create")
    return folder


@pytest.fixture(scope="module")
def host(classic: Daemon, project: Path) -> Iterator[EngineHost]:
    with closing(EngineHost("local", [EngineAddress(classic.url, "test")])) as opened:
        yield opened


def test_compose_services_are_found_and_their_lines_lead_to_layers(
    host: EngineHost, classic: Daemon, project: Path
) -> None:
    web, compared = source(host, classic, f"{project.name}-web")

    assert (web.dockerfile, web.context, web.stage) == (project / "web/Dockerfile", project / "web", "final")
    assert (web.arguments, web.service) == ({"VERSION": "7"}, f"{project.name}/web")
    assert (web.agrees, compared.share) == (True, 1.0)
    assert compared.layers == {7: 1, 8: 2, 9: 3, 13: 4}

    worker, compared = source(host, classic, "example/worker:1")

    assert (worker.dockerfile, worker.context) == (project / "worker/Dockerfile", project)
    assert (worker.agrees, worker.remarks, worker.network) == (True, (), "host")
    assert (compared.share, compared.layers) == (1.0, {2: 1, 3: 2, 5: 3})


def test_the_dockerfile_of_another_service_is_told_apart(host: EngineHost, classic: Daemon, project: Path) -> None:
    wrong, compared = source(host, classic, f"{project.name}-web", dockerfile=project / "worker/Dockerfile")

    assert not wrong.agrees
    assert compared.share < 0.5
    assert any(remark.startswith("the image runs cat main.txt, this Dockerfile ") for remark in wrong.remarks)
    assert "the context lacks worker/job.txt, which the Dockerfile copies" in wrong.remarks


def test_an_image_of_the_legacy_builder_agrees_too(host: EngineHost, classic: Daemon, project: Path) -> None:
    built = subprocess.run(
        ["docker", "build", "--network=host", "--tag=legacy:1", "--target=final", project / "web"],
        env=classic.environment | {"DOCKER_BUILDKIT": "0"},
        check=False,
        capture_output=True,
    )
    assert built.returncode == 0, built.stderr
    document = parse(WEB)
    stage = document.stage_named("final")
    assert stage is not None
    inspected = host.client.inspect_image("legacy:1")
    layers = inspected["RootFS"]["Layers"]

    compared = compare_history(
        document, stage, history_steps(host.client.history("legacy:1"), len(layers)), inspected["Config"]
    )

    assert (compared.agrees, compared.share, compared.remarks) == (True, 1.0, ())
    assert compared.layers == {7: 1, 8: 2, 9: 3, 13: 4}


def source(
    host: EngineHost, daemon: Daemon, reference: str, dockerfile: Path | None = None
) -> tuple[Source, Comparison]:
    image = host.image(reference)
    inspected = host.client.inspect_image(reference)
    return find_source(
        image,
        host.containers(),
        history=history_steps(host.client.history(reference), len(image.layers)),
        config=inspected["Config"],
        dockerfile=dockerfile,
        base_layers={BASE: host.client.inspect_image(BASE)["RootFS"]["Layers"]},
        environment=daemon.environment,
    )
