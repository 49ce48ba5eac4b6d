"""What in an image needs the CUDA of its base: packages that compile against it, and those that load its libraries."""

from __future__ import annotations

import re

from imgopt_pipeline.dockerfiles.build_tools import builds, install_calls, package_name, package_words
from imgopt_pipeline.dockerfiles.drafts import Draft
from imgopt_pipeline.dockerfiles.facts import ImageFacts
from imgopt_pipeline.dockerfiles.runs import runs

#: Distributions without wheels for CUDA, which pip builds with nvcc.
_COMPILED = re.compile(
    r"flash-attn|apex|mamba-ssm|causal-conv1d|deepspeed|pycuda|tinycudann|pytorch3d|detectron2|nvdiffrast|gsplat"
    r"|torch-(scatter|sparse|cluster)|llama-cpp-python|auto-gptq|gptqmodel|natten|xformers|sageattention"
    r"|diff-gaussian-rasterization|simple-knn|transformer-engine"
)
#: They call nvcc or NVVM of the system when they run.
_CALLING_NVCC = re.compile(
    r"deepspeed|pycuda|numba-cuda|flashinfer-python|vllm|sglang|tensorrt-llm|lmdeploy|cupy(-cuda.*)?|gptqmodel|pytensor"
)
#: Their wheels bring CUDA or need nvidia-* wheels, which are found beside them.
_SELF_SUFFICIENT = re.compile(
    r"torch(vision|audio|codec)?|triton|pytorch-triton|nvidia-.*|cuda-(bindings|pathfinder|toolkit)|torchao"
    r"|jax-cuda.*|jaxlib|jax|bitsandbytes|xgboost"
)


def compiled_with_cuda(image: ImageFacts) -> list[str]:
    """Python packages that pip compiles with nvcc."""
    return sorted(name for name in image.of("python") if _COMPILED.fullmatch(name))


def calling_nvcc(image: ImageFacts) -> list[str]:
    """Python packages that compile for the GPU when they run."""
    return sorted(name for name in image.of("python") if _CALLING_NVCC.fullmatch(name))


def loading_system_cuda(image: ImageFacts) -> list[str]:
    """GPU packages of Python that may load CUDA's libraries from the system."""
    return sorted(
        name
        for name, package in image.of("python").items()
        if (package.gpu_role and not _SELF_SUFFICIENT.fullmatch(name)) or name in ("ctranslate2", "llama-cpp-python")
    )


def only_installs_wheels(draft: Draft) -> bool:
    """Whether all that the stage builds is what pip installs, none of it known to be compiled with nvcc."""
    assert draft.image is not None
    calls = [call for run in runs(draft, {draft.stage.number}) for call in run.calls if builds(call)]
    return not compiled_with_cuda(draft.image) and all(call.program in ("pip", "uv pip", "uv") for call in calls)


def speaks_of_cuda(draft: Draft) -> str | None:
    """What the Dockerfile itself says of the base's CUDA, None where it says nothing."""
    for stage in draft.lineage:
        for instruction in stage.body:
            text = " ".join((*instruction.flags, *instruction.words))
            if found := re.search(r"/usr/local/cuda|\bCUDA_HOME\b|\bnvcc\b", text):
                return found[0]
    for run in runs(draft):
        for call in install_calls(run.calls):
            for name in map(package_name, package_words(call)):
                if re.match(r"cuda-|libcud|libcublas|libnccl|libnv|libcu|nsight|tensorrt", name):
                    return name
    return None
