"""How a network is trained: the paper's numbers, those of a few minutes, and those of a trial."""

import math
from dataclasses import dataclass, field, replace

from helpers.settings import PROFILES, check_choice
from helpers.training.prepare import Preparation

OPTIMISERS = ("sgdm", "adam", "rmsprop")
SCHEDULES = ("constant", "piecewise", "cosine")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
CLASS_WEIGHTS = ("median", "softened", "uniform")
FAMILIES = ("segnet", "skips", "resnet18", "inception", "unet")
MOMENTUM = 0.9
DROP_FACTOR, DROP_EPOCHS = 0.3, 10


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; change it with `dataclasses.replace`.

    Attributes
    ----------
    profile : str
        ``smoke``, ``quick`` or ``paper``: where the numbers come from.
    optimiser : {"sgdm", "adam", "rmsprop"}
    rate : float
        Learning rate at the start.
    schedule : {"constant", "piecewise", "cosine"}
        ``piecewise`` is times 0.3 every 10 epochs; ``cosine`` falls to 0 at the end.
    batch : int
        Slices or patches a step.
    epochs : float, optional
    steps : int, optional
        Where training ends: one of the two is given.
    warm_up : float
        Share of a training with a cosine in which the rate rises to `rate`: the first steps of
        Adam, which knows no gradients yet, are as large as any.
    max_minutes : float, optional
        Training ends there at the latest, and the cosine with it: a guard, since what ends there
        depends on the machine.
    image_px : (int, int)
        Rows and columns of what a network sees that sees whole slices; the paper: 360 x 480.
    l2 : float
        Times each kernel, added to its gradient.
    class_weights : "median", "softened", "uniform", or four floats
        Median frequency balancing over the training slices, the square roots of those weights,
        none, or in the order of `Label`. The full weights take long training: until the network
        is sure, all that might be envelope or nucleus is called so.
    patch_px : int, optional
        Side of the patches; without it the network sees whole slices.
    patch_overlap : float
        Share of a patch that the next one covers too.
    preparation : Preparation
        How slices are smoothed, and at what pixel size they are seen.
    several_nuclei : bool
        Learn from the ground truth that also has the neighbours' nuclei. In 57 slices of the
        paper's cell those labels are a copy of the slice before: see
        `helpers.ground_truth.agreement`.
    frozen : bool
        Whether the encoder keeps the weights that it begins with, and the decoder alone learns
        (`helpers.networks.freeze_encoder`).
    reflect, flip_up_down, quarter_turns : bool
        Which reflections and turns are drawn at random.
    shift_px : int
        Shifts are drawn from minus to plus this many pixels of the network's input.
    precision : {"auto", "float32", "bfloat16", "float16"}
        ``auto`` is what the device computes fastest.
    validate_every : int
        Steps between two looks at the test slices.
    validation_items : int
        Slices or patches looked at, spread evenly.

    Raises
    ------
    ValueError
        If a value is not allowed; the message says which are.

    Notes
    -----
    The paper's numbers: Karabag et al. (2020), doi 10.1371/journal.pone.0230605, section 2, and
    the authors' published code where the paper is silent. No class weights are known of for its
    U-Net: there they are uniform.
    """

    profile: str
    optimiser: str
    rate: float
    schedule: str
    batch: int
    epochs: float | None = None
    steps: int | None = None
    warm_up: float = 0.0
    max_minutes: float | None = None
    image_px: tuple[int, int] = (360, 480)
    l2: float = 0.0
    class_weights: str | tuple[float, ...] = "median"
    patch_px: int | None = None
    patch_overlap: float = 0.5
    preparation: Preparation = field(default_factory=Preparation)
    several_nuclei: bool = False
    frozen: bool = False
    reflect: bool = True
    flip_up_down: bool = False
    quarter_turns: bool = False
    shift_px: int = 10
    precision: str = "auto"
    validate_every: int = 50
    validation_items: int = 4

    def __post_init__(self):
        check_choice(self.profile, "profile", PROFILES)
        check_choice(self.optimiser, "optimiser", OPTIMISERS)
        check_choice(self.schedule, "schedule", SCHEDULES)
        check_choice(self.precision, "precision", PRECISIONS)
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                f"epochs is {self.epochs} and steps is {self.steps}; give one of them."
            )
        for name in ("rate", "epochs", "steps", "batch", "max_minutes", "patch_px"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}; it must be a number above 0.")
        for name in ("validate_every", "validation_items"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("l2", "shift_px"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be below 0.")
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"warm_up is {self.warm_up}; it must be from 0 to below 1.")
        weights = self.class_weights
        if isinstance(weights, str):
            check_choice(weights, "class_weights", CLASS_WEIGHTS)
        elif len(weights) != 4 or min(weights) < 0:
            raise ValueError(f"class_weights is {weights}; give four numbers, none below 0.")
        else:
            object.__setattr__(self, "class_weights", tuple(map(float, weights)))

    @property
    def input_shape(self) -> tuple[int | None, int | None, int]:
        """Rows, columns and channels of the network's input; None for any size, with patches."""
        return (*self.image_px, 3) if self.patch_px is None else (None, None, 1)

    def epoch_steps(self, items: int) -> int:
        """Count the steps of an epoch.

        Parameters
        ----------
        items : int
            Slices or patches there are to train on.

        Returns
        -------
        int
            At least 1. What is left over, fewer than a batch, makes no step, as in the authors'
            MATLAB code; here it begins the next epoch, so that no item is left out.

        Examples
        --------
        >>> Recipe.of("resnet18", "paper").epoch_steps(180)
        22
        """
        return max(1, items // self.batch)

    def total_steps(self, items: int) -> int:
        """Count the steps of a whole training.

        Parameters
        ----------
        items : int
            Slices or patches there are to train on.

        Returns
        -------
        int
            At least 1.

        Examples
        --------
        The paper's 4500 for VGG16, and 660 for the other two:

        >>> Recipe.of("segnet", "paper").total_steps(180)
        4500
        >>> Recipe.of("resnet18", "paper").total_steps(180)
        660
        """
        if self.steps is not None:
            return int(self.steps)
        return max(1, math.floor(self.epochs * self.epoch_steps(items)))

    def rate_at(self, epoch: int, progress: float) -> float:
        """Return the learning rate of a step.

        Parameters
        ----------
        epoch : int
            From 0.
        progress : float
            0 at the first step, 1 at the end.

        Returns
        -------
        float

        Examples
        --------
        >>> round(Recipe.of("resnet18", "paper").rate_at(29, 0.99), 8)
        9e-05
        """
        if self.schedule == "piecewise":
            return self.rate * DROP_FACTOR ** (epoch // DROP_EPOCHS)
        if self.schedule == "cosine":
            if progress < self.warm_up:
                return self.rate * progress / self.warm_up
            fallen = min(1.0, (progress - self.warm_up) / (1 - self.warm_up))
            return self.rate * (1 + math.cos(math.pi * fallen)) / 2
        return self.rate

    @classmethod
    def of(cls, family: str, profile: str) -> "Recipe":
        """Return the recipe of a family of networks.

        Parameters
        ----------
        family : {"segnet", "skips", "resnet18", "inception", "unet"}
            ``segnet`` is the paper's VGG16, ``skips`` the same with skip connections; ``resnet18``
            and ``inception`` are DeepLab on these. In ``paper`` the two of a pair are the same.
        profile : {"smoke", "quick", "paper"}

        Returns
        -------
        Recipe

        Raises
        ------
        ValueError
            If there is no such family or profile.
        """
        check_choice(family, "family", FAMILIES)
        check_choice(profile, "profile", PROFILES)
        recipe = _PAPER[family]
        if profile == "paper":
            return recipe
        recipe = replace(recipe, **_QUICK[family])
        return recipe if profile == "quick" else replace(recipe, **_SMOKE)


_SEGNET = Recipe("paper", "sgdm", 1e-3, "constant", 4, epochs=100, l2=5e-4, validate_every=200)
_DEEPLAB = Recipe("paper", "sgdm", 1e-3, "piecewise", 8, epochs=30, l2=5e-3, validate_every=100)
_PAPER = {
    "segnet": _SEGNET,
    "skips": _SEGNET,
    "resnet18": _DEEPLAB,
    "inception": _DEEPLAB,
    "unet": Recipe(
        "paper",
        "rmsprop",
        1e-3,
        "constant",
        64,
        epochs=15,
        class_weights="uniform",
        patch_px=128,
        preparation=Preparation(smooth_radius_px=1.0, smooth_sigma_px=0.5),
        reflect=False,
        shift_px=0,
        validate_every=250,
        validation_items=256,
    ),
}
# Some 190 trainings on the sample, of one to three seeds each: one slice a step and more steps
# do better than two slices in half the steps. Skips lose .005 at 192 x 256, where a step takes a
# quarter of the time that it takes at 360 x 480, and SegNet nothing; DeepLab, which answers on a
# quarter of the rows, loses more.
# SegNet's decoder learns little from maps that change under it: .88 to .91 after 220 steps at
# 240 x 320, and .94 in a quarter of the time at 192 x 256 with the encoder frozen.
_FEW_MINUTES = {
    "profile": "quick",
    "optimiser": "adam",
    "schedule": "cosine",
    "warm_up": 0.06,
    "epochs": None,
    "l2": 0.0,
    "class_weights": "softened",
    "validate_every": 60,
}
_VGG16 = {**_FEW_MINUTES, "batch": 1, "rate": 5e-4, "image_px": (192, 256)}
_LARGER = {**_FEW_MINUTES, "batch": 1, "rate": 1e-3, "image_px": (288, 384)}
_QUICK = {
    # Of single slices it learns a ragged outline.
    "segnet": {
        **_VGG16,
        "batch": 2,
        "rate": 2e-3,
        "steps": 140,
        "frozen": True,
    },
    "skips": {**_VGG16, "steps": 120},
    "resnet18": {**_LARGER, "steps": 160},
    "inception": {**_LARGER, "steps": 180},
    "unet": {
        **_FEW_MINUTES,
        "rate": 2e-3,
        # As many pixels a step as 8 patches of 128, and each sees more of the cell.
        "batch": 2,
        "patch_px": 256,
        "steps": 160,
        "preparation": Preparation(1.0, 0.5, pixel_size_nm=40.0),
        "reflect": True,
        "flip_up_down": True,
        "quarter_turns": True,
        "validation_items": 8,
    },
}
_SMOKE = {
    "profile": "smoke",
    "batch": 2,
    "steps": 3,
    "image_px": (96, 128),
    "validate_every": 3,
    "validation_items": 2,
}
