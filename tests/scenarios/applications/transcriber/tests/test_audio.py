import io
import wave

import numpy as np
import pytest

from app.audio import read_wav


def recording(samples: np.ndarray, rate: int = 16000) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return target.getvalue()


def test_reads_samples_and_rate():
    samples, rate = read_wav(recording(np.array([0.0, 0.5, -0.5])))
    assert rate == 16000
    assert samples == pytest.approx([0.0, 0.5, -0.5], abs=1e-3)


def test_refuses_other_data():
    with pytest.raises(ValueError, match="WAV"):
        read_wav(b"nonsense")
