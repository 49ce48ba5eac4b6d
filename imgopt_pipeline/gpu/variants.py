"""Packages that come in GPU builds: what a GPU is to each, what its CPU variant is called, which files are GPU-only.

Facts about packages alone; what an image makes of them is `image`. Names are compared as Python compares
them (PEP 503), and patterns are RE2's, which DuckDB runs, and Python's alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from imgopt_pipeline.sql import literal


@dataclass(frozen=True, slots=True)
class Variant:
    """Packages whose names match `pattern`: `role` is a value of package_inventory.gpu_role, `build` cuda or rocm.

    `cpu_name` is what to install instead, empty where nothing replaces it.
    """

    pattern: str
    role: str
    build: str = "cuda"
    cpu_name: str = ""


PYTHON_VARIANTS = (
    Variant(r"torch|torchvision|torchaudio", "framework", cpu_name=r"\g<0>"),
    Variant(r"pytorch-triton-rocm|triton-rocm", "compiler", "rocm"),
    Variant(r"triton|triton-nightly|pytorch-triton", "compiler"),
    Variant(
        r"nvidia-(?:cublas|cuda-\w+|cuda-[\w-]+|cudnn|cudss|cufft|cufile|curand|cusolver|cusparse|cusparselt|cutensor|nccl|npp"
        r"|nvimgcodec|nvcomp|nvjitlink|nvjpeg|nvjpeg2k|nvrtc|nvshmem|nvtx|nvvm)(?:-cu\d+)?",
        "library",
    ),
    Variant(r"cuda-(?:python|bindings|toolkit|core|pathfinder)|cudatoolkit", "library"),
    Variant(r"tensorrt(?:-cu\d+)?(?:[-_](?:libs|bindings|dispatch|lean).*)?", "library"),
    Variant(r"rocm|rocm-sdk.*|amdsmi", "library", "rocm"),
    Variant(r"onnxruntime-gpu", "framework", cpu_name="onnxruntime"),
    Variant(r"onnxruntime-(?:rocm|migraphx)", "framework", "rocm", "onnxruntime"),
    Variant(r"tensorflow|tensorflow-gpu", "framework", cpu_name="tensorflow-cpu"),
    Variant(r"tensorflow-rocm", "framework", "rocm", "tensorflow-cpu"),
    Variant(r"jax-cuda\d*-(?:plugin|pjrt)|jax-cuda-(?:plugin|pjrt)", "plugin", cpu_name="jax"),
    Variant(r"jax-rocm\d*-(?:plugin|pjrt)", "plugin", "rocm", "jax"),
    Variant(r"cupy|cupy-cuda\d+x?", "framework", cpu_name="numpy"),
    Variant(r"cupy-rocm.*", "framework", "rocm", "numpy"),
    Variant(r"paddlepaddle-gpu", "framework", cpu_name="paddlepaddle"),
    Variant(r"faiss-gpu(?:-cu\d+)?(?:-cuvs)?", "framework", cpu_name="faiss-cpu"),
    Variant(r"xgboost", "framework", cpu_name="xgboost-cpu"),
    Variant(r"mxnet-cu\d+", "framework", cpu_name="mxnet"),
    Variant(r"torch-tensorrt|numba-cuda|nvidia-dali.*", "plugin"),
    Variant(
        r"(?:lib)?(?:cudf|cuml|cugraph|cuspatial|cuvs|raft|rmm|cucim|cuxfilter|kvikio)(?:-cu\d+)?|pylib(?:raft|cugraph)(?:-cu\d+)?"
        r"|dask-cu(?:df|da)(?:-cu\d+)?|raft-dask(?:-cu\d+)?|ucx-py(?:-cu\d+)?|rapids.*",
        "needs gpu",
    ),
    Variant(r"vllm|sglang|tensorrt-llm|lmdeploy|exllamav2|autoawq|auto-gptq|gptqmodel|flashinfer-python", "needs gpu"),
    Variant(r"bitsandbytes|flash-attn|apex|pycuda|mamba-ssm|causal-conv1d", "needs gpu"),
)
"""Python packages, the first that matches counts. A pattern matches the whole normalised name."""

CONDA_VARIANTS = (
    Variant(r"pytorch|pytorch-gpu|libtorch", "framework", cpu_name="pytorch-cpu"),
    Variant(
        r"pytorch-cuda|cudatoolkit|cudnn|nccl|cuda-.*|lib(?:cu(?:blas|fft|rand|solver|sparse|file)|np+|nvj[a-z]+).*",
        "library",
    ),
    Variant(r"faiss-gpu|libfaiss-.*cuda.*", "framework", cpu_name="faiss-cpu"),
)
"""Packages of conda that go by another name there."""

DEBIAN_VARIANTS = (
    Variant(
        r"(?:cuda-|libcuda|libcudnn|libcublas|libcufft|libcufile|libcurand|libcusolver|libcusparse|libcutensor|libnccl|libnpp"
        r"|libnvjpeg|libnvjitlink|libnvinfer|libnvonnxparsers|libnvvm|libnvrtc|nvidia-cuda|tensorrt|nsight-).*",
        "library",
    ),
    Variant(
        r"(?:rocm|rocblas|rocfft|rocsolver|rocsparse|rocrand|miopen|hipblas|hipsparse|hipfft|rccl|hsa-rocr|hip-).*",
        "library",
        "rocm",
    ),
)
NODE_VARIANTS = (Variant(r"@tensorflow/tfjs-node-gpu", "framework", cpu_name="@tensorflow/tfjs-node"),)

CPU_FRAMEWORKS = (
    r"torch|pytorch|pytorch-cpu|tensorflow|tensorflow-cpu|intel-tensorflow|onnxruntime|jaxlib|jax|paddlepaddle|faiss-cpu|xgboost-cpu"
    r"|mxnet|@tensorflow/tfjs-node|onnxruntime-node"
)
"""Frameworks that have GPU builds, by the names of their CPU builds."""

CPU_NAMES = {"opencv-python": "opencv-python-headless", "opencv-contrib-python": "opencv-contrib-python-headless"}
"""Smaller variants that have nothing to do with a GPU: for servers without a display."""

SAME_FILE = {
    "tensorflow": "CPU and GPU code share libtensorflow_cc.so and _pywrap_tensorflow_internal.so",
    "xgboost": "CPU and GPU code share libxgboost.so",
    "faiss-gpu": "CPU and GPU code share _swigfaiss.so",
    "torchvision": "GPU kernels are within _C.so",
    "ctranslate2": "there is one build for both; it loads CUDA by name where that is installed",
}
"""Frameworks whose GPU code cannot be told from their other code by file: only a rebuild shows what it takes."""


@dataclass(frozen=True, slots=True)
class GpuOnlyFiles:
    """Files that only a GPU build has, beside those of whole packages. `part` says in words what they are."""

    part: str
    build: str
    pattern: str


_PACKAGES = r"(?:site|dist)-packages/"
_SYSTEM = r"^usr/(?:local/)?lib/(?:[^/]+-linux-gnu/)?"

GPU_ONLY_FILES = (
    GpuOnlyFiles(
        "torch",
        "cuda",
        rf"{_PACKAGES}torch/lib/(?:libtorch_cuda[^/]*|libc10_cuda|libcaffe2_nvrtc|libtorch_nvshmem|libcu[a-z]+-[^/]*|libnv[a-zA-Z]+-[^/]*"
        r"|libcudnn[^/]*|libcublas[^/]*)\.so",
    ),
    GpuOnlyFiles(
        "torch",
        "rocm",
        rf"{_PACKAGES}torch/lib/(?:lib(?:torch_hip|c10_hip|caffe2_nvrtc_hip|amd|hip|roc|MIOpen|hsa|rccl|rocm|magma)[^/]*\.so"
        r"|(?:rocblas|hipblaslt|hipsparselt|aotriton)[^/]*/)",
    ),
    GpuOnlyFiles("torchvision", "cuda", rf"{_PACKAGES}torchvision\.libs/(?:libcudart|libnvjpeg)"),
    GpuOnlyFiles(
        "onnxruntime",
        "cuda",
        rf"{_PACKAGES}onnxruntime/capi/libonnxruntime_providers_(?:cuda|tensorrt|nv_tensorrt_rtx)",
    ),
    GpuOnlyFiles("onnxruntime", "rocm", rf"{_PACKAGES}onnxruntime/capi/libonnxruntime_providers_(?:rocm|migraphx)"),
    GpuOnlyFiles("cupy", "cuda", rf"{_PACKAGES}(?:cupy|cupy_backends|cupyx)/"),
    GpuOnlyFiles("paddle", "cuda", rf"{_PACKAGES}paddle/libs/lib(?:phi_gpu|cudnn|cublas|cuda|nccl)"),
    GpuOnlyFiles("bitsandbytes", "cuda", rf"{_PACKAGES}bitsandbytes/libbitsandbytes_cuda"),
    GpuOnlyFiles("bitsandbytes", "rocm", rf"{_PACKAGES}bitsandbytes/libbitsandbytes_rocm"),
    GpuOnlyFiles("ctranslate2", "cuda", rf"{_PACKAGES}ctranslate2\.libs/libcu"),
    GpuOnlyFiles(
        "NVIDIA libraries beside Python packages", "cuda", rf"{_PACKAGES}nvidia/[^/]+/(?:lib|bin|include|nvvm)/"
    ),
    GpuOnlyFiles("CUDA toolkit", "cuda", r"^(?:usr/local|opt)/cuda(?:-[0-9.]+)?/"),
    GpuOnlyFiles(
        "CUDA libraries of the system",
        "cuda",
        rf"{_SYSTEM}(?:libcudnn|libcublas|libcufft|libcurand|libcusolver|libcusparse|libcutensor|libnccl|libnpp|libnvinfer|libnvrtc|libcudart)",
    ),
    GpuOnlyFiles("ROCm", "rocm", r"^opt/rocm(?:-[0-9.]+)?/"),
)
"""The first that matches counts. Patterns match somewhere in a path without leading slash."""

GPU_ROLES = ("library", "compiler", "plugin")
"""Roles of packages of which a CPU build has nothing at all."""

_TOOLKIT = re.compile(r"^(?:usr/local|opt)/(?:cuda|rocm)-([0-9.]+)/")


def _any_pattern() -> str:
    return "|".join(f"(?:{files.pattern})" for files in GPU_ONLY_FILES)


GPU_ONLY_CONDITION = (
    f"(coalesce(gpu_role, '') IN ({', '.join(literal(role) for role in GPU_ROLES)})"
    f" OR regexp_matches(path, {literal(_any_pattern())}))"
)
"""SQL over `path` and `gpu_role` (null where no package owns the file): whether only a GPU build has it."""


def gpu_part_expression(column: str) -> str:
    """SQL over `path`: the `part` or `build` of the GPU-only files it belongs to, null for others."""
    cases = " ".join(
        f"WHEN regexp_matches(path, {literal(files.pattern)}) THEN {literal(str(getattr(files, column)))}"
        for files in GPU_ONLY_FILES
    )
    return f"CASE {cases} END"


def gpu_role(ecosystem: str, name: str, version: str, local_version: str | None) -> str:
    """What a GPU build is to a package: '', library, framework, compiler, plugin, or needs gpu.

    `local_version` is what its own code states (`2.8.0+cpu`); a build for the CPU has no role.
    """
    variant = variant_of(ecosystem, name)
    if variant is None or is_cpu_build(local_version or version):
        return ""
    return variant.role


def variant_of(ecosystem: str, name: str) -> Variant | None:
    """The row of the table for a package, None for most."""
    wanted = _normalised(name) if ecosystem in ("python", "conda") else name.lower()
    tables = {
        "python": PYTHON_VARIANTS,
        "conda": (*CONDA_VARIANTS, *PYTHON_VARIANTS),
        "debian": DEBIAN_VARIANTS,
        "node": NODE_VARIANTS,
    }
    return next((item for item in tables.get(ecosystem, ()) if re.fullmatch(item.pattern, wanted)), None)


def cpu_variant(name: str) -> str | None:
    """What to install instead where no GPU is there: `onnxruntime` for `onnxruntime-gpu`; torch itself for torch.

    A name that is its own CPU variant (torch) comes as a build of its own, with `+cpu` in its version.
    """
    wanted = _normalised(name)
    if wanted in CPU_NAMES:
        return CPU_NAMES[wanted]
    for item in (*PYTHON_VARIANTS, *CONDA_VARIANTS, *NODE_VARIANTS):
        match = re.fullmatch(item.pattern, wanted if item not in NODE_VARIANTS else name.lower())
        if match:
            return match.expand(item.cpu_name) or None
    return None


def is_cpu_framework(ecosystem: str, name: str) -> bool:
    """Whether it is a framework that has GPU builds, by a name that its CPU builds have."""
    return ecosystem in ("python", "conda", "node") and re.fullmatch(CPU_FRAMEWORKS, _normalised(name)) is not None


def is_cpu_build(version: str) -> bool:
    """Whether a version is labelled as built for the CPU: `2.8.0+cpu`, `2.8.0+cpu.cxx11.abi`."""
    return re.search(r"\+(?:[\w.]*\.)?cpu(?:\.|$)", version) is not None


def toolkit_version(path: str) -> str | None:
    """The version in the path of a file of a CUDA or ROCm installation."""
    match = _TOOLKIT.match(path)
    return match[1] if match else None


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
