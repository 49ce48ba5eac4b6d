"""Reading recordings."""

import io
import wave

import numpy as np


def read_wav(data: bytes) -> tuple[np.ndarray, int]:
    """Samples between -1 and 1 of the first channel, and their rate."""
    try:
        with wave.open(io.BytesIO(data)) as recording:
            if recording.getsampwidth() != 2:
                raise ValueError("only 16-bit recordings are supported")
            frames = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2")
            return frames[:: recording.getnchannels()].astype(np.float32) / 32768, recording.getframerate()
    except (wave.Error, EOFError) as error:
        raise ValueError("not a WAV file") from error
