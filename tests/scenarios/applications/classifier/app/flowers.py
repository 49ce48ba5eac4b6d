"""The model: photos in, probabilities out."""

import os

import numpy as np
import onnxruntime
from PIL import Image

LABELS = ["daisy", "dandelion", "rose", "sunflower", "tulip"]
SIDE = 64


def open_session() -> onnxruntime.InferenceSession:
    path = os.environ.get("MODEL_PATH", "model/flowers.onnx")
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    usable = [name for name in wanted if name in onnxruntime.get_available_providers()]
    return onnxruntime.InferenceSession(path, providers=usable)


SESSION = open_session()
DEVICE = "cuda" if "CUDAExecutionProvider" in SESSION.get_providers() else "cpu"


def classify(image: Image.Image) -> dict[str, float]:
    pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE)), dtype=np.float32) / 255
    scores = SESSION.run(None, {"image": pixels.transpose(2, 0, 1)[None]})[0][0]
    return {label: round(float(score), 4) for label, score in zip(LABELS, scores)}
