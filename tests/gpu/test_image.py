"""What an image is built for comes from version files, packages and files, and not from its name or metadata alone."""

from __future__ import annotations

from typing import Any

import pytest

from imgopt_pipeline.gpu.image import GpuFiles, ImageGpu, image_gpu
from imgopt_pipeline.gpu.variants import gpu_role
from imgopt_pipeline.names import printable

SITE = "usr/local/lib/python3.11/site-packages"
TORCH = f"{SITE}/torch/version.py"
FALLBACK = b'device = "cuda" if torch.cuda.is_available() else "cpu"'


def package(name: str, version: str = "1.0", local: str | None = None, size_bytes: int = 1_000_000) -> dict[str, Any]:
    role = gpu_role("python", name, version, local)
    return {
        "ecosystem": "python",
        "name": name,
        "version": version,
        "local_version": local,
        "location": SITE,
        "gpu_role": role,
        "size_bytes": size_bytes,
    }


def torch_file(version: str, cuda: str | None = None, hip: str | None = None) -> bytes:
    return (
        "from typing import Optional\n"
        f"__version__ = {version!r}\ndebug = False\ncuda: Optional[str] = {cuda!r}\nhip: Optional[str] = {hip!r}\n"
    ).encode()


def test_torch_from_a_registry_says_cuda_only_in_its_version_file() -> None:
    found = image_gpu(
        [package("torch", "2.8.0"), package("nvidia-cudnn-cu12", "9.10"), package("triton", "3.4.0")],
        {TORCH: torch_file("2.8.0+cu128", "12.8"), "app/main.py": FALLBACK},
        {},
    )
    assert (found.build, found.need, found.gpu_bytes) == ("cuda", "optional", 2_000_000)
    assert found.versions == ("torch 2.8.0+cu128", "CUDA 12.8")
    assert [piece.source for piece in found.evidence if piece.value == "cuda"] == [TORCH, SITE]


def test_odd_paths_are_escaped_once() -> None:
    path = printable(f"opt/\x1b[31m/{TORCH}")
    files = [GpuFiles("torch", "cuda", 5_000_000, 1, path)]
    found = image_gpu([package("torch", "2.8.0")], {path: torch_file("2.8.0+\x1bcu128", "12.8")}, {}, files)
    assert {piece.source for piece in found.evidence if piece.value == "cuda"} == {path}
    assert found.versions[0] == "torch 2.8.0+\\x1bcu128"


def test_torch_for_the_cpu() -> None:
    found = image_gpu([package("torch", "2.8.0", "2.8.0+cpu")], {TORCH: torch_file("2.8.0+cpu")}, {})
    assert (found.build, found.need, found.gpu_bytes) == ("cpu", "none", 0)


def test_torch_for_rocm() -> None:
    documents = {TORCH: torch_file("2.8.0+rocm6.4", hip="6.4.43482")}
    found = image_gpu([package("torch", "2.8.0", "2.8.0+rocm6.4")], documents, {})
    assert (found.build, found.versions) == ("rocm", ("torch 2.8.0+rocm6.4", "ROCm 6.4.43482"))


def test_libraries_of_cuda_left_beside_a_cpu_build_are_a_cuda_build() -> None:
    documents = {TORCH: torch_file("2.8.0+cpu")}
    found = image_gpu([package("torch", "2.8.0", "2.8.0+cpu"), package("nvidia-cublas-cu12")], documents, {})
    assert (found.build, found.gpu_bytes) == ("cuda", 1_000_000)


OTHER_BUILDS = {
    "onnxruntime-gpu": ("onnxruntime-gpu", None, None, "cuda"),
    "onnxruntime": ("onnxruntime", None, None, "cpu"),
    "onnxruntime says it": (
        "onnxruntime-gpu",
        f"{SITE}/onnxruntime/capi/build_and_package_info.py",
        b"package_name = 'onnxruntime-gpu'\n__version__ = '1.22.0'\ncuda_version = '12.8'\n",
        "cuda",
    ),
    "tensorflow with CUDA": (
        "tensorflow",
        f"{SITE}/tensorflow/python/platform/build_info.py",
        b"build_info = OrderedDict([('cuda_version', '12.5.1'), ('is_cuda_build', True)])\n",
        "cuda",
    ),
    "tensorflow without": (
        "tensorflow",
        f"{SITE}/tensorflow/python/platform/build_info.py",
        b"build_info = OrderedDict([('is_cuda_build', False), ('is_rocm_build', False)])\n",
        "cpu",
    ),
    "tensorflow unsaid": ("tensorflow", None, None, "cpu"),
    "paddle": ("paddlepaddle-gpu", f"{SITE}/paddle/version/__init__.py", b"cuda_version = '12.6'\n", "cuda"),
    "cupy": ("cupy-cuda12x", None, None, "cuda"),
    "jax plugin": ("jax-cuda12-plugin", None, None, "cuda"),
    "faiss": ("faiss-gpu-cu12", None, None, "cuda"),
    "nothing": ("requests", None, None, "none"),
}


@pytest.mark.parametrize("name", OTHER_BUILDS)
def test_other_frameworks(name: str) -> None:
    installed, path, content, build = OTHER_BUILDS[name]
    documents = {path: content} if path and content else {}
    assert image_gpu([package(installed)], documents, {}).build == build


def test_files_count_instead_of_packages_and_name_the_toolkit() -> None:
    files = [
        GpuFiles("CUDA toolkit", "cuda", 3_000_000_000, 700, "usr/local/cuda-12.4/lib64/libcublasLt.so.12"),
        GpuFiles("nvidia-cudnn-cu12", "", 500, 3, f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9"),
    ]
    found = image_gpu([package("nvidia-cudnn-cu12", size_bytes=9_999)], {}, {}, files)
    assert (found.build, found.gpu_bytes) == ("cuda", 3_000_000_500)
    assert "CUDA toolkit 12.4" in found.versions


@pytest.mark.parametrize("name", ["tensorflow", "faiss-gpu-cu12", "xgboost", "ctranslate2"])
def test_it_says_where_gpu_code_cannot_be_told_by_file(name: str) -> None:
    statements = [piece.statement for piece in image_gpu([package(name)], {}, {}).evidence]
    assert any("share" in text or "one build for both" in text for text in statements)
    assert not any("share" in piece.statement for piece in image_gpu([package("xgboost-cpu")], {}, {}).evidence)


def test_an_environment_preset_by_a_base_image_is_no_build() -> None:
    found = image_gpu([], {}, {"NVIDIA_VISIBLE_DEVICES": "all", "CUDA_VERSION": "12.4.1"})
    assert (found.build, found.need) == ("none", "none")


NEEDS: dict[str, tuple[list[str], bytes, dict[str, str], str]] = {
    "made for GPUs": (["torch", "vllm"], b"", {}, "likely"),
    "demanded": (["torch"], b"m.cuda()", {}, "required"),
    "demanded and asked": (["torch"], b"m.cuda()\n" + FALLBACK, {}, "likely"),
    "told to use the CPU": (["torch"], FALLBACK, {"DEVICE": "cpu"}, "none"),
    "demanded, told otherwise": (["torch"], b"m.cuda()", {"DEVICE": "cpu"}, "likely"),
    "demanded, hidden": (["torch"], b"m.cuda()", {"CUDA_VISIBLE_DEVICES": "-1"}, "required"),
    "hidden": (["torch"], b"", {"CUDA_VISIBLE_DEVICES": ""}, "none"),
    "told to use a GPU": (["torch"], b"", {"DEVICE": "cuda"}, "required"),
    "asked, told to use a GPU": (["torch"], FALLBACK, {"DEVICE": "cuda"}, "likely"),
    "wished": (["torch"], FALLBACK, {"USE_GPU": "true"}, "optional"),
    "switched off": (["torch"], b"", {"USE_GPU": "false"}, "none"),
    "switched off by another name": (["torch"], b"", {"NO_CUDA": "1"}, "none"),
    "nothing said": (["torch", "nvidia-cublas-cu12"], b"x = 1", {}, "unknown"),
}


@pytest.mark.parametrize("name", NEEDS)
def test_need(name: str) -> None:
    packages, source, environment, need = NEEDS[name]
    documents = {"app/main.py": source, TORCH: torch_file("2.8.0+cu128", "12.8")}
    assert image_gpu([package(item) for item in packages], documents, environment).need == need


@pytest.mark.parametrize("content", [b"", b"\xff\0", b"cuda = (", b"cuda = [1" * 9_000, b"__version__ = 7\ncuda = {}"])
def test_broken_version_files_are_passed_over(content: bytes) -> None:
    found = image_gpu([package("torch", "2.8.0"), package("nvidia-cudnn-cu12")], {TORCH: content}, {})
    assert found.build == "cuda"


def test_rows_have_the_columns_of_the_tables() -> None:
    found = image_gpu([package("onnxruntime-gpu")], {}, {"DEVICE": "cpu"})
    assert found.row("sha256:1", "7")["environment"] == [("DEVICE", "cpu")]
    assert isinstance(found, ImageGpu)
    assert {row["image_id"] for row in found.evidence_rows("sha256:1")} == {"sha256:1"}
