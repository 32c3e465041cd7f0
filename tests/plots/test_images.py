"""The pictures of runs on images, and the confusion matrix, show what the net, the data and the figures say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from pictures import load

from tinynet.nn.layers.convolution import Conv2d
from tinynet.plots import confusion, draw, filters, images, tiles
from tinynet.runs.run import Run

NAMES = np.array(["ape", "bee", "cat and dog", "d$_x$"])


@pytest.fixture
def train(train, tmp_path: Path):
    """As the fixture of all tests, on random images of `classes` (n, channels, 5, 6); `data` are options of NPZ."""

    def trained(channels=1, classes=4, kind="bytes", loss="CrossEntropy", data=(), **options) -> Run:
        rng = np.random.default_rng(0)
        y = np.arange(90) % classes
        x = np.clip(rng.random((classes, channels, 5, 6))[y] + 0.3 * rng.standard_normal((90, channels, 5, 6)), 0, 1)
        x = {"bytes": np.rint(255 * x).astype(np.uint8), "unit": x, "wide": 200 * x - 50}[kind]
        labels = NAMES[y] if classes == 4 else y
        np.savez(tmp_path / "x.npz", x_train=x[:50], y_train=labels[:50], x_test=x[50:], y_test=labels[50:])
        layers = [{"Conv2d": {"out_channels": 3, "kernel_size": [2, 3]}}, "ReLU", "Flatten", {"Linear": classes}]
        dataset = {"NPZ": {"path": str(tmp_path / "x.npz"), **dict(data)}}
        return train(dataset, loss, **{"layers": layers, "lr": 0.01, "epochs": 1, "evaluate_train": False, **options})

    return trained


def autoencoder(channels: int = 1, **options: Any) -> dict[str, Any]:
    back = {"ConvTranspose2d": {"out_channels": channels, "kernel_size": 2}}
    layers = [{"Conv2d": {"out_channels": 2, "kernel_size": 2}}, back]
    return {"layers": layers, "loss": "MSE", "data": {"targets": "inputs", **options}}


def files(run: Run, notes: list[str] | None = None) -> list[str]:
    return [path.name.removesuffix(".png") for path in draw([run], notes=[] if notes is None else notes)]


def shown(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in figure.axes[0].get_images()]


def captions(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def rows(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


@pytest.fixture
def original(tmp_path):
    """The images of a split of the file as they are to be shown, (n, 5, 6) or (n, 5, 6, 3), read without tinynet."""

    def read(split, low=0.0, high=1.0):
        with np.load(tmp_path / "x.npz") as file:
            x = file[f"x_{split}"]
        x = x / 255 if x.dtype == np.uint8 else (x - low) / (high - low)
        return x.transpose(0, 2, 3, 1) if x.shape[1] == 3 else x.mean(axis=1)

    return read


@pytest.mark.parametrize(("channels", "kind"), [(1, "bytes"), (2, "unit"), (3, "wide")])
def test_files_of_a_classification(train, channels, kind):
    run = train(channels, kind=kind, data={"standardize": True})
    assert files(run) == ["loss", "error", "confusion", "mistakes", "samples", "filters", "network"]
    for path in (run.folder / "plots").iterdir():
        assert imread(path)[..., :3].std() > 0.05, f"{path} is blank"


def test_files_of_an_autoencoder_and_of_a_dense_net(train):
    assert files(train(**autoencoder())) == ["loss", "reconstructions", "samples", "filters", "network"]
    notes: list[str] = []
    assert files(train(layers=["Flatten", {"Linear": 4}]), notes)[2:] == ["confusion", "mistakes", "samples", "network"]
    assert [note.split(": ", 1)[1] for note in notes] == ["filters is not drawn: the net has no Conv2d."]


@pytest.mark.parametrize(("classes", "drawn"), [(2, False), (3, True), (20, True), (21, False)])
def test_confusion_is_of_3_to_20_classes(train, classes, drawn):
    notes: list[str] = []
    assert ("confusion" in files(train(classes=classes), notes)) == drawn
    assert any("confusion" in note and "21 classes" in note for note in notes) == (classes == 21)


@pytest.mark.parametrize("maker", [{}, autoencoder()])
def test_curves_and_filters_remain_when_the_data_are_gone(train, tmp_path, maker):
    run = train(**maker)
    (tmp_path / "x.npz").unlink()
    notes: list[str] = []
    curves = ["loss"] if maker else ["loss", "error"]
    assert files(run, notes) == [*curves, "filters", "network"]
    assert len(notes) == 1
    assert "x.npz: no such file" in notes[0]


def test_confusion_is_that_of_evaluate(train, figure):
    saved = load(train())
    evaluated = saved.experiment.evaluate("test")
    counts = evaluated.confusion
    assert evaluated.errors, "there are to be mistakes"
    confusion.draw_confusion(figure, "small", saved)
    axes = figure.axes[0]
    cells = {text.get_position()[::-1]: int(text.get_text()) for text in axes.texts if text.get_text() != "error"}
    assert cells == {(i, j): n for (i, j), n in np.ndenumerate(counts) if n or i == j}
    (image,) = axes.get_images()
    off = ~np.eye(4, dtype=bool)
    assert image.origin == "upper"
    np.testing.assert_array_equal(np.ma.getmaskarray(image.get_array()), ~off)
    expected = (100 * counts / counts.sum(axis=1, keepdims=True))[off]
    np.testing.assert_allclose(shown(figure)[0][off], expected)
    assert image.get_clim() == (0, pytest.approx(expected.max()))
    assert rows(figure) == [text.get_text() for text in axes.get_xticklabels()] == NAMES.tolist()
    assert figure.get_suptitle() == f"small: test error {100 * evaluated.error:.1f} % at epoch 1 (last)"


def test_confusion_of_a_class_without_samples_and_without_mistakes():
    counts = np.array([[5, 0, 0], [0, 0, 0], [1, 0, 3]])
    np.testing.assert_array_equal(confusion.mistaken_shares(counts), [[0, 0, 0], [0, 0, 0], [25, 0, 0]])


@pytest.mark.parametrize("kind", ["bytes", "wide"])
def test_mistakes_are_the_surest_and_have_their_words(train, figure, original, tmp_path, kind):
    saved = load(train(kind=kind, data={"standardize": True}))
    images.draw_mistakes(figure, "small", saved)
    with np.load(tmp_path / "x.npz") as file:
        x, true = file["x_test"], file["y_test"]
        ends = (file["x_train"].min(), file["x_train"].max())
    predicted, probabilities = saved.experiment.predict(x), saved.experiment.probabilities(x).max(axis=1)
    wrong = [int(i) for i in np.argsort(-probabilities) if predicted[i] != true[i]]
    shown_here = wrong[: len(shown(figure))]
    assert len(shown_here) == min(len(wrong), 20) > 3
    words = [f"{true[i]}\n→ {predicted[i]}\n{100 * probabilities[i]:.1f} %" for i in shown_here]
    assert captions(figure) == words
    np.testing.assert_allclose(shown(figure), np.clip(original("test", *ends)[shown_here], 0, 1), atol=1e-6)
    assert f"{len(wrong)} errors in 40 test images" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("classes", "outputs", "targets"), [(5, 5, "one_hot"), (2, 2, "sign"), (2, 1, "binary"), (3, 5, "one_hot")]
)
def test_margins_where_the_loss_gives_no_probabilities(train, figure, classes, outputs, targets):
    layers = [{"Conv2d": {"out_channels": 3, "kernel_size": 2}}, "Flatten", {"Linear": outputs}]
    saved = load(train(classes=classes, loss="MSE", layers=layers, data={"targets": targets}))
    test = saved.experiment.dataset.test
    wrong, predicted, sureness, likely = images.worst(saved.experiment, test)
    assert not likely
    assert len(wrong) == min(24, saved.figures.errors) > 1
    raw = saved.experiment.outputs(test.x)
    for row, k, sure in zip(wrong, predicted, sureness, strict=True):
        y = raw[row]
        one = {"sign": abs(y.sum()), "binary": abs(y[0] - 0.5)}
        expected = one[targets] if targets in one else y[k] - y[test.labels[row]]
        assert sure == pytest.approx(expected, rel=1e-4, abs=1e-6)
        assert k != test.labels[row]
    assert list(sureness) == sorted(sureness, reverse=True)
    images.draw_mistakes(figure, "small", saved)
    assert captions(figure)[0] == f"{test.labels[wrong[0]]} → {predicted[0]}\nby {sureness[0]:#.3g}"
    assert "ahead" in figure.axes[0].get_xlabel()


def test_no_mistakes_is_a_note(train):
    run = train(epochs=60, lr=0.3, classes=2)
    notes: list[str] = []
    assert load(run).figures.errors == 0, "there are to be no mistakes"
    assert files(run, notes) == ["loss", "error", "samples", "filters", "network"]
    assert notes == [f"{run.folder}: mistakes is not drawn: all 40 test images are classified rightly."]


def test_a_probability_is_never_rounded_up_to_certainty():
    assert [images.percent(p) for p in (0.5, 0.9994, 0.9996, 1.0)] == ["50.0 %", "99.9 %", "> 99.9 %", "> 99.9 %"]


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_stand_in_the_row_of_their_class(train, figure, original, tmp_path, channels):
    experiment = load(train(channels, kind="unit", data={"standardize": True})).experiment
    images.draw_samples(figure, "small", experiment)
    assert rows(figure) == NAMES.tolist()
    with np.load(tmp_path / "x.npz") as file:
        order = [i for name in NAMES for i in np.flatnonzero(file["y_train"] == name)[:10]]
    np.testing.assert_allclose(shown(figure), original("train")[order], atol=1e-6)
    tops = [image.get_extent()[3] for image in figure.axes[0].get_images()]
    assert tops == sorted(tops)
    assert len(set(tops)) == 4
    left, right, bottom, top = figure.axes[0].get_images()[0].get_extent()
    assert (bottom - top) / (right - left) == pytest.approx(5 / 6)


def test_samples_of_many_classes_and_of_none(train, figure, original):
    images.draw_samples(figure, "small", load(train(classes=12)).experiment)
    assert captions(figure) == [str(k) for k in range(12)]
    np.testing.assert_allclose(shown(figure), original("train")[:12])
    options = {"data": {"task": "regression"}, "classes": 5, "loss": "MSE", "layers": ["Flatten", {"Linear": 1}]}
    run = train(**options)
    plain = Figure()
    images.draw_samples(plain, "small", load(run).experiment)
    np.testing.assert_allclose(shown(plain), original("train")[:40])
    assert files(run) == ["loss", "samples", "network"]


def test_channels_that_are_no_colours_are_their_mean(train, figure, original):
    images.draw_samples(figure, "small", load(train(2)).experiment)
    assert figure.get_suptitle().endswith("(mean of 2 channels)")
    assert shown(figure)[0].shape == (5, 6)
    np.testing.assert_allclose(shown(figure)[0], original("train")[0])


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_filters_are_the_weights_on_one_scale_around_0(train, figure, channels):
    saved = load(train(channels))
    layer = saved.experiment.net.layers[0]
    assert isinstance(layer, Conv2d)
    filters.draw_filters(figure, "small", layer, saved)
    weight = layer.weight.tensor
    expected = [weight[o, c] for c in range(channels) for o in range(3)]
    np.testing.assert_allclose(shown(figure), expected, rtol=1e-6)
    limit = np.abs(weight).max()
    for image in figure.axes[0].get_images():
        assert image.get_clim() == (-limit, limit)
        np.testing.assert_allclose(image.cmap(image.norm(0.0))[:3], 0.97, atol=0.01)
    assert figure.axes[1].get_ylim() == pytest.approx((-limit, limit))
    assert rows(figure) == ([] if channels == 1 else [f"channel {c + 1}" for c in range(channels)])
    assert captions(figure) == (["1", "2", "3"] if channels == 1 else [])


def test_filters_of_many_channels_are_their_mean(train, figure):
    layers = [{"Conv2d": {"out_channels": 70, "kernel_size": 2}}, "Flatten", {"Linear": 4}]
    saved = load(train(5, layers=layers))
    layer = saved.experiment.net.layers[0]
    filters.draw_filters(figure, "small", layer, saved)
    np.testing.assert_allclose(shown(figure), layer.weight.tensor[:64].mean(axis=1), rtol=1e-4, atol=1e-7)
    assert "mean of\n5 input channels" in figure.axes[1].get_ylabel()
    assert "the first 64 of 70 filters" in figure.get_suptitle()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("kind", "standardize"), [("bytes", False), ("bytes", True), ("wide", True)])
def test_reconstructions_stand_under_their_inputs(train, figure, original, tmp_path, channels, kind, standardize):
    saved = load(train(channels, kind=kind, **autoencoder(channels, standardize=standardize)))
    images.draw_reconstructions(figure, "small", saved)
    with np.load(tmp_path / "x.npz") as file:
        x, low, high = file["x_test"], file["x_train"].min(), file["x_train"].max()
    low, high = (0.0, 1.0) if kind == "bytes" else (low, high)
    chosen = images.one_of_each(saved.experiment.dataset.test)[:12]
    after = tiles.pictures(saved.experiment.predict(x[chosen]), (low, high))
    drawn = shown(figure)
    np.testing.assert_allclose(drawn[0::2], np.clip(original("test", low, high)[chosen], 0, 1), atol=1e-6)
    np.testing.assert_allclose(drawn[1::2], after, atol=1e-5)
    places = [image.get_extent() for image in figure.axes[0].get_images()]
    for before, below in zip(places[0::2], places[1::2], strict=True):
        assert below[:2] == before[:2]
        assert before[2] < below[3]
    loss = saved.experiment.evaluate("test").loss
    assert figure.get_suptitle() == f"small: test loss {loss:.4g} at epoch 1 (last)"


def test_one_of_each_class_comes_before_a_second(train):
    test = load(train()).experiment.dataset.test
    assert [sorted(test.labels[images.one_of_each(test)[i : i + 4]]) for i in (0, 4, 8)] == [[0, 1, 2, 3]] * 3


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["svg", "pdf"])
def test_the_same_run_gives_the_same_bytes(train, file_format):
    run = train(3)
    first = [path.read_bytes() for path in draw([run], file_format)]
    assert [path.read_bytes() for path in draw([run], file_format)] == first
