"""What the device is, which precision it computes fastest, and models made for it."""

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from helpers.machine import load_tensorflow, processor
from helpers.settings import check_choice
from helpers.training.recipe import PRECISIONS

CPU_INFO = Path("/proc/cpuinfo")
"""Where Linux says what a processor can do; on other systems bfloat16 must be asked for."""


def need_tensorflow():
    """Import TensorFlow, or say how to get it.

    Returns
    -------
    module
        ``tensorflow``

    Raises
    ------
    ImportError
        If it, or Keras, is not installed, or Keras runs on another backend.
    """
    try:
        tensorflow = load_tensorflow()
        import keras
    except ImportError as error:
        raise ImportError(
            'Training networks needs TensorFlow and Keras: pip install "helpers[networks]" '
            "(see the README)."
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            f"Keras runs on {keras.backend.backend()}; this book needs it on TensorFlow. "
            "Set the environment variable KERAS_BACKEND=tensorflow before Python starts."
        )
    # Advice on retracing, for loops that make one model after the other as a chapter does.
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


def device_name() -> str:
    """Name what computes: the first GPU, or the processor and its cores.

    Returns
    -------
    str
    """
    tf = need_tensorflow()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return processor()


def choose_precision(wanted: str = "auto") -> str:
    """Choose in which numbers to compute; weights are kept in float32 whatever the choice.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16", "float16"}
        ``auto`` leaves it to the device.

    Returns
    -------
    {"float32", "bfloat16", "float16"}
        For ``auto``: bfloat16 on a processor that says it multiplies it and on a GPU of compute
        capability 8.0 (Ampere) or newer, float16 on one from 7.0, else float32.

    Raises
    ------
    ValueError
        If there is no such precision.
    """
    check_choice(wanted, "precision", PRECISIONS)
    if wanted != "auto":
        return wanted
    tf = need_tensorflow()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        capability = details.get("compute_capability", (0, 0))
        if capability >= (8, 0):
            return "bfloat16"
        return "float16" if capability >= (7, 0) else "float32"
    return "bfloat16" if _has_fast_bfloat16() else "float32"


def _has_fast_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself; emulated it is slower than float32."""
    try:
        flags = CPU_INFO.read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


@contextmanager
def precision(wanted: str = "auto"):
    """Make the models that are built inside compute in that precision.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16", "float16"}
        See `choose_precision`.

    Yields
    ------
    str
        The precision chosen.
    """
    need_tensorflow()
    import keras

    chosen = choose_precision(wanted)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if chosen == "float32" else f"mixed_{chosen}")
    try:
        yield chosen
    finally:
        keras.config.set_dtype_policy(before)


def build(network: Callable, *arguments, precision: str = "auto", seed: int = 0, **options):
    """Make a model whose random weights depend on the seed alone.

    Parameters
    ----------
    network : callable
        Makes a Keras model, for instance one of `helpers.networks`.
    *arguments, **options
        Passed on to it.
    precision : {"auto", "float32", "bfloat16", "float16"}
        See `choose_precision`.
    seed : int
        Of the random weights.

    Returns
    -------
    keras.Model
    """
    need_tensorflow()
    import keras

    keras.utils.set_random_seed(seed)
    with _precision(precision):
        return network(*arguments, **options)


_precision = precision


def precision_of(model) -> str:
    """Say in which numbers a model computes.

    Parameters
    ----------
    model : keras.Model
        Built, in any precision.

    Returns
    -------
    str
        Of the layers with weights, the compute type that most have: ``float32``, ``bfloat16`` or
        ``float16``.
    """
    types = [layer.compute_dtype for layer in model.layers if layer.weights]
    return max(sorted(set(types)), key=types.count, default="float32")
