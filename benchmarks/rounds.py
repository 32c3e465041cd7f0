"""Rounds of the disk: stacked in tinynet, beside one after another, and beside PyTorch in both ways.

python benchmarks/rounds.py [--rounds 10 50] [--repeats 3] [--config CONFIG] [--set PATH=VALUE] [--out TABLE.md]

PyTorch stacks by `torch.func.stack_module_state` and `vmap`, as in its tutorial on ensembles, with one optimizer over
the stacked parameters; the figures of all rounds are one pass as well. (`vmap` of `grad` was slower than `backward`
through `vmap`.) All sides have the same data, and initial values and shuffling of their own. They take turns; figures
are medians, ratios the medians of the turns' ratios. Times are those of whole trainings with the figures of both splits
after each epoch, and those in training batches alone; building nets and data is left out.
"""

import argparse
import copy
import time
from operator import truediv
from statistics import median

import dense
import peers
import torch
from torch.func import functional_call, stack_module_state, vmap

import tinynet
from tinynet.common.errors import UsageError

CONFIG = "papers/feng-sun-wang"
STACKED, *OTHERS = "tinynet, stacked", "tinynet, one by one", "PyTorch, one by one", "PyTorch, vmap"


class Stacked:
    """Rounds in PyTorch as one training.

    Parameters
    ----------
    rounds
        The trainings by themselves, at their beginning.
    """

    def __init__(self, rounds):
        self.rounds, self.config = rounds, rounds[0].config
        self.parameters, _ = stack_module_state([one.net for one in rounds])
        template = copy.deepcopy(rounds[0].net).to("meta")
        self.outputs = vmap(lambda parameters, x: functional_call(template, parameters, (x,)))
        self.losses = vmap(rounds[0].criterion)
        kind, options = type(rounds[0].optimizer), rounds[0].optimizer.defaults
        self.optimizer = kind(self.parameters.values(), **options)
        splits = [(one.train_split, one.test_split) for one in rounds]
        self.train_split, self.test_split = (
            tuple(map(torch.stack, zip(*s, strict=True))) for s in zip(*splits, strict=True)
        )

    def train(self):
        """Yields the losses and errors (rounds,) of both splits after each epoch, and the seconds in batches."""
        yield *self.figures(self.train_split), *self.figures(self.test_split), 0.0
        seconds = 0.0
        for epoch in range(self.config.training.epochs):
            start = time.perf_counter()
            self.epoch(torch.stack([one.order(epoch) for one in self.rounds]))
            seconds += time.perf_counter() - start
            yield *self.figures(self.train_split), *self.figures(self.test_split), seconds

    def epoch(self, orders):
        x, y, _ = self.train_split
        rows = torch.arange(len(orders))[:, None]
        size, x, y = self.config.training.batch_size, x[rows, orders], y[rows, orders]
        for i in range(0, x.shape[1], size):
            self.optimizer.zero_grad()
            losses = self.losses(self.outputs(self.parameters, x[:, i : i + size]), y[:, i : i + size])
            losses.sum().backward()
            self.optimizer.step()

    def figures(self, split):
        x, y, labels = split
        with torch.no_grad():
            outputs = self.outputs(self.parameters, x)
            wrong = dense.decoded(outputs, self.rounds[0].coding) != labels
            return self.losses(outputs, y), wrong.double().mean(dim=1)


def stacked(config):
    experiment = tinynet.build(config)
    if not experiment.training.stacked:
        count = config.training.rounds
        raise UsageError(
            f"{config.source.file}: tinynet does not stack {count} round{'s' * (count > 1)} of this config"
        )
    records, seconds = dense.timed(experiment.train())
    last = [record for record in records if record.epoch == config.training.epochs]
    return seconds, sum(record.seconds for record in last)


def singly(config, make):
    """(seconds of all rounds, of them in batches), each made from its experiment."""
    trainings = [make(tinynet.build(config.of_round(number))) for number in range(config.training.rounds)]
    done = [dense.timed(training.train()) for training in trainings]
    return sum(seconds for _, seconds in done), sum(records[-1].seconds for records, _ in done)


def with_vmap(config):
    experiment = tinynet.build(config)
    training = Stacked([dense.PyTorch(one) for one in experiment.rounds])
    epochs, seconds = dense.timed(training.train())
    return seconds, epochs[-1][-1]


SIDES = {
    STACKED: stacked,
    OTHERS[0]: lambda config: singly(config, lambda experiment: experiment),
    OTHERS[1]: lambda config: singly(config, dense.PyTorch),
    OTHERS[2]: with_vmap,
}


def measure(config, repeats):
    """{side: [(seconds of the whole, of it in batches)]}, an entry for each turn."""
    turns = [{name: side(config) for name, side in SIDES.items()} for _ in range(repeats)]
    return {name: [turn[name] for turn in turns] for name in SIDES}


def rows(config, found):
    """The rows of a count of rounds."""
    for name, times in found.items():
        cells = [f"{median(column):.2f} s" for column in zip(*times, strict=True)]
        ratios = ["–", "–"]
        if name != STACKED:
            pairs = zip(found[STACKED], times, strict=True)
            ratios = [f"{median(column):.3f}" for column in zip(*(map(truediv, *pair) for pair in pairs), strict=True)]
        yield peers.row([config.training.rounds, name, cells[0], ratios[0], cells[1], ratios[1]])


def lines(configs, repeats):
    """All that the script prints."""
    yield dense.introduction(f"; medians of {repeats} turns")
    whole = f"{configs[0].training.epochs} epochs of `{configs[0].name}`"
    yield peers.header("rounds", whole, "with figures", "stacked to it", "in batches", "stacked to it")
    for config in configs:
        yield from rows(config, measure(config, repeats))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=peers.count, nargs="+", default=[10, 50])
    parser.add_argument("--repeats", type=peers.count, default=3, help="turns")
    parser.add_argument("--config", default=CONFIG, help="a name in configs/, or a file")
    dense.add_overrides(parser)
    dense.add_out(parser)
    options = parser.parse_args()
    configs = [dense.load(options.config, *options.overrides, f"training.rounds={n}") for n in options.rounds]
    measure(dense.load(options.config, *options.overrides, "training.rounds=2", "training.epochs=1"), 1)
    dense.write(lines(configs, options.repeats), options.out)


if __name__ == "__main__":
    peers.run(main)
