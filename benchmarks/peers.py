"""What the MNIST benchmarks share: the peers, and each of them in a process of its own (worker.py).

The libraries take their count of threads from variables of the environment when they are imported, and not all from the
same ones. A process each keeps that apart, and its peak of memory is that of one library.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np

import tinynet
from tinynet.common.errors import TinynetError, UsageError
from tinynet.nn.schedules import learning_rate_factor

FOLDER = Path(__file__).parent
CONFIGS = FOLDER.parent / "configs"
DENSE = {"Flatten", "Linear", "ReLU"}
# The distributions of each peer, and the layers that worker.py has a twin for.
PACKAGES = {"PyTorch": ["torch"], "scikit-learn": ["scikit-learn"], "Keras on JAX": ["keras", "jax"]}
LAYERS = {
    "PyTorch": {*DENSE, "Conv2d", "MaxPool2d", "AvgPool2d", "GlobalAvgPool2d", "Dropout", "Dropout2d", "BatchNorm"}
    | {"LeakyReLU", "Tanh", "Sigmoid", "GELU"},
    "scikit-learn": DENSE,
    "Keras on JAX": {*DENSE, "Conv2d", "MaxPool2d", "Dropout"},
}
AUGMENTATIONS = {"Shift", "Rotate", "Zoom"}  # of with_pytorch.py; it goes without others


def installed(peers=tuple(PACKAGES)):
    """{peer: its versions, as in "PyTorch 2.13.0"}; says which peers are left out."""
    found = {}
    for peer in peers:
        packages = PACKAGES[peer]
        try:
            versions = [metadata.version(package) for package in packages]
        except metadata.PackageNotFoundError as missing:
            print(f"{peer} is left out: {missing.name} is not installed (pip install {' '.join(packages)}).\n")
        else:
            found[peer] = " on ".join(map(" ".join, zip(peer.split(" on "), versions, strict=True)))
    return found


def lacking(peer, config):
    """What worker.py has no twin of in a peer, among the parts of this resolved config."""
    layers = [part for layer in config["layers"] for part in layer.items()]
    found = {kind for kind, _ in layers} - LAYERS[peer]
    found |= {option for _, options in layers for option in ("inputs", "share") if options.get(option)}
    if peer == "PyTorch":
        return sorted(found)
    (dataset,), sgd = config["dataset"].values(), config["optimizer"].get("SGD")
    found |= {"augment"} & set(config) | ({"standardize"} if dataset["standardize"] else set())
    plain = sgd is not None and not sgd["weight_decay"] and not sgd["nesterov"]
    return sorted(found if plain else found | {"optimizer"})


def load(name, *overrides):
    """The config of a name in configs/, or of a file.

    Raises
    ------
    UsageError
        If it is missing or wrong, or no classifier that the peers have a twin for.
    """
    path = Path(name) if name.endswith(".yaml") else CONFIGS / f"{name}.yaml"
    config = tinynet.load(path, *overrides)
    for what, found, wanted in (("loss", config.loss.to_json(), "CrossEntropy"), ("dtype", config.dtype, "float32")):
        if wanted not in found:
            raise UsageError(f"{path}: the peers have a twin for {what}: {wanted}, not {found}")
    return config


def prepare(name, folder, *overrides):
    """What a worker has to know to train a config, and its data in a file: a dict for JSON. Raises as `load` does."""
    config = load(name, *overrides)
    experiment = tinynet.build(config)
    data, epochs = experiment.dataset, config.training.epochs
    if data.train.x.dtype != np.uint8:
        raise UsageError(
            f"{config.source.file}: the peers have a twin for images in bytes, not for {data.train.x.dtype}"
        )
    arrays = {"x": data.train.x, "labels": data.train.labels, "test_x": data.test.x, "test_labels": data.test.labels}
    if data.train.scaling is not None:
        arrays |= {"mean": data.train.scaling.mean, "deviation": data.train.scaling.deviation}
    file = folder / f"{config.name}.npz"
    np.savez(file, **arrays)
    return {
        "path": config.source.file,
        "overrides": overrides,
        "config": config.to_json(),
        "data": str(file),
        "samples": len(data.train),
        "parameters": sum(p.tensor.size for p in experiment.net.parameters),
        "factors": [learning_rate_factor(experiment.rounds[0].schedules, epoch, epochs) for epoch in range(epochs)],
    }


class Worker:
    """A process that trains one net in tinynet or in a peer, and is confined to as many cores as it has threads."""

    def __init__(self, peer, job, threads):
        # tinynet's threads are its own: it asks BLAS for one.
        blas = 1 if peer == "tinynet" else threads
        environment = {f"{library}_NUM_THREADS": str(blas) for library in ("OPENBLAS", "MKL", "OMP")}
        environment |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
        if threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        command = [sys.executable, str(FOLDER / "worker.py"), peer, str(threads)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | environment)
        self.peer = peer
        self.ask(job)

    def ask(self, question):
        """The worker's answer; ends the program if the worker has ended."""
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.close()
            sys.exit(f"The worker of {self.peer} ended; its own message is above.")
        return json.loads(answer)

    def close(self):
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def machine():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def busy():
    """The share of all cores' time in the next second that is not idle, or None where the system does not say."""
    counts = []
    for pause in (1, 0):
        if not Path("/proc/stat").exists():
            return None
        counts.append([int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]])
        time.sleep(pause)
    passed = [after - before for before, after in zip(*counts, strict=True)]
    return 1 - sum(passed[3:5]) / sum(passed)


def introduction(peers):
    """The machine, how busy others keep it, and the versions, as the first words of a sentence."""
    software = ", ".join([f"Python {platform.python_version()}", f"NumPy {np.__version__}", *peers.values()])
    share = busy()
    others = "" if share is None else f", {share:.0%} busy before"
    return f"Machine: {machine()}, {os.cpu_count()} cores{others}; {software}"


def row(cells):
    """A row of a Markdown table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def header(*cells):
    """The first two rows of a Markdown table."""
    return f"{row(cells)}\n{row(['---'] * len(cells))}"


def count(text):
    """A whole number > 0, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number > 0, not {text!r}")
    return int(text)


def threads(text):
    """A count of threads that there are cores for, for argparse."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if count(text) > cores:
        raise argparse.ArgumentTypeError(f"must be at most {cores}, the cores there are, not {text}")
    return int(text)


def run(main):
    """Run a script; what a person can put right ends it as a sentence, not a traceback."""
    try:
        main()
    except TinynetError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
