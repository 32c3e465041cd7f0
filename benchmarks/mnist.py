"""MNIST nets in tinynet and its peers: the time of the same training batches, and the memory, by count of threads.

TINYNET_DATA=FOLDER python benchmarks/mnist.py [CONFIG...] [--threads 1 2] [--repeats 5] [--batches 60]

Peers are PyTorch, scikit-learn for dense nets, and Keras on JAX, as far as they are installed, each in a process of its
own. They take turns: the same count of batches of the same size, from the loader on to the optimizer's step. Figures
are medians; a ratio is tinynet's time through the peer's, the median of the turns.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import peers

from tinynet.common.errors import UsageError

NAMES = ("mnist-mlp", "mnist-mlp-large", "mnist-lenet", "mnist-cnn")
SLOW = ("mnist-cnn", "mnist-best")  # a sixth of the batches in a turn


def measure(job, names, threads, repeats, batches):
    """{name: (seconds of each turn, peak MB)} of tinynet and the peers."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(peers.Worker(name, job, threads)) for name in names}
        for worker in workers.values():  # compiles, and fills the caches
            worker.ask({"batches": batches})
        turns = []
        for _ in range(repeats):
            turns.append({})
            for name, worker in workers.items():
                time.sleep(0.2)  # threads of the one before may go on waiting in a loop
                turns[-1][name] = worker.ask({"batches": batches})
    return {name: ([turn[name]["seconds"] for turn in turns], turns[-1][name]["peak"]) for name in names}


def times(name, threads, found, others, batches):
    """A row: the time of one batch in tinynet and PyTorch, and tinynet's as a ratio to each peer's."""
    ours = found["tinynet"][0]
    cells = {peer: f"{median(seconds) / batches * 1e3:.2f} ms" for peer, (seconds, _) in found.items()}
    ratios = {
        peer: f"{median(a / b for a, b in zip(ours, seconds, strict=True)):.2f}" for peer, (seconds, _) in found.items()
    }
    milliseconds = [cells.get(peer, "–") for peer in ("tinynet", "PyTorch")]
    return peers.row([f"`{name}`", threads, *milliseconds, *(ratios.get(peer, "–") for peer in others)])


def memory(name, threads, found, others):
    """A row: the peak memory of each process, and tinynet's as a ratio to PyTorch's."""
    peaks = {peer: peak for peer, (_, peak) in found.items() if peak is not None}
    cells = [f"{peaks[peer]:.0f} MB" if peer in peaks else "–" for peer in ("tinynet", *others)]
    ratio = f"{peaks['tinynet'] / peaks['PyTorch']:.2f}" if {"tinynet", "PyTorch"} <= set(peaks) else "–"
    return peers.row([f"`{name}`", threads, *cells, ratio])


def jobs(options, folder):
    """(job, count of batches in a turn) for each config, all checked before the first is measured."""
    for name in options.configs:
        job = peers.prepare(name, folder)
        size, batches = job["config"]["training"]["batch_size"], options.batches
        if job["config"]["name"] in SLOW:
            batches = max(1, batches // 6)
        if batches * size > job["samples"]:
            most = job["samples"] // size
            raise UsageError(f"--batches: an epoch of {name} has {most} batches of {size}, not {batches}")
        yield job, batches


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("configs", nargs="*", default=NAMES, metavar="CONFIG", help="names in configs/, or files")
    parser.add_argument("--threads", type=peers.threads, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=peers.count, default=5)
    parser.add_argument("--batches", type=peers.count, default=60)
    options = parser.parse_args()
    versions, others, memories = peers.installed(), list(peers.PACKAGES), []
    with tempfile.TemporaryDirectory() as folder:
        checked = list(jobs(options, Path(folder)))
        print(f"{peers.introduction(versions)}; medians of {options.repeats} turns of {options.batches} batches.\n")
        print(peers.header("one training batch", "threads", "tinynet", "PyTorch", *(f"to {peer}" for peer in others)))
        for job, batches in checked:
            name = job["config"]["name"]
            names = ["tinynet", *(peer for peer in versions if not peers.lacking(peer, job["config"]))]
            for threads in options.threads:
                found = measure(job, names, threads, options.repeats, batches)
                print(times(name, threads, found, others, batches), flush=True)
                memories.append(memory(name, threads, found, others))
    print(f"\n{peers.header('peak memory of the process', 'threads', 'tinynet', *others, 'tinynet / PyTorch')}")
    print("\n".join(memories))


if __name__ == "__main__":
    peers.run(main)
