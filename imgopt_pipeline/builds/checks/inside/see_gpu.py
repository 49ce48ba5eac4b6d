"""Run by an image's own Python: what its framework was built for and whether it sees a GPU, in JSON."""

import importlib
import json
import sys

told: dict[str, object] = {}
try:
    torch = importlib.import_module("torch")
    told = {
        "framework": "torch " + str(torch.__version__),
        "cuda": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
        "available": bool(torch.cuda.is_available()),
    }
except ImportError:
    try:
        onnxruntime = importlib.import_module("onnxruntime")
        providers = onnxruntime.get_available_providers()
        seen = "CUDAExecutionProvider" in providers
        told = {"framework": "onnxruntime " + str(onnxruntime.__version__), "cuda": seen or None, "available": seen}
    except ImportError:
        try:
            tensorflow = importlib.import_module("tensorflow")
            told = {
                "framework": "tensorflow " + str(tensorflow.__version__),
                "cuda": tensorflow.test.is_built_with_cuda() or None,
                "available": bool(tensorflow.config.list_physical_devices("GPU")),
            }
        except ImportError:
            told = {}
sys.stdout.write(json.dumps(told))
