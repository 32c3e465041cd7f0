"""The papers' experiments in tinynet and in PyTorch: errors and times over their rounds, and whether they agree.

python benchmarks/paper_table.py [CONFIG...] [--rounds R] [--set PATH=VALUE] [--out TABLE.md]

The first table is Table I of Feng, Sun and Wang, "Mini Deep-learning Framework", made anew. Both sides have the same
data in each round, but initial values and shuffling of their own; they take turns, round by round. Times are those of a
training with the figures of both splits after each epoch.

The last table compares losses and errors of both splits after each epoch, in float64, over the same batches. "Each
epoch": PyTorch takes tinynet's parameters after each epoch. "Whole training": before the first epoch only. Their disk
at its learning rate of 0.1 is chaotic: a last bit changed at the beginning is a curve of its own some epochs later, in
tinynet beside itself as in PyTorch beside tinynet. So it is there at a tenth of the rate too.
"""

import argparse
from pathlib import Path

import dense
import numpy as np
import peers

import tinynet

TABLE_I = "papers/feng-sun-wang"
OTHERS = ("papers/bian-dankl-mercan", "papers/bian-dankl-mercan-momentum", "papers/bigoni-ripamonti")
CALM = "optimizer.SGD.lr=0.01"
# Train error, test error, seconds.
PRINTED = {
    "the paper's framework": ("8.03 %", "8.73 %", "5.50 s"),
    "the paper's PyTorch": ("7.47 %", "8.81 %", "5.37 s"),
}
LIMIT = 1e-9


def trainings(config):
    """The lines of a config's table: each side's figures over the rounds."""
    sides, commonest = {"tinynet": [], "PyTorch": []}, []
    for number in range(config.training.rounds):
        ours, theirs = (tinynet.build(config.of_round(number)) for _ in range(2))
        sides["tinynet"].append(dense.timed(ours.train()))
        sides["PyTorch"].append(dense.timed(dense.PyTorch(theirs).train()))
        commonest.append([ours.evaluate(split).commonest_error for split in ("train", "test")])
    yield peers.header(f"`{config.name}`, {config.training.rounds} rounds", "train error", "test error", "time")
    if config.name == Path(TABLE_I).name:
        yield from (peers.row([name, *figures]) for name, figures in PRINTED.items())
    for name, found in sides.items():
        errors = [[records[-1][f"{split}_error"] for records, _ in found] for split in ("train", "test")]
        times = dense.spread([seconds for _, seconds in found], 2, " s", 1)
        yield peers.row([name, *map(dense.spread, errors), times])
    yield peers.row(["always the commonest class", *map(dense.spread, zip(*commonest, strict=True)), "–"]) + "\n"


def figures(record):
    return np.array([record.train_loss, record.train_error, record.test_loss, record.test_error])


def differences(config):
    """Largest differences of the figures, (rounds, epochs + 1) each: of PyTorch with each epoch begun at tinynet's
    parameters, of PyTorch over the whole training, and of tinynet with the last bit of each parameter changed."""
    ours, nudged = tinynet.build(config), tinynet.build(config)
    for one in nudged.rounds:
        vector = one.net.vector.tensor
        vector[:] = np.nextafter(vector, np.inf)
    by_epoch, whole = ([dense.PyTorch.beside(one) for one in ours.rounds] for _ in range(2))
    found = np.zeros((3, config.training.rounds, config.training.epochs + 1))
    for record, other in zip(ours.train(), nudged.train(), strict=True):
        place, mine = (record.round, record.epoch), figures(record)
        for which, peer in enumerate((by_epoch[record.round], whole[record.round])):
            if record.epoch:
                peer.epoch(peer.order(record.epoch - 1))
            found[which, *place] = np.abs(mine - figures(peer.measure(record.epoch, 0.0))).max()
        found[2, *place] = np.abs(mine - figures(other)).max()
        by_epoch[record.round].copy(ours.rounds[record.round].net)
    return found


def epochs_within(differences):
    """The epochs to which all figures of a round stay within the limit: of the first round to leave it."""
    beyond = differences > LIMIT
    return min(int(row.argmax()) - 1 if row.any() else len(row) - 1 for row in beyond)


def agreement(name, config):
    """A row of the last table."""
    by_epoch, whole, itself = differences(config)
    least = [f"{epochs_within(found)} of {config.training.epochs}" for found in (whole, itself)]
    return peers.row([name, f"{by_epoch.max():.0e}", f"{whole.max():.0e}", *least])


def lines(configs, exact):
    """All that the script prints: the tables of some configs, and the agreement of others by their names."""
    yield dense.introduction()
    for config in configs:
        yield from trainings(config)
    yield peers.header(
        "float64, over the same batches",
        "each epoch: largest difference",
        "whole training: largest difference",
        f"epochs within {LIMIT:g}",
        "tinynet beside itself, a last bit changed",
    )
    for name, config in exact.items():
        yield agreement(name, config)


def main():
    parser = argparse.ArgumentParser()
    names = "names in configs/, or files"
    parser.add_argument("configs", nargs="*", default=(TABLE_I, *OTHERS), metavar="CONFIG", help=names)
    parser.add_argument("--rounds", type=peers.count, help="instead of the config's")
    dense.add_overrides(parser)
    dense.add_out(parser)
    options = parser.parse_args()
    overrides = [*options.overrides, *([f"training.rounds={options.rounds}"] if options.rounds else [])]
    configs, exact = [], {}
    for name in options.configs:
        configs.append(dense.load(name, *overrides))
        exact[f"`{configs[-1].name}`"] = dense.load(name, *overrides, "dtype=float64")
    if TABLE_I in options.configs:
        exact[f"`{Path(TABLE_I).name}`, lr 0.01"] = dense.load(TABLE_I, *overrides, "dtype=float64", CALM)
    dense.write(lines(configs, exact), options.out)


if __name__ == "__main__":
    peers.run(main)
