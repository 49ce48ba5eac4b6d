"""Foreground and background by edges and a small convolution."""

import numpy as np
import tensorflow as tf

DEVICE = "cuda" if tf.config.list_physical_devices("GPU") else "cpu"


def build_model() -> tf.keras.Model:
    tf.keras.utils.set_random_seed(5)
    photo = tf.keras.Input((None, None, 3))
    hidden = tf.keras.layers.Conv2D(8, 3, padding="same", activation="relu")(photo)
    return tf.keras.Model(photo, tf.keras.layers.Conv2D(1, 1, activation="sigmoid")(hidden))


MODEL = build_model()


def segment(photo: np.ndarray) -> np.ndarray:
    pixels = tf.cast(photo, tf.float32)[None] / 255
    return MODEL(pixels)[0, ..., 0].numpy() > 0.5
