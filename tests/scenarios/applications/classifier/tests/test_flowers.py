import pytest
from PIL import Image

from app.flowers import LABELS, classify


def test_probabilities_sum_to_one():
    result = classify(Image.new("RGB", (200, 100), "red"))
    assert list(result) == LABELS
    assert sum(result.values()) == pytest.approx(1, abs=1e-3)
