"""Augmentations: against values worked by hand, and what training does with them and evaluation does not."""

import re

import numpy as np
import pytest
import yaml

import tinynet
from tinynet.common.errors import OptionError
from tinynet.config.config import from_json
from tinynet.data.augmentations import Rotate, Shift, Zoom
from tinynet.nn.layers.images import to_memory
from tinynet.nn.random import Stream
from tinynet.training.checkpoint import capture
from tinynet.training.learner import Learner

EVERY = [Shift(2), Rotate(40), Zoom(0.3)]
every_augmentation = pytest.mark.parametrize("augmentation", EVERY, ids=lambda found: type(found).__name__)


class Drawn:
    """In place of a random generator: gives what it was told to, if the range and the count are right."""

    def __init__(self, values, low, high):
        self.values, self.range = np.array(values), (low, high)

    def integers(self, low, high, size):
        assert (low, high - 1, size) == (*self.range, self.values.shape)
        return self.values

    def uniform(self, low, high, size):
        assert (low, high, (size,)) == (*self.range, self.values.shape)
        return self.values


def pictures(n=3, c=2, h=6, w=5, dtype="float64"):
    return np.random.default_rng(0).uniform(0.1, 1, (n, c, h, w)).astype(dtype)


# By hand


def test_shift_by_hand():
    x = np.array([[[[1.0, 2, 3], [4, 5, 6]]]] * 3)
    y = Shift(2)(x, Drawn([[0, 1, -1], [1, 0, -2]], -2, 2))
    np.testing.assert_array_equal(y[0], [[[0, 1, 2], [0, 4, 5]]])
    np.testing.assert_array_equal(y[1], [[[0, 0, 0], [1, 2, 3]]])
    np.testing.assert_array_equal(y[2], [[[6, 0, 0], [0, 0, 0]]])


def test_a_shift_beyond_the_image_leaves_nothing():
    assert not Shift(100)(pictures(2), Drawn([[100, 0], [0, -7]], -100, 100)).any()


@pytest.mark.parametrize("size", [5, 6])
def test_rotation_by_quarter_turns(size):
    x = pictures(4, 2, size, size)
    y = Rotate(180)(x, Drawn([90, 180, -90, 0], -180, 180))
    for i, turns in enumerate([1, 2, 3, 0]):
        np.testing.assert_allclose(y[i], np.rot90(x[i], turns, axes=(1, 2)), atol=1e-12)


def test_rotation_of_a_picture_that_is_no_square():
    x = np.array([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12], [13, 14, 15]]]])
    # The middle square is turned anticlockwise; the rest is left of or right of the image.
    y = Rotate(90)(x, Drawn([90], -90, 90))
    np.testing.assert_allclose(y, [[[[0, 0, 0], [6, 9, 12], [5, 8, 11], [4, 7, 10], [0, 0, 0]]]], atol=1e-12)


def test_zoom_by_hand():
    x = np.array([[[[0.0, 8, 0]] * 3]] * 3)
    y = Zoom(0.5)(x, Drawn([1, 0.5, 1.5], 0.5, 1.5))
    np.testing.assert_array_equal(y[0], x[0])
    # Half the size: the pixels beside the middle show what was two pixels from it, which is outside.
    np.testing.assert_array_equal(y[1], [[[0, 0, 0], [0, 8, 0], [0, 0, 0]]])
    # 1.5 times: they show what was 2/3 of a pixel from it.
    np.testing.assert_allclose(y[2], [[[8 / 3, 8, 8 / 3]] * 3])


def test_between_pixels_it_is_bilinear():
    x = np.array([[[[1.0, 3], [5, 11]]]])
    # The corners lie at ±1/2; at 0.8 of the size they show ±5/8, which is 1/8 outside.
    np.testing.assert_allclose(Zoom(0.2)(x, Drawn([0.8], 0.8, 1.2)), 7 / 8 * 7 / 8 * x)
    # At 1.25 they show ±2/5: 9/10 of the own pixel and 1/10 of the next, in both directions.
    mix = np.array([[0.9, 0.1], [0.1, 0.9]])
    np.testing.assert_allclose(Zoom(0.25)(x, Drawn([1.25], 0.75, 1.25))[0, 0], mix @ x[0, 0] @ mix)


# Every augmentation


@every_augmentation
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape_type_and_memory(augmentation, dtype):
    x = pictures(dtype=dtype)
    before = x.copy()
    y = augmentation(x, np.random.default_rng(0))
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert np.shares_memory(to_memory(y), y)  # it lies batch-last: no copy is made
    np.testing.assert_array_equal(x, before)
    assert y.min() >= 0
    assert y.max() <= x.max() * (1 + 1e-6)
    # In whichever order the images lie.
    again = augmentation(np.asfortranarray(x), np.random.default_rng(0))
    np.testing.assert_array_equal(again, y)


@every_augmentation
def test_samples_change_differently_and_channels_alike(augmentation):
    one = pictures(1, 1, 9, 8)
    y = augmentation(one.repeat(8, axis=0).repeat(2, axis=1), np.random.default_rng(0))
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    assert len({sample.tobytes() for sample in y}) >= 6
    assert not np.allclose(y, one)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shift(0), r"Shift: pixels must be a whole number > 0, not 0"),
        (lambda: Shift(1.5), "Shift: pixels must be a whole number > 0, not 1.5"),
        (lambda: Rotate(181), "Rotate: degrees must be a number > 0 and <= 180, not 181"),
        (lambda: Zoom(1), "Zoom: share must be a number > 0 and < 1, not 1"),
    ],
)
def test_bad_options_in_python(make, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        make()


# In a config

IMAGES = """\
dataset:
  NPZ: {path: d.npz}
augment: [{Shift: 1}, {Rotate: 20}]
layers:
  - Conv2d: {out_channels: 2, kernel_size: 3}
  - Flatten
  - Linear: 2
loss: CrossEntropy
optimizer:
  SGD: {lr: 0.1, momentum: 0.9}
training:
  epochs: 3
  batch_size: 8
"""


@pytest.fixture
def images(tmp_path, write):
    """An experiment on 20 images: images(kind of number, {"old": "new"}, *overrides)."""

    def build(parts=(), *overrides, dtype=np.uint8, size=6):
        x = np.random.default_rng(0).integers(1, 256, (20, size, size), dtype=np.uint8)
        x = x if dtype == np.uint8 else x / 255
        np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(20) % 2, x_test=x, y_test=np.arange(20) % 2)
        text = IMAGES
        for old, new in dict(parts).items():
            assert old in text
            text = text.replace(old, new)
        return tinynet.build(tinynet.load(write(text), *overrides))

    return build


def seen(experiment, training=True):
    """The batches that a training puts into the net, in training or in evaluation."""
    found, forward = [], experiment.net.forward

    def spy(x, training_=False):
        if training_ == training:
            found.append(np.array(x))
        return forward(x, training_)

    experiment.net.forward = lambda x, training=False: spy(x, training)
    list(experiment.train())
    return found


def test_training_sees_what_the_streams_draw(images):
    experiment = images({}, "training.shuffle=false")
    x = experiment.dataset.train.x / np.float32(255)
    for step, batch in enumerate(seen(experiment)):
        start = step % 3 * 8
        expected = Shift(1)(x[start : start + 8], Stream(0, "augmentation", "0").at(step))
        expected = Rotate(20)(expected, Stream(0, "augmentation", "1").at(step))
        np.testing.assert_allclose(batch, expected, atol=1e-6)


def test_the_order_of_the_list_counts(images):
    one, other = images(), images({"{Shift: 1}, {Rotate: 20}": "{Rotate: 20}, {Shift: 1}"})
    assert not np.allclose(seen(one)[0], seen(other)[0])


def test_each_epoch_and_each_seed_differ_and_a_training_repeats(images):
    runs = [seen(images({}, "training.shuffle=false", f"seed={seed}")) for seed in (0, 0, 1)]
    for one, same, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.allclose(one, other)
    assert not np.allclose(runs[0][0], runs[0][3])


def test_evaluation_sees_the_images_as_they_are(images):
    experiment = images({}, "training.evaluate_train=true")
    plain = experiment.dataset.test.x / np.float32(255)
    batches = seen(experiment, training=False)
    assert len(batches) == 8  # test and training split, after each of 0 to 3 epochs
    for batch in batches:
        np.testing.assert_allclose(batch, plain, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, float])
def test_black_comes_in_where_images_are_standardised(images, dtype):
    parts = {"{path: d.npz}": "{path: d.npz, standardize: true}", "[{Shift: 1}, {Rotate: 20}]": "{Shift: 100}"}
    experiment = images(parts, dtype=dtype)
    scaling = experiment.description.input_scaling
    black = np.broadcast_to(scaling.apply(np.zeros(scaling.mean.shape)), (1, 6, 6))
    gone = [image for batch in seen(experiment) for image in batch if np.allclose(image, black, atol=1e-5)]
    assert len(gone) > 40  # of 60, nearly all are shifted out of sight


def test_an_autoencoder_gives_back_the_changed_images(images):
    parts = {
        "{path: d.npz}": "{path: d.npz, targets: inputs, standardize: true}",
        "  - Flatten\n  - Linear: 2\n": "  - ConvTranspose2d: {out_channels: 1, kernel_size: 3}\n",
        "CrossEntropy": "MSE",
    }
    for dtype in (np.uint8, float):
        experiment = images(parts, dtype=dtype)
        learner = Learner(experiment.rounds)
        pairs = [(x, targets) for x, _, targets in learner._batches()]
        assert len(pairs) == 3
        assert all(x is targets for x, targets in pairs)


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_resumed_training_ends_with_the_same_bytes(images, tmp_path, stop):
    whole = images()
    list(whole.train())
    part = images()
    for done, record in enumerate(filter(lambda record: record is None, part.training.steps()), start=1):
        assert record is None
        if done == stop:
            break
    part.training.settle()
    capture(part.rounds[0]).save(tmp_path / "last.npz")
    resumed = tinynet.load_checkpoint(tmp_path / "last.npz")
    list(resumed.train())
    assert resumed.net.vector.all_tensors.tobytes() == whole.net.vector.all_tensors.tobytes()


def test_without_any_nothing_changes(images):
    lines = {"augment: [{Shift: 1}, {Rotate: 20}]\n": ""}
    plain, empty, shifted = images(lines), images({}, "augment=[]"), images()
    assert plain.config.augment == empty.config.augment == []
    assert "augment" not in plain.config.to_json()
    for experiment in (plain, empty, shifted):
        list(experiment.train())
    assert plain.net.vector.all_tensors.tobytes() == empty.net.vector.all_tensors.tobytes()
    assert plain.net.vector.all_tensors.tobytes() != shifted.net.vector.all_tensors.tobytes()


def test_the_resolved_config_holds_them(images):
    config = images({}, "augment[1].Rotate.degrees=5", "augment[0]={Zoom: 0.2}").config
    resolved = config.to_json()
    assert resolved["augment"] == [{"Zoom": {"share": 0.2}}, {"Rotate": {"degrees": 5}}]
    assert from_json(yaml.safe_load(yaml.safe_dump(resolved)), "resolved.yaml").to_json() == resolved


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ("Shift: 0", "c.yaml:4:3: augment.Shift.pixels: must be a whole number > 0, not 0"),
        ("- Rotate: 200", "c.yaml:4:5: augment[0].Rotate.degrees: must be a number > 0 and <= 180, not 200"),
        ("- Zoom", "c.yaml:4:5: augment[0].Zoom.share: is missing. Zoom needs it, as in `Zoom: 0.1`."),
        (
            "- Shift: {pixel: 1}",
            "c.yaml:4:13: augment[0].Shift.pixel: no such option. Did you mean 'pixels'?",
        ),
        (
            "- Rotation: 5",
            "c.yaml:4:5: augment[0]: 'Rotation' is no augmentation. Did you mean 'Rotate'? (`tinynet layers` lists "
            "them)",
        ),
        ("- ReLU", "c.yaml:4:5: augment[0]: 'ReLU' is a layer, not an augmentation"),
        (
            "- Shift: 1",
            "c.yaml:3:1: augment: needs images (channels, height, width), but a sample has the shape (2,). Remove it.",
        ),
    ],
)
def test_problems(problems, changed, augment, message):
    assert problems(changed({"layers:": f"augment:\n  {augment}\nlayers:"}).replace("name: small\n", "")) == [message]
