"""Networks small enough to train in a second, and cells to train them on."""

import pytest

from helpers import data
from helpers.phantom import Phantom

# Keras 3 hands TensorFlow's tensors to NumPy 2 in a way that NumPy wants changed one day.
KERAS_WARNING = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def tiny_network(input_shape=(48, 64, 3), name="tiny", dropout=0.2):
    """Pool twice and come back, with all that has a state: normalisation, dropout."""
    import keras

    layers = keras.layers
    x = grey = keras.Input(input_shape)
    x = layers.Rescaling(1 / 127.5, -1)(x)
    x = layers.Conv2D(8, 3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2DTranspose(8, 4, 4, padding="same", activation="relu")(x)
    x = layers.Conv2D(4, 1)(x)
    return keras.Model(grey, layers.Softmax(dtype="float32")(x), name=name)


def small_cell():
    """Return a synthetic cell of 16 slices of 120 x 120."""
    return data.phantom_stack(Phantom((16, 120, 120), (900.0, 160.0, 160.0)))
