"""The acoustic model: mel energies, a small recurrent network, greedy decoding."""

import os

import numpy as np
import torch
from torch import nn

ALPHABET = " abcdefghijklmnopqrstuvwxyz'"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FRAME_SECONDS = 0.02
BANDS = 40


class AcousticModel(nn.Module):
    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.encoder = nn.GRU(BANDS, width, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, len(ALPHABET) + 1)

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        encoded, _ = self.encoder(bands)
        return torch.log_softmax(self.head(encoded), dim=-1)


def load_model() -> AcousticModel:
    torch.manual_seed(int(os.environ.get("MODEL_SEED", "0")))
    model = AcousticModel()
    if path := os.environ.get("MODEL_PATH"):
        model.load_state_dict(torch.load(path, map_location=DEVICE, weights_only=True))
    return model.to(DEVICE).eval()


MODEL = load_model()


def energies(samples: np.ndarray, rate: int) -> np.ndarray:
    size = max(BANDS * 2, int(rate * FRAME_SECONDS))
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(size)))
    bands = np.stack([band.mean(axis=1) for band in np.array_split(spectrum, BANDS, axis=1)], axis=1)
    return np.log1p(bands).astype(np.float32)


@torch.inference_mode()
def transcribe(samples: np.ndarray, rate: int) -> str:
    if len(samples) < rate * FRAME_SECONDS:
        return ""
    bands = torch.from_numpy(energies(samples, rate)).unsqueeze(0).to(DEVICE)
    best = MODEL(bands).argmax(dim=-1)[0].tolist()
    letters = [now for before, now in zip([None, *best], best) if now != before and now < len(ALPHABET)]
    return "".join(ALPHABET[letter] for letter in letters)
