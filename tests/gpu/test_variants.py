"""The table of GPU builds: roles, CPU variants, and patterns that mean the same to DuckDB and to Python."""

from __future__ import annotations

import re

import duckdb
import pytest

from imgopt_pipeline.gpu.image import GpuFiles, gpu_files
from imgopt_pipeline.gpu.variants import (
    GPU_ONLY_CONDITION,
    GPU_ONLY_FILES,
    cpu_variant,
    gpu_role,
    is_cpu_framework,
    toolkit_version,
)

ROLES = {
    ("python", "torch", "2.8.0+cu128"): "framework",
    ("python", "torch", "2.8.0+cpu"): "",
    ("python", "torchaudio", None): "framework",
    ("python", "nvidia-cublas-cu12", None): "library",
    ("python", "nvidia_cuda_runtime_cu12", None): "library",
    ("python", "nvidia-cusparselt-cu12", None): "library",
    ("python", "nvidia-ml-py", None): "",
    ("python", "triton", None): "compiler",
    ("python", "pytorch-triton-rocm", None): "compiler",
    ("python", "onnxruntime-gpu", None): "framework",
    ("python", "onnxruntime", None): "",
    ("python", "tensorflow", None): "framework",
    ("python", "tensorflow-cpu", None): "",
    ("python", "jax-cuda12-plugin", None): "plugin",
    ("python", "jax_cuda12_pjrt", None): "plugin",
    ("python", "jax", None): "",
    ("python", "cupy-cuda12x", None): "framework",
    ("python", "paddlepaddle-gpu", None): "framework",
    ("python", "faiss-gpu-cu12", None): "framework",
    ("python", "xgboost", None): "framework",
    ("python", "cudf-cu12", None): "needs gpu",
    ("python", "cuml-cu12", None): "needs gpu",
    ("python", "vllm", None): "needs gpu",
    ("python", "vllm", "0.9.0+cpu"): "",
    ("python", "bitsandbytes", None): "needs gpu",
    ("python", "flash_attn", None): "needs gpu",
    ("python", "requests", None): "",
    ("conda", "cudatoolkit", None): "library",
    ("conda", "libcublas", None): "library",
    ("conda", "pytorch", None): "framework",
    ("debian", "libcudnn9-cuda-12", None): "library",
    ("debian", "cuda-libraries-12-4", None): "library",
    ("debian", "libc6", None): "",
    ("debian", "torch", None): "",
    ("node", "@tensorflow/tfjs-node-gpu", None): "framework",
    ("node", "triton", None): "",
}


@pytest.mark.parametrize("package", ROLES)
def test_the_role_of_a_package(package: tuple[str, str, str | None]) -> None:
    ecosystem, name, local_version = package
    assert gpu_role(ecosystem, name, "1.0", local_version) == ROLES[package]


def test_cpu_variants() -> None:
    names = {
        "onnxruntime-gpu": "onnxruntime",
        "tensorflow": "tensorflow-cpu",
        "jax-cuda12-plugin": "jax",
        "cupy-cuda12x": "numpy",
        "paddlepaddle-gpu": "paddlepaddle",
        "faiss-gpu-cu12": "faiss-cpu",
        "xgboost": "xgboost-cpu",
        "opencv-python": "opencv-python-headless",
        "torch": "torch",
        "torchvision": "torchvision",
        "vllm": None,
        "nvidia-cublas-cu12": None,
        "requests": None,
    }
    assert {name: cpu_variant(name) for name in names} == names


def test_a_cpu_variant_is_no_gpu_build_itself() -> None:
    for name in ("onnxruntime", "tensorflow-cpu", "paddlepaddle", "faiss-cpu", "xgboost-cpu"):
        assert gpu_role("python", name, "1", None) == ""
        assert is_cpu_framework("python", name)


SITE = "usr/local/lib/python3.11/site-packages/"
GPU_PATHS = {
    SITE + "torch/lib/libtorch_cuda.so": "torch",
    SITE + "torch/lib/libtorch_cuda_linalg.so": "torch",
    SITE + "torch/lib/libc10_cuda.so": "torch",
    SITE + "torch/lib/libcaffe2_nvrtc.so": "torch",
    SITE + "torch/lib/libcudart-8774224f.so.12": "torch",
    SITE + "torch/lib/libtorch_hip.so": "torch",
    SITE + "torch/lib/rocblas/library/x.co": "torch",
    SITE + "torchvision.libs/libnvjpeg.8dd2b5e6.so.12": "torchvision",
    SITE + "onnxruntime/capi/libonnxruntime_providers_cuda.so": "onnxruntime",
    SITE + "onnxruntime/capi/libonnxruntime_providers_tensorrt.so": "onnxruntime",
    SITE + "cupy/_core/core.so": "cupy",
    "usr/local/cuda-12.4/bin/nvcc": "CUDA toolkit",
    "usr/lib/x86_64-linux-gnu/libcudnn.so.9": "CUDA libraries of the system",
    "opt/rocm-6.1.0/lib/librocblas.so": "ROCm",
}
OTHER_PATHS = (
    SITE + "torch/lib/libtorch_cpu.so",
    SITE + "torch/lib/libtorch.so",
    SITE + "torch/lib/libtorch_python.so",
    SITE + "torch/lib/libc10.so",
    SITE + "torch/cuda/__init__.py",
    SITE + "torch/lib/libgomp.so.1",
    SITE + "torch/lib/libshm.so",
    SITE + "torchvision.libs/libpng16.0481ee11.so.16",
    SITE + "onnxruntime/capi/libonnxruntime_providers_shared.so",
    "home/usr/local/cuda-notes.txt",
    "usr/lib/x86_64-linux-gnu/libcups.so.2",
    "usr/lib/x86_64-linux-gnu/libnpth.so.0",
)


@pytest.mark.parametrize("path", [*GPU_PATHS, *OTHER_PATHS])
def test_files_of_gpu_builds_are_told_alike_by_duckdb_and_python(path: str) -> None:
    first = next((files.part for files in GPU_ONLY_FILES if re.search(files.pattern, path)), None)
    (row,) = duckdb.sql(f"SELECT {GPU_ONLY_CONDITION} FROM (SELECT '{path}' AS path, NULL AS gpu_role)").fetchall()
    assert (first, row[0]) == (GPU_PATHS.get(path), path in GPU_PATHS)


def test_gpu_files_add_up_each_once() -> None:
    paths = [*GPU_PATHS, *OTHER_PATHS, SITE + "nvidia/cudnn/lib/libcudnn.so.9", SITE + "triton/_C/libtriton.so"]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE live_files (file_id INTEGER, path VARCHAR, size_bytes BIGINT)")
        connection.execute("CREATE TABLE ownership (file_id INTEGER, owner_id INTEGER)")
        connection.execute("CREATE TABLE owners (owner_id INTEGER, name VARCHAR, gpu_role VARCHAR)")
        connection.execute("INSERT INTO owners VALUES (0, 'torch', 'framework'), (1, 'nvidia-cudnn', 'library'),"
                           " (2, 'triton', 'compiler')")  # fmt: skip
        for number, path in enumerate(paths):
            owner = {"torch/": 0, "nvidia/": 1, "triton/": 2}
            owner_id = next((key for part, key in owner.items() if part in path), None)
            connection.execute(f"INSERT INTO live_files VALUES ({number}, '{path}', {1000 + number})")
            if owner_id is not None:
                connection.execute(f"INSERT INTO ownership VALUES ({number}, {owner_id})")
        connection.execute(
            "CREATE TABLE gpu_files AS SELECT file_id FROM live_files LEFT JOIN ownership USING (file_id)"
            f" LEFT JOIN owners USING (owner_id) WHERE {GPU_ONLY_CONDITION}"
        )
        found = gpu_files(connection)
    expected = sum(1000 + number for number, path in enumerate(paths) if path not in OTHER_PATHS)
    assert sum(item.size_bytes for item in found) == expected
    assert GpuFiles("nvidia-cudnn", "", 1000 + len(paths) - 2, 1, paths[-2]) in found
    assert {(item.part, item.build) for item in found} >= {("torch", "cuda"), ("torch", "rocm"), ("triton", "")}


def test_the_version_in_a_toolkits_path() -> None:
    assert toolkit_version("usr/local/cuda-12.4/lib64/libcudart.so") == "12.4"
    assert toolkit_version("opt/rocm-6.1.0/bin/x") == "6.1.0"
    assert toolkit_version("usr/local/cuda/bin/nvcc") is None
