"""A batch in pieces: the same gradients as the whole, and the same bytes for any number of workers."""

from threading import Event, Thread

import numpy as np
import pytest

import tinynet
from tinynet.nn.layers.convolution import Conv2d
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.normalization import BatchNorm
from tinynet.nn.layers.pooling import MaxPool2d
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.losses import CrossEntropy
from tinynet.nn.net import Net
from tinynet.training.learner import Learner
from tinynet.training.measuring import measure
from tinynet.training.workers import IMAGES, Pieces, replica


def images_net(dtype="float64", *more):
    return Net([Conv2d(3, 3), MaxPool2d(2), *more, Flatten(), Linear(4)], (1, 8, 8), seed=0, dtype=dtype)


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.standard_normal((3 * IMAGES + 5, 1, 8, 8)), rng.integers(0, 4, 3 * IMAGES + 5)


def test_pieces_add_up_to_the_whole_batch(batch):
    x, y = batch
    whole, cut = images_net(), images_net()
    value, gradient = CrossEntropy()(whole.forward(x, training=True), y)
    whole.backward(gradient, to_input=False)
    found, predicted = Pieces(cut, CrossEntropy()).run(x, y)
    assert found == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(predicted, whole.forward(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(cut.vector.gradient, whole.vector.gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_workers_gives_the_same_bytes(batch, workers):
    x, y = batch
    found = []
    for count in (1, workers):
        net, optimizer = images_net("float32", Dropout(0.3)), tinynet.SGD(lr=0.1, momentum=0.9)
        pieces = Pieces(net, CrossEntropy())
        pieces.workers = count
        values = []
        for _ in range(5):
            values.append(pieces.run(x, y)[0])
            net.update(optimizer)
        found.append((values, net.vector.all_tensors.tobytes()))
    assert found[0] == found[1]
    assert len(set(found[0][0])) == 5  # it has learned, with replicas that follow the parameters


def test_each_piece_has_masks_of_its_own(batch):
    net = Net([Conv2d(1, 1), Dropout(0.5), Flatten(), Linear(4)], (1, 8, 8), seed=0)
    x = np.ones((2 * IMAGES, 1, 8, 8))
    _, predicted = Pieces(net, CrossEntropy()).run(x, np.zeros(2 * IMAGES, int))
    # The same inputs: only the masks can make a difference.
    assert (predicted[:IMAGES] != predicted[IMAGES:]).any()


@pytest.mark.parametrize(
    "net",
    [
        Net([Linear(4)], (3,)),
        Net([Flatten(), Linear(4)], (1, 8, 8)),
        Net([Conv2d(2, 3), BatchNorm(), Flatten(), Linear(4)], (1, 8, 8)),
    ],
    ids=["dense", "dense over images", "mixes samples"],
)
def test_some_nets_run_in_one_piece(net):
    assert not Pieces(net, CrossEntropy()).cuts(np.zeros((4 * IMAGES, *net.input_shape)))


@pytest.mark.parametrize("started", [0, 1])
def test_where_no_thread_can_be_started_one_worker_does_it_all(batch, monkeypatch, started):
    x, y = batch
    one, other = images_net(), images_net()
    expected = Pieces(one, CrossEntropy()).run(x, y)
    threads, refused, start, piece = [], Event(), Thread.start, Pieces._piece

    def refuse(thread):
        if len(threads) == started:
            refused.set()
            raise RuntimeError("can't start new thread")
        threads.append(thread)
        start(thread)

    def waits(self, index):
        refused.wait(10)  # else the first thread might do all of it
        return piece(self, index)

    monkeypatch.setattr(Thread, "start", refuse)
    monkeypatch.setattr(Pieces, "_piece", waits)
    pieces = Pieces(other, CrossEntropy(), 3)
    found = pieces.run(x, y)
    assert found[0] == expected[0]
    assert found[1].tobytes() == expected[1].tobytes()
    assert other.vector.all_gradients.tobytes() == one.vector.all_gradients.tobytes()
    assert pieces.workers == 1
    pieces.run(x, y)


def test_a_replica_shares_parameters_and_nothing_else(batch):
    net = images_net()
    twin = replica(net)
    net.parameters[0].tensor[...] = 7
    assert (twin.parameters[0].tensor == 7).all()
    twin.forward(batch[0][:2])
    twin.backward(np.ones((2, 4)))
    assert twin.vector.gradient.any()
    assert not net.vector.gradient.any()


def test_a_whole_training_is_the_same_with_more_workers(tmp_path, cli):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (100, 8, 8), dtype=np.uint8), np.arange(100) % 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    (tmp_path / "c.yaml").write_text(
        "dataset: {NPZ: d.npz}\n"
        "layers: [{Conv2d: {out_channels: 2, kernel_size: 3}}, ReLU, Flatten, {Dropout: 0.2}, {Linear: 2}]\n"
        "loss: CrossEntropy\noptimizer: Adam\ntraining: {epochs: 2, batch_size: 80}\n"
    )
    found = []
    for workers in (1, 2, 4):
        status, _, _ = cli("train", "c.yaml", "--workers", workers, "--name", f"w{workers}", "--quiet")
        assert status == 0
        with np.load(tmp_path / "runs" / f"w{workers}" / "checkpoints" / "last.npz") as arrays:
            found.append({key: arrays[key].tobytes() for key in arrays.files if key != "metadata"})
    assert found[0] == found[1] == found[2]


def test_a_piece_that_was_broken_off_leaves_nothing_behind(batch, monkeypatch):
    x, y = batch
    net, other = images_net(), images_net()
    pieces = Pieces(net, CrossEntropy())
    forward = Net.forward

    def interrupted(self, *values, **options):
        if self.clock.piece == 2:
            raise KeyboardInterrupt
        return forward(self, *values, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Net, "forward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pieces.run(x, y)
    assert pieces.idle.qsize() == 1
    net.zero_grad()
    assert pieces.run(x, y)[0] == Pieces(other, CrossEntropy()).run(x, y)[0]
    assert net.vector.all_gradients.tobytes() == other.vector.all_gradients.tobytes()


# The last batch of 43 is not cut, that of 40 ends in a piece of 8.
@pytest.mark.parametrize(("samples", "left"), [(43, 3), (40, 8)])
def test_a_divergence_is_looked_for_in_the_last_batch_cut_or_not(tmp_path, samples, left):
    x, y = np.random.default_rng(0).normal(size=(samples, 1, 8, 8)), np.arange(samples) % 2
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    (tmp_path / "c.yaml").write_text(
        "dataset: {NPZ: d.npz}\nlayers: [{Conv2d: {out_channels: 2, kernel_size: 3}}, Flatten, {Linear: 2}]\n"
        "loss: CrossEntropy\noptimizer: SGD\ntraining: {epochs: 1, batch_size: 40}\n"
    )
    learner = Learner(tinynet.build(tinynet.load(tmp_path / "c.yaml")).rounds)
    measure(learner.first, learner.pieces)
    list(learner.steps())
    learner.pieces.blame(learner.net)
    assert len(learner.net.layers[0].x) == left
