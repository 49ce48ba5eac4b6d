"""Templates: every combination of answers parses and is clean, projects are read for what they are, nothing slips in.

Building and running the results is in tests/engine/test_templates.py.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import dockerfile
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from imgopt_pipeline.cli import templates
from imgopt_pipeline.dockerfiles.templates.answers import (
    BASES,
    TEMPLATES,
    Answers,
    Choices,
    NodeAnswers,
    PythonAnswers,
    Serving,
    Template,
    TemplateRefused,
)
from imgopt_pipeline.dockerfiles.templates.making import Made, make
from imgopt_pipeline.dockerfiles.templates.rendering import render

HADOLINT = Path(sys.executable).with_name("hadolint")
PYTHON = Serving(("uvicorn", "app.main:app"), 8000, "/health", known_path=True)
NODE = Serving(("node", "dist/index.js"), 3000, "/", environment=(("TZ", "UTC"),))
MAIN = "from fastapi import FastAPI\napp = FastAPI()\n"
PACKAGE: dict[str, object] = {"name": "shop", "dependencies": {"express": "4"}, "scripts": {"start": "node index.js"}}


def all_answers() -> Iterable[Answers]:
    yield from python_answers()
    yield from node_answers()


def python_answers() -> Iterable[PythonAnswers]:
    """Every combination that reading a project can give, bases and installers above all."""
    methods = {"pip": ("requirements", "pyproject", "project"), "uv": ("lock",), "poetry": ("lock",)}
    for base, (installer, ways), flag in itertools.product(BASES, methods.items(), (False, True)):
        for method, torch in itertools.product(ways, ("none", "cpu", "cuda")):
            yield PythonAnswers(
                PYTHON if flag else replace(PYTHON, port=None, path=None),
                base=base,
                installer=installer,  # type: ignore[arg-type]
                method=method,  # type: ignore[arg-type]
                files=() if method == "project" else ("requirements.txt", "requirements/base.txt"),
                sources_first=method == "project" or flag,
                installs_project=flag,
                source_folder="src" if flag else "",
                compiles=flag,
                packages=("libpq5=1*", "ffmpeg=7:*") if flag and base == "debian" else (),
                torch=torch,  # type: ignore[arg-type]
                keeps_models=not flag,
            )


def node_answers() -> Iterable[NodeAnswers]:
    """The same for Node."""
    for base, manager, flag, build in itertools.product(
        BASES, ("npm", "pnpm", "yarn", "yarn-berry"), (False, True), (None, "build")
    ):
        for next_folder in (None, ".next") if build else (None,):
            yield NodeAnswers(
                NODE,
                base=base,
                manager=manager,  # type: ignore[arg-type]
                manager_version="10.34.8" if manager == "pnpm" else None,
                files=("package.json", "lock.yaml"),
                folders=("patches",) if flag else (),
                locked=flag,
                depends=not flag,
                build_script=build,
                needs_development=flag,
                next_folder=next_folder,
                sets_standalone=flag,
                build_arguments=("NEXT_PUBLIC_OWNER",) if flag else (),
                secret_npmrc=flag,
                compiles=flag,
            )


def test_every_result_parses_and_means_what_it_should() -> None:
    """Two stages, a user who is not root, exec form, no frontend to fetch."""
    for answers in all_answers():
        text = render(answers).dockerfile
        commands = dockerfile.parse_string(text)
        names = [command.cmd.upper() for command in commands]
        last_stage = commands[len(names) - names[::-1].index("FROM") - 1 :]
        assert names.count("FROM") == 2, text
        assert next(item for item in last_stage if item.cmd.upper() == "USER").value[0].split(":")[0].isdigit()
        starts = [item for item in last_stage if item.cmd.upper() in ("CMD", "ENTRYPOINT")]
        assert [item.json for item in starts] == [True], text
        assert ("HEALTHCHECK" in names) == (answers.serving.port is not None)
        assert "curl" not in text
        assert not text.startswith("# syntax"), text
        assert not [line for line in text.splitlines() if line != line.rstrip() or len(line) > 220], text
        assert "\n\n\n" not in text


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    """With all its rules, and nothing ignored."""
    for number, answers in enumerate(all_answers()):
        (tmp_path / f"{number}.Dockerfile").write_text(render(answers).dockerfile)
    files = sorted(tmp_path.glob("*.Dockerfile"))
    done = subprocess.run(
        [HADOLINT, "--no-color", "--config=/dev/null", *files], check=False, capture_output=True, text=True
    )
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["fastapi-pip", "fastapi-uv", "python-ml", "nodejs-build", "nextjs"])
def test_results_as_a_person_reads_them(name: str) -> None:
    """Whole texts, to be looked at when they change: IMGOPT_GOLDEN=write writes them anew."""
    answers: dict[str, Answers] = {
        "fastapi-pip": PythonAnswers(PYTHON, packages=("libpq5=1*",), compiles=True),
        "fastapi-uv": PythonAnswers(
            PYTHON, installer="uv", method="lock", files=("pyproject.toml", "uv.lock"), installs_project=True
        ),
        "python-ml": PythonAnswers(PYTHON, torch="cpu", keeps_models=True),
        "nodejs-build": NodeAnswers(NODE, build_script="build", needs_development=True),
        "nextjs": NodeAnswers(
            NODE, build_script="build", next_folder=".next", sets_standalone=True, needs_development=True
        ),
    }
    rendered = render(answers[name])
    text = f"{rendered.dockerfile}\n# .dockerignore\n{rendered.ignore}"
    golden = Path(__file__).with_name("templates") / f"{name}.txt"
    if os.environ.get("IMGOPT_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


def read(folder: Path, files: Mapping[str, str | dict[str, object]], template: Template, **more: object) -> Made:
    """What is made of a project with these files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return make(Choices(template, **more), folder)  # type: ignore[arg-type]


def python(folder: Path, files: Mapping[str, str], template: Template = "fastapi", **more: object) -> PythonAnswers:
    answers = read(folder, files, template, **more).answers
    assert isinstance(answers, PythonAnswers)
    return answers


def node(folder: Path, files: Mapping[str, str | dict[str, object]], **more: object) -> NodeAnswers:
    answers = read(folder, files, "nodejs", **more).answers
    assert isinstance(answers, NodeAnswers)
    return answers


def test_requirements_with_what_they_include(tmp_path: Path) -> None:
    files = {
        "requirements.txt": "-r requirements/base.txt\n-c constraints.txt\nuvicorn # serves\n",
        "requirements/base.txt": "fastapi==0.115.6 \\\n  ; python_version > '3'\npsycopg2==2.9.10\n",
        "constraints.txt": "starlette<1\n",
        "backend/api.py": MAIN + '@app.get("/healthz")\ndef healthz(): ...\n',
        ".python-version": "3.12.4\n",
    }
    answers = python(tmp_path, files)
    assert answers.files == ("requirements.txt", "requirements/base.txt", "constraints.txt")
    assert answers.serving.command == ("uvicorn", "backend.api:app", "--host", "0.0.0.0", "--port", "8000")
    assert (answers.serving.path, answers.serving.known_path, answers.version) == ("/healthz", True, "3.12")
    assert answers.compiles
    assert answers.packages == ("libpq5=1*",)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pyproject.toml": '[project]\nname="a"\nrequires-python=">=3.10,<3.13"\ndependencies=["fastapi"]\n'}, "3.12"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython="~3.11"\nfastapi="*"\n', "poetry.lock": ""}, "3.11"),
        ({"pyproject.toml": '[project]\nname="a"\nrequires-python=">=3.11"\n', "uv.lock": ""}, "3.13"),
    ],
)
def test_python_versions(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    answers = python(tmp_path, files | {"main.py": MAIN})
    assert answers.version == expected
    assert answers.installer == {"poetry.lock": "poetry", "uv.lock": "uv"}.get([*files][-1], "pip")


def test_an_application_is_found_where_it_is(tmp_path: Path) -> None:
    """In a src folder, made by a function; not in tests, not in a virtual environment, not in broken files."""
    files = {
        "requirements.txt": "fastapi[standard]",
        "tests/main.py": MAIN,
        ".venv/main.py": MAIN,
        "broken.py": "FastAPI(((",
        "src/shop/web.py": "import fastapi\ndef create_app():\n    it = fastapi.FastAPI()\n"
        '    @it.get("/ping")\n    def ping(): ...\n    return it\n',
    }
    made = read(tmp_path, files, "fastapi")
    serving = made.answers.serving
    assert serving.command[:2] == ("uvicorn", "shop.web:create_app")
    assert serving.command[-1] == "--factory"
    assert serving.path == "/ping"
    assert "PYTHONPATH=/app/src" in made.rendered.dockerfile


def test_pytorch_without_cuda_unless_a_gpu_is_wanted(tmp_path: Path) -> None:
    files = {"requirements.txt": "torch==2.8.0\nuvicorn\nfastapi\nonnxruntime-gpu\n", "app.py": MAIN}
    made = read(tmp_path, files, "python-ml")
    assert 'pip install --no-deps --index-url "$TORCH_INDEX"' in made.rendered.dockerfile
    assert any("onnxruntime is its counterpart" in remark for remark in made.remarks)
    wanted = read(tmp_path, files, "python-ml", gpu=True)
    assert "TORCH_INDEX" not in wanted.rendered.dockerfile
    assert "NVIDIA_VISIBLE_DEVICES=all" in wanted.rendered.dockerfile
    own = files | {"requirements.txt": "--index-url https://example.org/simple\ntorch\n"}
    assert "TORCH_INDEX" not in read(tmp_path, own, "python-ml").rendered.dockerfile


@pytest.mark.parametrize(
    ("requirement", "ports", "start"),
    [("streamlit", 8501, "streamlit"), ("gradio", 7860, "python"), ("numpy", None, "python")],
)
def test_other_model_servers(tmp_path: Path, requirement: str, ports: int | None, start: str) -> None:
    files = {"requirements.txt": requirement, "app.py": "if __name__ == '__main__': ..."}
    serving = python(tmp_path, files, "python-ml").serving
    assert (serving.port, serving.command[0]) == (ports, start)


@pytest.mark.parametrize("needed", ["torch", "faster-whisper", "scikit-learn", "opencv-python-headless", "psycopg2"])
def test_alpine_is_refused_where_it_cannot_be(tmp_path: Path, needed: str) -> None:
    files = {"requirements.txt": f"fastapi\nuvicorn\n{needed}\n", "main.py": MAIN}
    with pytest.raises(TemplateRefused, match="--base debian"):
        python(tmp_path, files, base="alpine")
    assert python(tmp_path, files | {"requirements.txt": "fastapi\nuvicorn\n"}, base="alpine").base == "alpine"


def test_node_by_its_files(tmp_path: Path) -> None:
    files: dict[str, str | dict[str, object]] = {
        "package.json": PACKAGE
        | {
            "engines": {"node": "^20.9"},
            "packageManager": "pnpm@9.15.9+sha512.abc",
            "scripts": {
                "build": "tsc",
                "start": "cross-env TZ=UTC NODE_ENV=production node --enable-source-maps dist/a.js",
            },
            "devDependencies": {"typescript": "5"},
        },
        "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
        "pnpm-workspace.yaml": "onlyBuiltDependencies: [esbuild]\n",
        "src/a.ts": "app.get('/healthz', f); app.listen(process.env.PORT || 8081)",
    }
    answers = node(tmp_path, files)
    assert (answers.manager, answers.manager_version, answers.version) == ("pnpm", "9.15.9", "20")
    assert answers.files == ("package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml")
    assert answers.serving.command == ("node", "--enable-source-maps", "dist/a.js")
    assert answers.serving.environment == (("TZ", "UTC"),)
    assert (answers.serving.port, answers.serving.path) == (8081, "/healthz")
    assert answers.needs_development


def test_next_by_its_configuration(tmp_path: Path) -> None:
    files: dict[str, str | dict[str, object]] = {
        "package.json": {"dependencies": {"next": "15"}, "scripts": {"build": "next build"}},
        "next.config.ts": "// output: 'standalone'\nexport default { distDir: './made' };",
        ".env": "NEXT_PUBLIC_KEY=not-to-be-shown\nSECRET=neither\n",
    }
    made = read(tmp_path, files, "nodejs")
    assert isinstance(made.answers, NodeAnswers)
    assert (made.answers.next_folder, made.answers.sets_standalone) == ("made", True)
    assert made.answers.build_arguments == ("NEXT_PUBLIC_KEY",)
    assert not [text for text in (made.rendered.dockerfile, *made.remarks) if "not-to-be-shown" in text]
    standalone = files | {"next.config.ts": "export default { output: 'standalone' };"}
    assert not node(tmp_path, standalone).sets_standalone
    with pytest.raises(TemplateRefused, match="static files"):
        node(tmp_path, files | {"next.config.ts": "export default { output: 'export' };"})


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no package.json"),
        ({"package.json": "{"}, "no JSON"),
        ({"package.json": PACKAGE | {"workspaces": ["packages/*"]}}, "workspace"),
        ({"package.json": PACKAGE, "yarn.lock": "__metadata:\n"}, "Plug'n'Play"),
        ({"package.json": PACKAGE, "bun.lock": ""}, "Bun"),
        ({"package.json": {"scripts": {"start": "tsx src/index.ts"}}}, "development dependency"),
        ({"package.json": {"name": "nothing"}}, "how to start"),
    ],
)
def test_node_projects_refused(tmp_path: Path, files: dict[str, str | dict[str, object]], said: str) -> None:
    with pytest.raises(TemplateRefused, match=said):
        node(tmp_path, files)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "depends on"),
        ({"Pipfile": ""}, "pipenv requirements"),
        ({"environment.yml": ""}, "conda"),
        ({"requirements.txt": "fastapi"}, "FastAPI"),
        ({"requirements.txt": "-r ../secret.txt", "main.py": MAIN}, "not in the project"),
        ({"pyproject.toml": "[", "main.py": MAIN}, "no TOML"),
        ({"requirements.txt": "-r a b.txt", "main.py": MAIN}, "not in the project"),
        ({"pyproject.toml": "[tool.poetry]\n", "main.py": MAIN}, "poetry lock"),
    ],
)
def test_python_projects_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(TemplateRefused, match=said):
        python(tmp_path, files)


@pytest.mark.parametrize("value", ["3", "'x'", "[1]", "{ a = 1 }", "[{ b = [2] }]"])
@pytest.mark.parametrize(
    "path",
    ["project", "tool", "build-system", "project.dependencies", "tool.poetry.dependencies", "tool.uv", "package"],
)
def test_tables_that_are_something_else(tmp_path: Path, path: str, value: str) -> None:
    files = {"pyproject.toml": f"{path} = {value}\n", "uv.lock": f"package = {value}\n", "main.py": MAIN}
    for lock in ("uv.lock", "poetry.lock"):
        (tmp_path / lock).mkdir(parents=True)
        content = {name.replace("uv.lock", lock): text for name, text in files.items()}
        try:
            python(tmp_path / lock, content)
        except TemplateRefused as refusal:
            assert str(refusal)


def test_a_token_stays_out_of_the_image(tmp_path: Path) -> None:
    """It is mounted while packages are installed, and the file is ignored otherwise."""
    files: dict[str, str | dict[str, object]] = {
        "package.json": PACKAGE,
        "package-lock.json": {},
        ".npmrc": "//example.org/:_authToken=abc123\n",
    }
    made = read(tmp_path, files, "nodejs")
    assert "--mount=type=secret,id=npmrc" in made.rendered.dockerfile
    assert "abc123" not in made.rendered.dockerfile
    assert ".npmrc" in made.rendered.ignore.splitlines()
    assert ".npmrc" not in (
        word for line in made.rendered.dockerfile.splitlines() if "COPY" in line for word in line.split()
    )


def test_links_out_of_the_project_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text(MAIN)
    (tmp_path / "project").mkdir()
    (tmp_path / "project/requirements.txt").symlink_to(tmp_path / "secret.py")
    (tmp_path / "project/main.py").symlink_to(tmp_path / "secret.py")
    with pytest.raises(TemplateRefused, match="depends on"):
        python(tmp_path / "project", {})


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_nothing_that_is_read_becomes_an_instruction(first: str, second: str, third: str) -> None:
    """Words of a start script and names of files end up as such, or are refused."""
    serving = Serving(("node", first, second), 3000, "/")
    answers = NodeAnswers(serving, files=("package.json",), folders=(third,) if third else ())
    plain = dockerfile.parse_string(render(NodeAnswers(NODE, files=("package.json",))).dockerfile)
    try:
        commands = dockerfile.parse_string(render(answers).dockerfile)
    except TemplateRefused:
        return
    assert commands[-1].value == ("node", first, second)
    assert len(commands) <= len(plain) + 1


def test_command(tmp_path: Path) -> None:
    """Printed by default; written on request, not over a file unless forced, and then with a backup."""
    app = typer.Typer()
    templates.register(app)
    app.callback()(lambda: None)

    def run(*arguments: str) -> tuple[str, str]:
        result = CliRunner().invoke(app, ["template", *arguments])
        if result.exception is not None:
            raise result.exception
        return result.stdout, result.stderr

    (tmp_path / "requirements.txt").write_text("fastapi\nuvicorn\n")
    (tmp_path / "main.py").write_text(MAIN)
    before = sorted(tmp_path.iterdir())
    printed, said = run("fastapi", "--from", str(tmp_path), "--python", "3.12")
    assert printed.startswith("FROM python:3.12-slim AS build\n")
    assert "port 8000 assumed; --port" in said
    assert "Python" not in said
    assert sorted(tmp_path.iterdir()) == before
    assert "# .dockerignore\n" in run("fastapi", "--dockerignore")[0]

    (tmp_path / "Dockerfile").write_text("FROM old\n")
    with pytest.raises(TemplateRefused, match="Dockerfile would be overwritten"):
        run("fastapi", "--from", str(tmp_path), "--write")
    assert not (tmp_path / ".dockerignore").exists()
    assert run("fastapi", "--from", str(tmp_path), "--python", "3.12", "--write", "--force")[0] == ""
    assert (tmp_path / "Dockerfile").read_text() == printed
    assert (tmp_path / "Dockerfile.bak").read_text() == "FROM old\n"
    assert ".git" in (tmp_path / ".dockerignore").read_text().splitlines()
    again = run("fastapi", "--from", str(tmp_path), "--python", "3.12", "--write")[1]
    assert "has both files as they are" in again


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("django",), "fastapi"),
        (("fastapi", "--base", "ubuntu"), "wolfi"),
        (("fastapi", "--node", "20"), "--node"),
        (("fastapi", "--python", "3.12\nRUN evil"), "no version"),
        (("fastapi", "--write"), "--into"),
        (("fastapi", "--force"), "--write"),
        (("fastapi", "--command", "'"), "does not end"),
        (("fastapi", "--app", "main"), "MODULE:NAME"),
        (("fastapi", "--health", "/'); evil("), "no path"),
        (("fastapi", "--package", "x; rm"), "no package"),
        (("fastapi", "--from", "/nowhere"), "no such folder"),
        (("nodejs", "--package-manager", "pip"), "pip"),
        (("fastapi", "--package-manager", "npm"), "npm"),
    ],
)
def test_commands_refused(arguments: tuple[str, ...], said: str) -> None:
    app = typer.Typer()
    templates.register(app)
    app.callback()(lambda: None)
    result = CliRunner().invoke(app, ["template", *arguments])
    assert isinstance(result.exception, TemplateRefused)
    assert said in str(result.exception)


def test_templates_are_all_known() -> None:
    assert {type(make(Choices(template)).answers) for template in TEMPLATES} == {PythonAnswers, NodeAnswers}
