"""The same nets, losses, optimizers and schedules in PyTorch, in float64."""

import inspect

import numpy as np
import pytest
from gradients import loss_case, spaced

from tinynet.check import pytorch
from tinynet.common import components
from tinynet.nn.layers.activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from tinynet.nn.layers.dropout import Dropout
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.shape import Flatten
from tinynet.nn.losses import L1, MSE, BinaryCrossEntropy, CrossEntropy, Huber
from tinynet.nn.net import Net
from tinynet.nn.optimizers import SGD, Adam, AdamW
from tinynet.nn.schedules import CosineLR, StepLR

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
# Nets this small are slower on two.
torch.set_num_threads(1)

TOLERANCE = 1e-9

BETWEEN = [ReLU, LeakyReLU, Tanh, Sigmoid, GELU, Softmax, Dropout]

LOSSES = [
    (loss, pytorch.LOSSES[type(loss)](torch.nn, loss))
    for loss in (MSE(), L1(), Huber(), Huber(0.3), CrossEntropy(), BinaryCrossEntropy())
]
every_loss = pytest.mark.parametrize(("loss", "torch_loss"), LOSSES, ids=[str(loss) for loss, _ in LOSSES])

OPTIMIZERS = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (SGD, {"lr": 0.1, "weight_decay": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
    (Adam, {}),
    (Adam, {"lr": 0.01, "betas": (0.5, 0.9)}),
    (Adam, {"lr": 0.01, "betas": (0.0, 0.5)}),
    (Adam, {"lr": 0.01, "eps": 0.1}),
    (Adam, {"lr": 0.01, "weight_decay": 0.1}),
    (AdamW, {}),
    (AdamW, {"lr": 0.01, "weight_decay": 0.5}),
    (AdamW, {"lr": 0.01, "weight_decay": 0.0}),
    (AdamW, {"lr": 0.01, "betas": (0.5, 0.9), "eps": 0.1, "weight_decay": 0.1}),
]
every_optimizer = pytest.mark.parametrize(("cls", "options"), OPTIMIZERS)


def twin(net):
    """The net in PyTorch, with the same parameters."""
    given = [net.input_shape, *net.shapes[:-1]]
    found = [
        pytorch.LAYERS[type(layer)](torch.nn, layer, shape) for layer, shape in zip(net.layers, given, strict=True)
    ]
    # In evaluation, as here, Dropout does nothing.
    model = torch.nn.Sequential(*(one if isinstance(one, torch.nn.Module) else torch.nn.Identity() for one in found))
    model.double()
    with torch.no_grad():
        for theirs, ours in zip(model.parameters(), net.parameters, strict=True):
            # Our weight is (in, out) and theirs (out, in); our bias is (1, out) and theirs (out,).
            theirs.copy_(torch.tensor(ours.tensor.T if theirs.ndim == 2 else ours.tensor[0]))
    return model.eval()


def assert_same(ours, theirs):
    """Within the tolerance, relative to the largest number."""
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max() + 1e-15


def assert_same_parameters(net, model, gradients=False):
    for ours, theirs in zip(net.parameters, model.parameters(), strict=True):
        a, b = (ours.gradient, theirs.grad) if gradients else (ours.tensor, theirs.data)
        assert_same(a, b.T if b.ndim == 2 else b[None])


def random_net(seed, outputs=None):
    """A net of up to five dense layers, with any layers in between."""
    rng = np.random.default_rng(seed)
    input_shape = [(5,), (2, 3, 2), (1, 4)][rng.integers(3)]
    layers = [Flatten()] if len(input_shape) > 1 else []
    depth = rng.integers(1, 6)
    for index in range(depth):
        size = int(rng.integers(2, 30))
        layers.append(Linear(outputs if outputs and index == depth - 1 else size, bias=bool(rng.random() < 0.7)))
        if index < depth - 1 or not outputs:
            layers += [cls() for cls in rng.choice(BETWEEN, rng.integers(0, 3))]
    return Net(layers, input_shape, seed=seed, dtype="float64")


@pytest.mark.parametrize("seed", range(40))
def test_outputs_and_gradients(seed):
    net = random_net(seed)
    model = twin(net)
    x = spaced((9, *net.input_shape), seed)
    torch_x = torch.tensor(x, requires_grad=True)
    y, torch_y = net.forward(x), model(torch_x)
    assert_same(y, torch_y)
    dy = spaced(y.shape, seed + 1)
    torch_y.backward(torch.tensor(dy))
    assert_same(net.backward(dy), torch_x.grad)
    assert_same_parameters(net, model, gradients=True)


def test_random_nets_hold_every_layer():
    drawn = {type(layer) for seed in range(40) for layer in random_net(seed).layers}
    assert drawn == {Linear, Flatten, *BETWEEN}
    assert {sum(isinstance(layer, Linear) for layer in random_net(seed).layers) for seed in range(40)} == {
        1,
        2,
        3,
        4,
        5,
    }


@every_loss
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (7, 4), (200, 4)])
def test_loss(loss, torch_loss, shape):
    predicted, target = loss_case(loss, shape)
    torch_predicted = torch.tensor(3 * predicted, requires_grad=True)
    expected = torch_loss(torch_predicted, torch.tensor(target))
    expected.backward()
    value, gradient = loss(3 * predicted, target)
    assert value == pytest.approx(expected.item(), rel=1e-12, abs=1e-15)
    assert_same(gradient, torch_predicted.grad)


def train(net, model, loss, torch_loss, optimizer, torch_optimizer, limit=None):
    """Thirty steps of both over the same batches."""
    outputs = net.output_shape[0]
    for step in range(30):
        x = spaced((8, *net.input_shape), seed=step)
        _, target = loss_case(loss, (8, outputs), seed=step)
        _, gradient = loss(net.forward(x, training=False), target)
        net.backward(gradient, to_input=False)
        torch_optimizer.zero_grad()
        torch_loss(model(torch.tensor(x)), torch.tensor(target)).backward()
        if step == 0:
            assert_same_parameters(net, model, gradients=True)
        if limit:
            expected = torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
            assert net.vector.clip_norm(limit) == pytest.approx(expected.item(), rel=1e-9)
            assert_same_parameters(net, model, gradients=True)
        net.update(optimizer)
        torch_optimizer.step()
    assert_same_parameters(net, model)


def torch_optimizer(cls, model, options):
    return getattr(torch.optim, cls.__name__)(model.parameters(), **options)


@every_optimizer
@every_loss
def test_thirty_steps(cls, options, loss, torch_loss):
    net = Net([Linear(12), Tanh(), Linear(9), ReLU(), Linear(3)], (5,), seed=1, dtype="float64")
    model = twin(net)
    train(net, model, loss, torch_loss, cls(**options), torch_optimizer(cls, model, options))


@every_optimizer
@pytest.mark.parametrize("limit", [0.05, 0.5, 1e3])
def test_thirty_steps_with_clipped_gradients(cls, options, limit):
    net = Net([Linear(12), Tanh(), Linear(3)], (5,), seed=2, dtype="float64")
    model = twin(net)
    train(net, model, MSE(), torch.nn.MSELoss(), cls(**options), torch_optimizer(cls, model, options), limit)


@pytest.mark.parametrize("seed", range(20))
def test_thirty_steps_of_random_nets(seed):
    net = random_net(seed, outputs=4)
    model = twin(net)
    loss, torch_loss = LOSSES[seed % len(LOSSES)]
    cls, options = OPTIMIZERS[seed % len(OPTIMIZERS)]
    train(net, model, loss, torch_loss, cls(**options), torch_optimizer(cls, model, options))


# Defaults


def torch_defaults(cls):
    return {name: p.default for name, p in inspect.signature(cls).parameters.items()}


@pytest.mark.parametrize("cls", [SGD, Adam, AdamW])
def test_defaults_of_optimizers(cls):
    theirs = torch_defaults(getattr(torch.optim, cls.__name__))
    for option in components.options(cls):
        assert option.default == theirs[option.name]


@pytest.mark.parametrize(
    ("cls", "torch_cls"),
    [
        (Linear, torch.nn.Linear),
        (LeakyReLU, torch.nn.LeakyReLU),
        (Dropout, torch.nn.Dropout),
        (Huber, torch.nn.HuberLoss),
        (StepLR, torch.optim.lr_scheduler.StepLR),
    ],
)
def test_defaults_of_other_components(cls, torch_cls):
    theirs = torch_defaults(torch_cls)
    compared = [option for option in components.options(cls) if not option.required and option.name in theirs]
    assert compared
    for option in compared:
        assert option.default == theirs[option.name]


def test_initial_values_are_drawn_from_the_same_range():
    net = Net([Linear(400)], (50,), dtype="float64")
    for ours, theirs in zip(net.parameters, torch.nn.Linear(50, 400).parameters(), strict=True):
        bound = 1 / np.sqrt(50)
        assert 0.95 * bound < np.abs(ours.tensor).max() <= bound
        assert 0.95 * bound < theirs.abs().max() <= bound * (1 + 1e-6)


# Schedules


@pytest.mark.parametrize(
    "schedule", [StepLR(3), StepLR(1, gamma=0.9), StepLR(50), CosineLR(), CosineLR(20), CosineLR(35)]
)
def test_schedule(schedule):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = pytorch.SCHEDULES[type(schedule)](torch.optim.lr_scheduler, schedule, optimizer, 20)
    for epoch in range(21):
        theirs = optimizer.param_groups[0]["lr"]
        assert 0.5 * schedule.factor(epoch, epochs=20) == pytest.approx(theirs, rel=1e-12, abs=1e-15)
        optimizer.step()
        scheduler.step()
