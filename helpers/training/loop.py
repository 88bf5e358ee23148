"""The training loop: steps, looks at the test slices, checkpoints, and the clock."""

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

from helpers import settings
from helpers.data.stack import Stack
from helpers.training import files
from helpers.training.device import need_tensorflow, precision_of
from helpers.training.history import LivePlot, is_live
from helpers.training.objective import add_l2, class_weights, cross_entropy, make_optimiser
from helpers.training.pipeline import items_of, stream
from helpers.training.prepare import load_slices
from helpers.training.recipe import Recipe
from helpers.training.split import Split
from helpers.training.validation import validate

MAX_VALIDATION_SLICES = 10
"""So many test slices are read to watch a training, evenly spread; patches come from these."""


@dataclass
class _Clock:
    """How far a training is and where its time went; stored with each checkpoint."""

    step: int = 0
    trained_s: float = 0.0
    # Of the steps after the first of each process, which fills buffers and compiles.
    timed_steps: int = 0
    timed_s: float = 0.0
    waited_s: float = 0.0


class Loop:
    """One training, from its last checkpoint or from the beginning.

    Parameters
    ----------
    model, stack, split, recipe, folder, seed
        As for `helpers.training.train`.

    Attributes
    ----------
    rows : list of dict
        The history, a row a step.
    class_weights : (4,) array of float32
    """

    def __init__(
        self, model, stack: Stack, split: Split, recipe: Recipe, folder: Path, *, seed: int
    ):
        self._model, self._recipe, self._folder, self._seed = model, recipe, folder, seed
        _, height, width, self._channels = model.input_shape
        options = {
            "shape": None if recipe.patch_px else (height, width),
            "several_nuclei": recipe.several_nuclei,
        }
        slices = load_slices(stack, split.train, recipe.preparation, **options)
        self.class_weights = class_weights(slices, recipe)
        self._items = items_of(slices, recipe)
        self._seen = None
        if split.test:
            few = min(recipe.validation_items, MAX_VALIDATION_SLICES)
            every = math.ceil(len(split.test) / few)
            seen = load_slices(stack, split.test[::every], recipe.preparation, **options)
            self._seen = items_of(seen, recipe).some(recipe.validation_items)
        self._steps = recipe.total_steps(len(self._items))
        self._compile()
        self.rows: list[dict] = []
        self._clock = _Clock()

    def run(
        self, *, progress: bool | None = None, on_step: Callable[[dict], None] | None = None
    ) -> None:
        """Train to the end.

        Parameters
        ----------
        progress, on_step
            As for `helpers.training.train`.

        Raises
        ------
        FloatingPointError
            If the loss is no longer a number.
        """
        self._resume()
        clock, recipe = self._clock, self._recipe
        if progress is None:
            progress = not settings.is_static()
        plot = LivePlot() if progress and is_live() else None
        begin = time.monotonic() - clock.trained_s
        batches = iter(
            stream(
                self._items,
                recipe,
                channels=self._channels,
                seed=self._seed,
                start=clock.step,
                stop=self._steps,
            )
        )
        bar = tqdm(
            total=self._steps,
            initial=clock.step,
            desc=self._model.name,
            unit="step",
            disable=not progress,
        )
        first = True
        with bar:
            while self._progress < 1:
                asked = time.monotonic()
                batch = next(batches)
                got = time.monotonic()
                row = self._train_step(*batch)
                done = time.monotonic()
                clock.step += 1
                if not first:
                    clock.timed_steps += 1
                    clock.timed_s += done - asked
                    clock.waited_s += got - asked
                first = False
                clock.trained_s = done - begin
                if self._seen is not None and self._is_due(recipe.validate_every):
                    row |= self._validate()
                    clock.trained_s = time.monotonic() - begin
                row["seconds"] = clock.trained_s
                self.rows.append(row)
                if on_step is not None:
                    on_step(row)
                self._show(bar, plot, row)
                if clock.step % recipe.checkpoint_every == 0 and self._progress < 1:
                    self._save()
        if plot is not None:
            plot.close()

    def outcome(self) -> dict:
        """Say how the training went, for its record.

        Returns
        -------
        dict
            ``steps``, ``epochs``, ``minutes``, ``ended_by`` (``steps`` or ``max_minutes``),
            ``seconds_per_step`` and ``waiting_share``, the part of it spent waiting for data.
        """
        clock = self._clock
        return {
            "steps": clock.step,
            "epochs": clock.step * self._recipe.batch / len(self._items),
            "minutes": clock.trained_s / 60,
            "ended_by": "steps" if clock.step >= self._steps else "max_minutes",
            "seconds_per_step": clock.timed_s / max(1, clock.timed_steps),
            "waiting_share": clock.waited_s / clock.timed_s if clock.timed_s else 0.0,
        }

    @property
    def _progress(self) -> float:
        """From 0 to 1 at the end, by steps or by time, whichever is further."""
        by_time = self._clock.trained_s / 60 / (self._recipe.max_minutes or math.inf)
        return max(self._clock.step / self._steps, by_time)

    def _is_due(self, every: int) -> bool:
        return self._clock.step % every == 0 or self._progress >= 1

    def _compile(self) -> None:
        tf = need_tensorflow()
        import keras

        model, l2 = self._model, self._recipe.l2
        self._optimiser = optimiser = make_optimiser(self._recipe)
        # Gradients too small for float16 are lost unless the loss is scaled up.
        scaled = precision_of(model) == "float16"
        applied = keras.optimizers.LossScaleOptimizer(optimiser) if scaled else optimiser
        variables = model.trainable_variables
        applied.build(variables)
        self._state = [*model.variables, *applied.variables]
        weights = tf.constant(self.class_weights)

        @tf.function(autograph=False, reduce_retracing=True)
        def train_step(images, labels):
            with tf.GradientTape() as tape:
                probabilities = model(images, training=True)
                loss = cross_entropy(labels, probabilities, weights)
                total = tf.add_n([loss, *model.losses])
                total = applied.scale_loss(total) if scaled else total
            gradients = tape.gradient(total, variables)
            # The optimiser divides gradients by the scale again, those of L2 among them.
            gradients = add_l2(
                gradients, variables, applied.scale_loss(l2) if scaled and l2 else l2
            )
            applied.apply(gradients, variables)
            found = tf.argmax(probabilities, axis=-1, output_type=tf.int32) + 1
            right = tf.cast(found == tf.cast(labels, tf.int32), tf.float32)
            return loss, tf.reduce_mean(right)

        @tf.function(autograph=False, reduce_retracing=True)
        def predict(images):
            return model(images, training=False)

        self._step, self._predict = train_step, predict

    def _train_step(self, images, labels) -> dict:
        step = self._clock.step
        epoch = step * self._recipe.batch // len(self._items)
        rate = self._recipe.rate_at(epoch, self._progress)
        self._optimiser.learning_rate = rate
        loss, accuracy = (float(value) for value in self._step(images, labels))
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"The loss is {loss} at step {step + 1}. Train again, in another folder, with a "
                "lower rate or with precision='float32'."
            )
        return {"step": step + 1, "epoch": epoch, "rate": rate, "loss": loss, "accuracy": accuracy}

    def _validate(self) -> dict[str, float]:
        return validate(
            self._predict,
            *self._seen,
            self.class_weights,
            channels=self._channels,
            batch=self._recipe.batch,
        )

    def _show(self, bar: tqdm, plot: LivePlot | None, row: dict) -> None:
        if self._recipe.max_minutes is not None:
            bar.total = max(row["step"], round(row["step"] / self._progress))
        shown = {"loss": row["loss"], "Jaccard": row.get("validation_nucleus_jaccard")}
        bar.set_postfix({k: v for k, v in shown.items() if v is not None}, refresh=False)
        bar.update()
        if plot is not None:
            plot.update(self.rows)

    def _save(self) -> None:
        meta = {**dataclasses.asdict(self._clock), "rows": self.rows}
        files.save_checkpoint(self._folder, self._state, meta)

    def _resume(self) -> None:
        meta = files.load_checkpoint(self._folder, self._state)
        if meta is not None:
            self.rows = meta.pop("rows")
            self._clock = _Clock(**meta)
