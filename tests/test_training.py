"""Training: the stream of examples, the loss, exact resume, refusals. Needs TensorFlow."""

import json
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_network import KERAS_WARNING, small_cell, tiny_network

from helpers.cache import HOLDER, StorageError
from helpers.labels import Label
from helpers.settings import using
from helpers.training import (
    Recipe,
    Split,
    build,
    choose_precision,
    device,
    device_name,
    fit,
    items_of,
    plot_history,
    stream,
    train,
)
from helpers.training.device import precision_of
from helpers.training.examples import Items, as_input, augment
from helpers.training.fit import cross_entropy
from helpers.training.prepare import Slices
from helpers.training.train import differences, identify

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow: pip install 'helpers[networks]'")
pytestmark = KERAS_WARNING

CELL = small_cell()
SPLIT = Split(train=(6, 8, 10), test=(7, 12))
RECIPE = replace(
    Recipe.of("segnet", "quick"),
    batch=2,
    warm_up=0.0,
    rate=1e-2,
    l2=1e-3,
    class_weights="median",
    frozen=False,
    steps=12,
    shift_px=3,
    validate_every=6,
)


def network(seed=1, **options):
    model = build(tiny_network, seed=seed, **options)
    model.initialisation = "random, tiny"
    return model


def numbered(count, shape=(8, 8)):
    """Return slices whose grey level is their place."""
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None], (count, *shape))
    return Slices(tuple(range(count)), images.copy(), np.full(images.shape, 3, np.uint8))


def same_weights(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    )


# The stream of examples


def order_of(items, recipe, start=0, stop=9, seed=5):
    batches = stream(items, recipe, channels=1, seed=seed, start=start, stop=stop)
    return [tuple(image[:, 0, 0, 0].numpy().astype(int)) for image, _ in batches]


def test_each_epoch_has_every_item_once_in_another_order():
    recipe = replace(RECIPE, batch=4, reflect=False, shift_px=0)
    order = np.concatenate(order_of(items_of(numbered(6), recipe), recipe)).reshape(6, 6)
    assert (np.sort(order, axis=1) == np.arange(6)).all()
    assert len(np.unique(order, axis=0)) > 3


def test_the_stream_can_be_entered_anywhere_and_depends_on_the_seed():
    recipe = replace(RECIPE, batch=4, reflect=False, shift_px=0)
    items = items_of(numbered(6), recipe)
    assert order_of(items, recipe, start=4) == order_of(items, recipe)[4:]
    assert order_of(items, recipe) == order_of(items, recipe)
    assert order_of(items, recipe) != order_of(items, recipe, seed=6)


def test_shuffling_mixes_patches_of_all_slices():
    recipe = replace(RECIPE, batch=60, patch_px=8, reflect=False, shift_px=0)
    items = items_of(numbered(10, shape=(44, 44)), recipe)
    assert len(items) == 1000
    first = order_of(items, recipe, stop=1)[0]
    assert set(first) == set(range(10))


def test_image_and_labels_move_together():
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (2, 40, 40), dtype=np.uint8)
    slices = Slices((1, 2), images, images // 64 + 1)
    recipe = replace(RECIPE, flip_up_down=True, quarter_turns=True, shift_px=10)
    batches = list(
        stream(Items(slices, items_of(slices, recipe).corners, (40, 40)), recipe,
               channels=3, seed=0, start=0, stop=8)
    )  # fmt: skip
    changed = 0
    for image, labels in batches:
        assert image.shape == (2, 40, 40, 3)
        assert image.dtype == tf.float32
        for channel in range(3):
            np.testing.assert_array_equal(image[..., channel].numpy() // 64 + 1, labels.numpy())
        changed += sum(not (one[..., 0] == images).all(axis=(1, 2)).any() for one in image.numpy())
    assert changed >= 14


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ([0.4, 0.9, 0, 0.5, 0.5], lambda a: a[:, ::-1]),
        ([0.6, 0.4, 0, 0.5, 0.5], lambda a: a[::-1]),
        ([0.6, 0.6, 0.3, 0.5, 0.5], lambda a: np.rot90(a)),
        # 0 of 0..4 is a shift of two pixels down, 4 of 0..4 one of two to the left.
        ([0.6, 0.6, 0, 0.0, 0.99], lambda a: np.pad(a, 2, mode="symmetric")[:12, 4:]),
    ],
)
def test_each_change_is_what_it_says(draws, expected):
    grey = np.arange(144, dtype=np.uint8).reshape(12, 12)
    recipe = replace(RECIPE, flip_up_down=True, quarter_turns=True, shift_px=2)
    moved = augment(tf.stack([grey, grey], axis=-1), tf.constant(draws, tf.float32), recipe)
    np.testing.assert_array_equal(moved[..., 0], expected(grey))


def test_shifts_reach_the_limit_and_not_further():
    slices = numbered(1, shape=(41, 41))
    slices.images[0] = 0
    slices.images[0, 20, 20] = 255
    recipe = replace(RECIPE, batch=1, shift_px=10, reflect=False)
    places = []
    for image, _ in stream(items_of(slices, recipe), recipe, channels=1, seed=1, start=0, stop=400):
        places.append(np.argwhere(image[0, ..., 0].numpy() == 255)[0] - 20)
    assert np.abs(places).max(axis=0).tolist() == [10, 10]


def test_grey_is_copied_to_each_channel():
    assert as_input(np.full((2, 5, 6), 7, np.uint8), 3).numpy().tolist() == (
        np.full((2, 5, 6, 3), 7.0).tolist()
    )


# The loss


def test_cross_entropy_is_weighted_and_skips_what_is_not_labelled():
    labels = np.array([[[1, 2, 0]]], np.uint8)
    probabilities = np.array([[[[0.5, 0.2, 0.2, 0.1], [0.1, 0.25, 0.6, 0.05], [1, 0, 0, 0]]]])
    weights = np.array([10, 2, 1, 1], np.float32)
    loss = cross_entropy(labels, tf.constant(probabilities, tf.float32), weights)
    assert float(loss) == pytest.approx(-(10 * np.log(0.5) + 2 * np.log(0.25)) / 3, rel=1e-5)


def test_l2_is_that_of_kernels_alone(tmp_path):
    """With no loss from the data a step of SGD takes rate x L2 off each kernel."""
    recipe = replace(
        RECIPE,
        optimiser="sgdm",
        schedule="constant",
        rate=0.1,
        l2=0.5,
        steps=1,
        class_weights=(0, 0, 0, 0),
        precision="float32",
    )
    model = network(precision="float32")
    before = {v.path: v.numpy() for v in model.trainable_variables}
    train(model, CELL, SPLIT, recipe, tmp_path, progress=False)
    for variable in model.trainable_variables:
        factor = 0.95 if "kernel" in variable.name else 1.0
        np.testing.assert_allclose(variable.numpy(), factor * before[variable.path], rtol=1e-5)


# Training


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a training that nobody disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELA_STATIC", "1")
        return train(network(), CELL, SPLIT, RECIPE, tmp_path_factory.mktemp("whole"))


def test_a_network_learns_two_slices(tmp_path):
    recipe = replace(RECIPE, steps=150, l2=0, shift_px=0, reflect=False, validate_every=150)
    run = train(network(dropout=0), CELL, Split((7, 8), (9,)), recipe, tmp_path, progress=False)
    loss = run.history["loss"]
    assert loss[-10:].mean() < loss[:10].mean() / 2
    assert run.history["validation_nucleus_jaccard"].iloc[-1] > 0.5


def test_a_run_says_what_it_was(finished):
    record, history = finished.record, finished.history
    assert history["step"].tolist() == list(range(1, 13))
    assert history["validation_loss"].notna().tolist() == [step % 6 == 0 for step in range(1, 13)]
    assert history["rate"].iloc[0] == pytest.approx(1e-2)
    assert (record["steps"], record["epochs"], record["ended_by"]) == (12, 8, "steps")
    assert record["weights"] == "random, tiny"
    assert (record["train"], record["test"]) == ([6, 8, 10], [7, 12])
    assert record["minutes"] == pytest.approx(history["seconds"].iloc[-1] / 60, rel=0.01)
    assert set(record["class_weights"]) == {label.title for label in Label}
    assert {"profile", "source", "seed", "device", "precision", "versions"} <= record.keys()
    assert not list(finished.folder.glob("checkpoint*"))


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
import test_training as t

t.fit.CHECKPOINT_EVERY_S = 0.0

def stop(row):
    if row["step"] == 7:
        os.kill(os.getpid(), signal.SIGKILL)

t.train(t.network(), t.CELL, t.SPLIT, t.RECIPE, Path(sys.argv[1]), progress=False, on_step=stop)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Return the folder of a training that was killed after its seventh step."""
    folder = tmp_path_factory.mktemp("killed")
    code = KILLED.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path.name for path in sorted(folder.glob("checkpoint*"))] == [
        "checkpoint-00000006.weights.h5",
        "checkpoint.json",
    ]
    return folder


def copy_of(folder, where):
    for path in folder.iterdir():
        (where / path.name).write_bytes(path.read_bytes())
    return where


def test_a_killed_training_ends_with_the_same_weights(finished, killed, tmp_path):
    steps = []
    run = train(
        network(), CELL, SPLIT, RECIPE, copy_of(killed, tmp_path), progress=False,
        on_step=lambda row: steps.append(row["step"]),
    )  # fmt: skip
    assert steps == list(range(7, 13))
    assert same_weights(run.model, finished.model)
    assert run.history["loss"].tolist() == finished.history["loss"].tolist()


@pytest.mark.parametrize("name", ["checkpoint-00000006.weights.h5", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["a flipped bit", "cut short", "gone"])
def test_a_damaged_checkpoint_is_passed_over(finished, killed, tmp_path, name, damage):
    folder = copy_of(killed, tmp_path)
    path = folder / name
    content = bytearray(path.read_bytes())
    if damage == "a flipped bit":
        content[len(content) // 2] ^= 0x80
    path.write_bytes(content[:1000] if damage == "cut short" else content)
    if damage == "gone":
        path.unlink()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = train(network(), CELL, SPLIT, RECIPE, folder, progress=False)
    said = [str(one.message) for one in caught if "is damaged" in str(one.message)]
    assert bool(said) == ((damage, name) != ("gone", "checkpoint.json"))
    assert all("training begins anew" in text for text in said)
    assert len(run.history) == 12
    assert same_weights(run.model, finished.model)
    assert not list(folder.glob("checkpoint*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": replace(RECIPE, rate=1e-3)}, r"recipe.rate: 0.01, 0.001"),
        ({"split": Split((6, 8), (12,))}, r"split.train"),
        ({"seed": 2}, r"seed: 0, 2"),
    ],
)
def test_a_folder_of_another_training_is_refused(killed, change, message):
    arguments = {"split": SPLIT, "recipe": RECIPE, "seed": 0} | change
    with pytest.raises(
        ValueError, match=rf"holds another training: .*{message}.*folder of its own"
    ):
        train(network(), CELL, folder=killed, progress=False, **arguments)


def test_other_initial_weights_are_another_training(killed):
    with pytest.raises(ValueError, match=r"holds another training: initial_weights"):
        train(network(seed=2), CELL, SPLIT, RECIPE, killed, progress=False)


def test_what_is_finished_is_not_computed_again(finished):
    model = network()
    again = train(
        model, CELL, SPLIT, RECIPE, finished.folder, progress=False,
        on_step=lambda row: pytest.fail("it was trained again"),
    )  # fmt: skip
    assert again.reused
    assert not finished.reused
    assert same_weights(model, finished.model)
    assert again.history.equals(finished.history)
    assert again.record == finished.record


def test_damaged_results_are_computed_again(finished, tmp_path):
    folder = copy_of(finished.folder, tmp_path)
    weights = folder / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"is damaged \(model.weights.h5 is not what was stored\)"):
        run = train(network(), CELL, SPLIT, RECIPE, folder, progress=False)
    assert not run.reused
    assert same_weights(run.model, finished.model)


def test_a_training_of_another_computer_is_taken(finished, tmp_path, monkeypatch):
    """Other precision, Python, Keras and drivers, which draw other last digits.

    No lock is needed: the folder that a teacher shares may be read-only.
    """

    def refuse(*_):
        raise AssertionError("reading needs no lock")

    monkeypatch.setattr(sys.modules["helpers.training.train"], "locked", refuse)
    folder = copy_of(finished.folder, tmp_path)
    record = json.loads((folder / "record.json").read_text())
    there = {"device": "a GPU", "versions": {"python": "3.13.0", "keras": "3.5.0"}}
    (folder / "record.json").write_text(json.dumps(record | there))
    other = "float32" if record["precision"] == "bfloat16" else "bfloat16"
    model = network(precision=other)
    model.set_weights([weight * (1 + 1e-7) for weight in model.get_weights()])
    run = train(
        model, CELL, SPLIT, replace(RECIPE, precision=other), folder, progress=False,
        on_step=lambda row: pytest.fail("it was trained again"),
    )  # fmt: skip
    assert run.reused
    assert same_weights(run.model, finished.model)
    assert run.record == record | there


def test_options_that_another_keras_does_not_have_do_not_count(monkeypatch):
    here = identify(network(), CELL, SPLIT, RECIPE, 0)
    model = network()
    config = json.loads(model.to_json())
    for layer in config["config"]["layers"]:
        layer["config"] |= {"quantization_config": None, "renorm": False, "name": "another"}
        layer["name"] = f"another_{layer['name']}"
        layer["config"]["dtype"] = {"class_name": "DTypePolicy", "config": {"name": "float32"}}
    text = json.dumps(config)
    for layer in model.layers:
        text = text.replace(f'"{layer.name}"', f'"another_{layer.name}"')
    monkeypatch.setattr(type(model), "to_json", lambda model: text)
    assert differences(identify(model, CELL, SPLIT, RECIPE, 0), here) == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"dropout": 0.3}, "layers"),
        ({"input_shape": (48, 64, 1)}, "layers"),
        ({"name": "other"}, "network"),
        ({"seed": 2}, "initial_weights"),
    ],
)
def test_another_network_is_another_training(change, where):
    one, other = (identify(network(**kind), CELL, SPLIT, RECIPE, 0) for kind in ({}, change))
    assert where in [text.partition(":")[0] for text in differences(one, other)]


def test_frozen_layers_are_another_training():
    model = network()
    before = identify(model, CELL, SPLIT, RECIPE, 0)
    model.layers[2].trainable = False
    after = identify(model, CELL, SPLIT, RECIPE, 0)
    assert [text.partition(":")[0] for text in differences(before, after)] == ["layers"]


def test_a_frozen_encoder_keeps_its_weights_while_the_decoder_learns(tmp_path):
    inputs, first = tf.keras.Input((None, None, 1)), tf.keras.Input((None, None, 1))
    maps = tf.keras.layers.Conv2D(4, 3, padding="same", activation="relu")(first)
    encoder = tf.keras.Model(first, maps, name="encoder")
    outputs = tf.keras.layers.Conv2D(4, 1, activation="softmax")(encoder(inputs))
    model = tf.keras.Model(inputs, outputs, name="small")
    recipe = replace(RECIPE, frozen=True, patch_px=32, steps=3, validate_every=3)
    before = [weight.numpy() for weight in model.weights]
    train(model, CELL, SPLIT, recipe, tmp_path / "frozen", progress=False)
    kept = [np.array_equal(*both) for both in zip(before, model.get_weights(), strict=True)]
    assert kept == [True, True, False, False]
    # Trained on with another recipe, all of it learns.
    learning = replace(recipe, frozen=False)
    train(model, CELL, SPLIT, learning, tmp_path / "learning", progress=False)
    assert not any(np.array_equal(*both) for both in zip(before, model.get_weights(), strict=True))
    with pytest.raises(ValueError, match="has no pretrained backbone"):
        train(network(), CELL, SPLIT, replace(RECIPE, frozen=True), tmp_path, progress=False)


def test_a_step_is_traced_once(tmp_path, monkeypatch):
    traced = []

    def loss(*arguments):
        if tf.inside_function():
            traced.append(arguments)
        return cross_entropy(*arguments)

    monkeypatch.setattr(fit, "cross_entropy", loss)
    train(network(), CELL, SPLIT, RECIPE, tmp_path, progress=False)
    assert len(traced) == 1


@pytest.mark.parametrize("index", [*SPLIT.train, *SPLIT.test])
@pytest.mark.parametrize("what", ["_labels", "_image"])
def test_one_slice_with_other_content_is_another_training(index, what):
    read = getattr(CELL, what)

    def changed(wanted):
        content = read(wanted).copy()
        content[60, 60] = 4 if wanted == index else content[60, 60]
        return content

    model = network()
    one, other = (
        identify(model, stack, SPLIT, RECIPE, 0)
        for stack in (CELL, replace(CELL, name="the same cell", **{what: changed}))
    )
    assert [text.partition(":")[0] for text in differences(one, other)] == ["slices"]
    assert identify(model, replace(CELL, name="x", licence="y"), SPLIT, RECIPE, 0) == one


def test_the_ground_truth_that_is_learnt_from_counts_and_no_other():
    model, several = network(), replace(RECIPE, several_nuclei=True)
    no_nuclei = replace(CELL, _nuclei=CELL._labels)
    assert identify(model, no_nuclei, SPLIT, RECIPE, 0) == identify(model, CELL, SPLIT, RECIPE, 0)
    assert identify(model, no_nuclei, SPLIT, several, 0) != identify(model, CELL, SPLIT, several, 0)


def test_a_cell_that_is_run_again_takes_up_what_it_did(tmp_path):
    model, recipe = network(), replace(RECIPE, steps=2)
    first = train(model, CELL, SPLIT, recipe, tmp_path / "a", progress=False)
    again = train(model, CELL, SPLIT, recipe, tmp_path / "a", progress=False)
    assert again.reused
    assert again.record == first.record
    assert again.record["weights"] == "random, tiny"
    # Another training goes on from the trained weights, and says so.
    more = train(model, CELL, SPLIT, replace(recipe, steps=3), tmp_path / "b", progress=False)
    assert not more.reused
    assert more.record["weights"] == "random, tiny, then trained"


def test_an_interrupted_training_leaves_the_model_as_it_was(finished, tmp_path):
    model = network()

    def interrupt(row):
        if row["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, CELL, SPLIT, RECIPE, tmp_path, progress=False, on_step=interrupt)
    assert same_weights(model, network())
    run = train(model, CELL, SPLIT, RECIPE, tmp_path, progress=False)
    assert run.record["weights"] == "random, tiny"
    assert same_weights(run.model, finished.model)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StorageError, match="data is a file, and a folder is needed"):
        train(network(), CELL, SPLIT, RECIPE, tmp_path / "data" / "training", progress=False)


def test_those_who_wait_can_read_who_trains(tmp_path):
    said = []
    train(
        network(), CELL, SPLIT, replace(RECIPE, steps=1), tmp_path, progress=False,
        on_step=lambda _: said.append(json.loads((tmp_path / HOLDER).read_text())),
    )  # fmt: skip
    assert said[0]["what"] == "trains tiny"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seed": 9}'])
def test_a_damaged_identity_stops_nothing(content, settings):
    """A default folder is named after what it holds."""
    recipe = replace(RECIPE, steps=1)
    with using(settings):
        run = train(network(), CELL, SPLIT, recipe, progress=False)
        (run.folder / "identity.json").write_text(content)
        assert train(network(), CELL, SPLIT, recipe, progress=False).reused
        (run.folder / "record.json").unlink()
        again = train(network(), CELL, SPLIT, recipe, progress=False)
    assert not again.reused
    assert again.folder == run.folder
    assert same_weights(again.model, run.model)


def test_the_folder_is_named_after_all_that_matters(settings):
    recipe = replace(RECIPE, steps=1)
    with using(settings):
        one, two, three = (
            train(network(), CELL, SPLIT, recipe, seed=seed, progress=False) for seed in (0, 1, 0)
        )
    assert one.folder.parent == settings.data_dir / "training"
    assert one.folder.name.startswith("tiny-phantom-quick-")
    assert one.folder == three.folder != two.folder
    assert three.reused


def test_a_time_budget_ends_training_and_the_cosine(tmp_path, monkeypatch):
    # Each look at the clock takes a tenth of a second, whatever else the machine does.
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: next(ticks) / 10)
    monkeypatch.setattr(fit, "time", clock)
    recipe = replace(RECIPE, steps=100_000, max_minutes=0.1)
    run = train(network(), CELL, SPLIT, recipe, tmp_path, progress=False)
    assert run.record["ended_by"] == "max_minutes"
    assert 0.1 <= run.record["minutes"] < 0.12
    assert 10 < run.record["steps"] < 60
    assert run.history["rate"].iloc[-1] < 0.05 * run.history["rate"].iloc[0]


def test_training_that_breaks_down_says_so(tmp_path):
    recipe = replace(RECIPE, class_weights=(float("inf"), 1, 1, 1))
    with pytest.raises(FloatingPointError, match=r"The loss is .* at step 1. Train again"):
        train(network(), CELL, SPLIT, recipe, tmp_path, progress=False)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_each_precision_trains_the_same_float32_weights(tmp_path, precision):
    recipe = replace(RECIPE, precision=precision, steps=3)
    model = network(precision=precision)
    run = train(model, CELL, SPLIT, recipe, tmp_path, progress=False)
    assert run.record["precision"] == precision_of(model) == precision
    assert {w.dtype for w in model.get_weights()} == {np.dtype(np.float32)}
    assert np.isfinite(run.history["loss"]).all()


@pytest.mark.parametrize(
    ("capability", "expected"), [((8, 9), "bfloat16"), ((7, 5), "float16"), ((6, 1), "float32")]
)
def test_precision_is_what_a_gpu_computes_fast(monkeypatch, capability, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    details = {"compute_capability": capability, "device_name": "a GPU"}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert choose_precision() == expected
    assert choose_precision("float32") == "float32"
    assert device_name() == "a GPU"


@pytest.mark.parametrize(
    ("flags", "expected"), [("fma avx512_bf16", "bfloat16"), ("fma avx2", "float32")]
)
def test_precision_is_what_a_processor_computes_fast(monkeypatch, tmp_path, flags, expected):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(device, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert choose_precision() == expected
    monkeypatch.setattr(device, "CPU_INFO", tmp_path / "none")
    assert choose_precision() == "float32"


@pytest.mark.parametrize(
    ("model", "change", "message"),
    [
        ({"input_shape": (48, 64, 2)}, {}, r"takes \(None, 48, 64, 2\); allowed are"),
        ({"input_shape": (None, None, 1)}, {}, "takes inputs of any size"),
        ({}, {"patch_px": 64}, "takes 48 x 64 and the recipe has patches of 64"),
        ({}, {"precision": "float16"}, "computes in .*, the recipe asks for float16"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(tmp_path, model, change, message):
    with pytest.raises(ValueError, match=message):
        train(network(**model), CELL, SPLIT, replace(RECIPE, **change), tmp_path, progress=False)


def test_patches_train_a_network_of_any_size(tmp_path):
    recipe = replace(
        Recipe.of("unet", "smoke"), patch_px=32, class_weights="median", quarter_turns=True
    )
    model = network(input_shape=(None, None, 1))
    run = train(model, CELL, SPLIT, recipe, tmp_path, progress=False)
    assert run.record["epochs"] == pytest.approx(3 * 2 / (3 * 36))


def test_the_history_is_drawn(finished):
    figure = plot_history({"one": finished.history, "two": finished.history.iloc[:4]})
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["loss", "four-class accuracy", "nucleus Jaccard"]
    seen = figure.axes[2].get_lines()[0]
    assert seen.get_xdata().tolist() == [6, 12]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_a_live_figure_grows_and_vanishes(monkeypatch, tmp_path):
    """In a running notebook a figure is shown once and updated, in the built book none."""
    from IPython import display

    from helpers.training import history

    shown = []

    class Handle:
        def update(self, what):
            shown.append(what)

    def show(what, display_id):
        shown.append(what)
        return Handle()

    monkeypatch.setattr(display, "display", show)
    monkeypatch.setattr(history, "_REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(history, "_REDRAW_SHARE", 1e9)
    monkeypatch.setattr(fit, "is_live", lambda: True)
    train(network(), CELL, SPLIT, replace(RECIPE, steps=3), tmp_path / "a", progress=True)
    assert [type(one).__name__ for one in shown] == ["HTML"] * 4
    assert all('alt="Training curves' in one.data for one in shown[:3])
    assert shown[3].data == ""
    shown.clear()
    monkeypatch.setenv("HELA_STATIC", "1")
    train(network(), CELL, SPLIT, replace(RECIPE, steps=3), tmp_path / "b")
    assert not shown


def test_the_identity_is_the_same_in_another_process(killed):
    """Else nothing could be resumed or reused; the killed process wrote this one."""
    stored = json.loads((killed / "identity.json").read_text())
    network()  # Keras numbers the layers of a second model otherwise
    assert identify(network(), CELL, SPLIT, RECIPE, 0) == stored
