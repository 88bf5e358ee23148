"""Which methods the book has, and what a profile gives them."""

import importlib.util
from dataclasses import dataclass, replace

from helpers.fine_tuning import TRIAL_SLICES, split_of
from helpers.stack_type import Stack

SLICES = {"smoke": 4, "quick": 60, "paper": None}
"""How many slices a profile scores, evenly from first to last; None for all.

In a trial run half of them, from the middle of the stack, are training slices of the networks.
"""

IMAGE_SHAPE = {"smoke": (96, 128, 3), "quick": (360, 480, 3), "paper": (360, 480, 3)}
"""What networks see that see whole slices. The paper's size is 360 x 480."""

TILE_PX = {"smoke": 256, "quick": 512, "paper": 512}
"""Side of the tiles for networks that were trained on patches."""

NO_TENSORFLOW = "left out, no TensorFlow: pip install -r requirements.txt"


@dataclass(frozen=True)
class Method:
    """A method of the book, as tables name it.

    Attributes
    ----------
    method, run : str
        The method is named as its published curve is, so that both get one colour.
    work : str
        ``2D``, ``improved`` or ``faithful`` (see `helpers.volume.segment_stack`), or the name of a
        network in `helpers.networks`.
    family : str, optional
        Of the network's recipe; see `helpers.training.Recipe.of`.
    """

    method: str
    run: str
    work: str
    family: str | None = None


METHODS = (
    Method("image processing", "2D", "2D"),
    Method("image processing", "3D", "improved"),
    Method("image processing", "3D as published", "faithful"),
    Method("VGG16", "SegNet", "vgg16_segnet", "segnet"),
    Method("ResNet18", "DeepLab v3+", "resnet18_deeplabv3plus", "deeplab"),
    Method("Inception-ResNet-v2", "DeepLab v3+", "inception_resnet_v2_deeplabv3plus", "deeplab"),
    Method("U-Net", "no skips", "paper_unet", "unet"),
)
"""The five methods of the paper; the traditional one in three ways."""


def slices_of(stack: Stack, profile: str) -> tuple[Stack, tuple[int, ...]]:
    """Return what a profile works on: a stack, and which of its slices are scored.

    Parameters
    ----------
    stack : Stack
    profile : str

    Returns
    -------
    stack : Stack
        In a trial run with few slices only.
    slices : tuple of int
    """
    count = SLICES[profile]
    if profile != "smoke":
        return stack, stack.slice_numbers if count is None else stack.some(count)
    stack = replace(stack, slice_numbers=stack.some(TRIAL_SLICES))
    split, middle = split_of(stack), stack.slice_numbers[len(stack) // 2]
    chosen = [
        number
        for part in (split.train, split.test)
        for number in sorted(part, key=lambda n: abs(n - middle))[: count // 2]
    ]
    return stack, tuple(sorted(chosen))


def has_tensorflow() -> bool:
    """Tell whether the networks can run here."""
    return all(importlib.util.find_spec(name) for name in ("tensorflow", "keras", "keras_hub"))
