"""What training makes small, and how it is done: `keras.Model.fit`, step by step.

Keras counts its epochs in rounds of `Recipe.validate_every` steps here: after each round come a
look at the test slices and, every ten minutes, a checkpoint. The learning rate, the examples and
what dropout draws depend on the seed and on the number of the step alone, so that a training that
goes on from a checkpoint ends, on a processor, with the weights of one that was not interrupted.

Keras has a callback for checkpoints, ``BackupAndRestore``. It overwrites its only copy in place,
keeps the number of the epoch in a second file and leaves out what dropout draws; killed while it
writes, a training is lost or ends with other weights. Hence the few lines of `_save` and `_resume`.
"""

import json
import math
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pooch

from helpers import settings
from helpers.cache import write_whole
from helpers.ground_truth.balance import median_frequency_weights
from helpers.labels import Label
from helpers.metrics import accuracy, confusion_matrix, jaccard
from helpers.progress import is_live, progress_bar
from helpers.training.device import need_tensorflow, precision_of
from helpers.training.examples import Items, as_input, stream
from helpers.training.history import LivePlot
from helpers.training.prepare import Slices
from helpers.training.recipe import MOMENTUM, Recipe

CHECKPOINT = "checkpoint.json"
"""File that says which checkpoint is the latest; its weights lie beside it."""
CHECKPOINT_EVERY_S = 600.0

_DROPOUT_STATE = "seed_generator_state"


def class_weights(slices: Slices, recipe: Recipe) -> np.ndarray:
    """Weigh the classes as the recipe asks.

    Parameters
    ----------
    slices : Slices
        Training slices, which median frequency balancing counts.
    recipe : Recipe
        Its `class_weights` says how.

    Returns
    -------
    (4,) array of float32
        In the order of `Label`.

    Raises
    ------
    ValueError
        If a class that is to be balanced is in no slice.
    """
    if recipe.class_weights == "uniform":
        return np.ones(len(Label), np.float32)
    if not isinstance(recipe.class_weights, str):
        return np.array(recipe.class_weights, np.float32)
    weights = np.array(list(median_frequency_weights(slices.labels).values()), np.float32)
    return np.sqrt(weights) if recipe.class_weights == "softened" else weights


def cross_entropy(labels, probabilities, weights):
    """Cross-entropy of each pixel, weighted by its class, averaged over the pixels.

    Parameters
    ----------
    labels : (n, y, x) tensor
        Numbers of `Label`; 0, not labelled, counts for nothing.
    probabilities : (n, y, x, 4) tensor
        Softmax of a model.
    weights : (4,) tensor of float32
        Of the classes, in the order of `Label`.

    Returns
    -------
    scalar tensor of float32

    Notes
    -----
    Divided by the number of pixels and not by the sum of their weights, as MATLAB's weighted
    cross-entropy in the authors' code is.
    """
    tf = need_tensorflow()
    import keras

    labels = tf.cast(labels, tf.int32)
    each = keras.ops.sparse_categorical_crossentropy(tf.maximum(labels - 1, 0), probabilities)
    weight = tf.gather(tf.concat([[0.0], weights], axis=0), labels)
    return tf.reduce_mean(tf.cast(each, tf.float32) * weight)


def make_optimiser(recipe: Recipe):
    """Make the recipe's optimiser, which adds L2 regularisation to the gradients.

    Parameters
    ----------
    recipe : Recipe
        Its `rate` is where the optimiser begins; `fit` sets the rate of each step.

    Returns
    -------
    keras.optimizers.Optimizer
        Before each step it adds `Recipe.l2` times the weight to the gradient of each kernel; biases
        and the parameters of normalisation layers are left alone. This is the gradient of ``l2 /
        2`` times the sum of squares added to the loss, as in the authors' MATLAB code; done here,
        the loss that is shown is that of the data, and it is exact in any precision.
    """
    need_tensorflow()
    import keras

    kinds = {
        "sgdm": (keras.optimizers.SGD, {"momentum": MOMENTUM}),
        "rmsprop": (keras.optimizers.RMSprop, {}),
        "adam": (keras.optimizers.Adam, {}),
    }
    kind, options = kinds[recipe.optimiser]

    class WithL2(kind):
        def apply(self, grads, trainable_variables):
            if recipe.l2:
                grads = [
                    grad + recipe.l2 * variable.value if "kernel" in variable.name else grad
                    for grad, variable in zip(grads, trainable_variables, strict=True)
                ]
            return super().apply(grads, trainable_variables)

    return WithL2(recipe.rate, name=recipe.optimiser, **options)


def fit(
    model,
    items: Items,
    seen: tuple[np.ndarray, np.ndarray] | None,
    weights: np.ndarray,
    recipe: Recipe,
    folder: Path,
    *,
    seed: int,
    progress: bool | None = None,
    on_step: Callable[[dict], None] | None = None,
) -> tuple[list[dict], dict]:
    """Train a network, from its last checkpoint or from the beginning.

    Parameters
    ----------
    model : keras.Model
        Its weights change.
    items : Items
        What it is trained on.
    seen : (n, y, x) arrays of images and labels, optional
        What it is looked at with, once in `Recipe.validate_every` steps and at the end.
    weights : (4,) array of float32
        Of the classes; see `class_weights`.
    recipe : Recipe
        Rates, steps and the end.
    folder : Path
        For checkpoints.
    seed, progress, on_step
        As for `helpers.training.train`.

    Returns
    -------
    rows : list of dict
        The history, a row a step.
    outcome : dict
        ``steps``, ``epochs``, ``minutes``, ``ended_by`` (``steps`` or ``max_minutes``) and
        ``seconds_per_step``, of the steps after the first, which compiles.

    Raises
    ------
    FloatingPointError
        If the loss is no longer a number.
    """
    course = _Course(model, items, seen, weights, recipe, folder, seed)
    course.run(progress, on_step)
    return course.rows, course.outcome()


class _Course:
    """A training on its way: what happens before and after each step of `keras.Model.fit`."""

    def __init__(self, model, items, seen, weights, recipe: Recipe, folder: Path, seed: int):
        self._items, self._seen, self._weights = items, seen, weights
        self._recipe, self._folder, self._seed = recipe, folder, seed
        self._steps = recipe.total_steps(len(items))
        self._channels = model.input_shape[-1]
        self._trainer = _compiled(model, recipe, weights)
        self._dropout = [v for v in model.variables if v.path.endswith(_DROPOUT_STATE)]
        self.rows: list[dict] = []
        self._trained_s = 0.0
        self._durations_s: list[float] = []

    def run(self, progress: bool | None, on_step: Callable[[dict], None] | None) -> None:
        """Train to the end."""
        import keras

        self._resume()
        self._on_step = on_step
        if progress is None:
            progress = not settings.is_static()
        self._plot = LivePlot() if progress and is_live() else None
        done, every = len(self.rows), self._recipe.validate_every
        options = {"channels": self._channels, "seed": self._seed}
        batches = stream(self._items, self._recipe, start=done, stop=self._steps, **options)
        callback = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs=None: self._before_step(),
            on_train_batch_end=lambda batch, logs: self._after_step(**logs),
            on_epoch_end=lambda epoch, logs=None: self._save_sometimes(),
        )
        self._saved = time.monotonic()
        self._begin = self._saved - self._trained_s
        with progress_bar(
            total=self._steps,
            initial=done,
            desc=self._trainer.name,
            unit="step",
            disable=not progress,
        ) as self._bar:
            self._trainer.fit(
                batches,
                initial_epoch=done // every,
                epochs=math.ceil(self._steps / every),
                steps_per_epoch=every,
                shuffle=False,
                callbacks=[callback],
                verbose=0,
            )
        if self._plot is not None:
            self._plot.close()

    def outcome(self) -> dict:
        """Say how the training went, for its record."""
        steps = len(self.rows)
        return {
            "steps": steps,
            "epochs": steps * self._recipe.batch / len(self._items),
            "minutes": self._trained_s / 60,
            "ended_by": "steps" if steps >= self._steps else "max_minutes",
            "seconds_per_step": float(np.mean(self._durations_s[1:] or self._durations_s)),
        }

    @property
    def _progress(self) -> float:
        """From 0 to 1 at the end, by steps or by time, whichever is further."""
        by_time = self._trained_s / 60 / (self._recipe.max_minutes or math.inf)
        return max(len(self.rows) / self._steps, by_time)

    def _before_step(self) -> None:
        step = len(self.rows)
        self._epoch = step // self._recipe.epoch_steps(len(self._items))
        self._rate = self._recipe.rate_at(self._epoch, self._progress)
        self._trainer.optimizer.learning_rate = self._rate
        # Keras averages loss and accuracy over its epoch; the history has those of each step.
        self._trainer.reset_metrics()
        for index, state in enumerate(self._dropout):
            state.assign([self._seed * len(self._dropout) + index, step])
        self._asked = time.monotonic()

    def _after_step(self, loss: float, accuracy: float) -> None:
        now = time.monotonic()
        self._durations_s.append(now - self._asked)
        step = len(self.rows) + 1
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss} at step {step}. Train again, in another folder, with a "
                "lower rate or with precision='float32'."
            )
        row = {
            "step": step,
            "epoch": self._epoch,
            "rate": self._rate,
            "loss": loss,
            "accuracy": accuracy,
        }
        self.rows.append(row)
        self._trained_s = now - self._begin
        is_last = self._progress >= 1
        if self._seen is not None and (is_last or step % self._recipe.validate_every == 0):
            row |= self._validate()
            self._trained_s = time.monotonic() - self._begin
        row["seconds"] = self._trained_s
        if self._on_step is not None:
            self._on_step(row)
        self._show(row)
        # Looking at the test slices may have used up the time.
        self._trainer.stop_training = self._progress >= 1

    def _validate(self) -> dict[str, float]:
        """Score the network on what it is not trained on, over the pixels of all items together.

        The scores are for watching: nothing is chosen by them.
        """
        matrix, losses, batch = 0, [], self._recipe.batch
        images, labels = self._seen
        for start in range(0, len(images), batch):
            truth = labels[start : start + batch]
            grey = as_input(images[start : start + batch], self._channels)
            probabilities = self._trainer.predict_on_batch(grey)
            losses += [float(cross_entropy(truth, probabilities, self._weights))] * len(truth)
            found = np.argmax(probabilities, axis=-1).astype(np.uint8) + min(Label)
            matrix = matrix + confusion_matrix(found, truth)
        return {
            "validation_loss": float(np.mean(losses)),
            "validation_accuracy": accuracy(matrix),
            "validation_nucleus_jaccard": jaccard(matrix, Label.NUCLEUS),
        }

    def _show(self, row: dict) -> None:
        if self._recipe.max_minutes is not None:
            self._bar.total = max(row["step"], round(row["step"] / self._progress))
        shown = {"loss": row["loss"], "Jaccard": row.get("validation_nucleus_jaccard")}
        shown = {name: value for name, value in shown.items() if value is not None}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()
        if self._plot is not None:
            self._plot.update(self.rows)

    def _save_sometimes(self) -> None:
        if self._progress < 1 and time.monotonic() - self._saved >= CHECKPOINT_EVERY_S:
            self._save()
            self._saved = time.monotonic()

    def _save(self) -> None:
        """Store weights, optimiser and history, then remove the checkpoint before."""
        path = self._folder / f"checkpoint-{len(self.rows):08d}.weights.h5"
        write_whole(path, self._trainer.save_weights)
        meta = {"weights": path.name, "sha256": pooch.file_hash(str(path)), "rows": self.rows}
        # Until this is written, the checkpoint before is the latest.
        write_whole(self._folder / CHECKPOINT, json.dumps(meta))
        remove_checkpoints(self._folder, but=path)

    def _resume(self) -> None:
        """Take up the latest checkpoint, if there is one that is whole."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            return
        try:
            meta = json.loads(path.read_text(encoding="utf-8"))
            weights = self._folder / meta["weights"]
            if pooch.file_hash(str(weights)) != meta["sha256"]:
                raise ValueError(f"{weights.name} is not what was stored")
        except (OSError, ValueError, KeyError, TypeError) as error:
            warnings.warn(
                f"The checkpoint in {self._folder} is damaged ({error}); training begins anew.",
                stacklevel=4,
            )
            return
        self._trainer.load_weights(weights)
        self.rows = meta["rows"]
        self._trained_s = self.rows[-1]["seconds"]


def _compiled(model, recipe: Recipe, weights: np.ndarray):
    """Make a twin of a model that shares its weights, and knows how they are to be trained.

    The model itself stays without an optimiser, so that its file has its weights alone.
    """
    tf = need_tensorflow()
    import keras

    def loss(labels, probabilities):
        return cross_entropy(labels, probabilities, weights)

    def accuracy(labels, probabilities):
        found = tf.argmax(probabilities, axis=-1, output_type=tf.int32) + 1
        right = tf.cast(found == tf.cast(labels, tf.int32), tf.float32)
        return tf.reduce_mean(right, axis=(1, 2))

    twin = keras.Model(model.inputs, model.outputs[0], name=model.name)
    optimiser = make_optimiser(recipe)
    if precision_of(model) == "float16":
        # Gradients too small for float16 are lost unless the loss is scaled up.
        optimiser = keras.optimizers.LossScaleOptimizer(optimiser)
    # As an object it has its variables now; from a function Keras would make it in the first step,
    # and trace that step twice.
    shown = keras.metrics.MeanMetricWrapper(accuracy, name="accuracy")
    twin.compile(optimiser, loss, metrics=[shown], jit_compile=False, auto_scale_loss=False)
    # Else a checkpoint could not be loaded before the first step.
    optimiser.build(twin.trainable_variables)
    return twin


def remove_checkpoints(folder: Path, but: Path | None = None) -> None:
    """Remove what only an unfinished training needs.

    Parameters
    ----------
    folder : Path
        Of the training.
    but : Path, optional
        The checkpoint that is kept, with the file that names it.
    """
    if but is None:
        (folder / CHECKPOINT).unlink(missing_ok=True)
    for path in folder.glob("checkpoint-*.weights.h5"):
        if path != but:
            with suppress(OSError):
                path.unlink()
