"""Fuzzing: valid configs come back from checkpoints, edited ones are refused in lines, damaged files in a sentence.

TINYNET_FUZZ=100 runs a hundred times as many cases, other ones each time; what fails is then printed and kept as an
`@example` here.
"""

import gzip
import json
import os
import re
import shutil
import signal
import zipfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
import strategies
import yaml
from damages import CHANGES, DAMAGES, EDITS, NEW, WORDS, changed, damaged, edited, paths
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from strategies import configs, folder, text_of

import tinynet
from tinynet.common import components, memory
from tinynet.common.errors import CheckpointError, ConfigError, DataError, DivergedError, TinynetError, UsageError
from tinynet.data.mnist import IMAGES, LABELS, read_idx
from tinynet.data.own_files import CSV, NPZ
from tinynet.runs import listing
from tinynet.runs.run import Run
from tinynet.training import checkpoint as checkpoints
from tinynet.training.checkpoint import joined, signed

TIMES = int(os.environ.get("TINYNET_FUZZ", "1"))
SECONDS = 5  # of the processor, for one case
MEMORY = 2**28  # bytes that the machine is said to have
LONGEST = 2000  # characters of a message

# Some 1,600 cases.
pytestmark = pytest.mark.slow


def fuzzed(count):
    """So many cases, the same ones each time unless there are to be more."""
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )


@pytest.fixture(autouse=True, scope="module")
def _machine():
    """A small one, with the data files of `folder()` in place of those that are downloaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "most", lambda: MEMORY)
        patch.setenv("TINYNET_DATA", str(folder()))
        yield


@contextmanager
def within(seconds=SECONDS):
    """Fails if what is done takes longer."""

    def fail(*_):
        raise AssertionError(f"took over {seconds} s")

    old = signal.signal(signal.SIGPROF, fail)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)


def load(text, *overrides):
    """The config of a text, in a file beside the data."""
    path = folder() / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return tinynet.load(path, *overrides)


def sentence(error, *names):
    """Checks that an error is one line that a terminal can show, with the name of the file, and returns it."""
    text = str(error)
    assert text
    assert text.isprintable(), repr(text)
    assert len(text) <= LONGEST
    assert "object at 0x" not in text
    assert not names or any(name in text for name in names), text
    return text


# ---- valid configs


def learned(experiment):
    """All that a training leaves, but for the seconds."""
    experiment.training.settle()
    found = []
    for one in experiment.rounds:
        found.append(one.net.vector.all_tensors.tobytes())
        # Before its first step an optimizer may hold zeros, or nothing.
        state = one.optimizer.state if one.optimizer.steps else {}
        found.append({name: vector.tobytes() for name, vector in state.items()})
        found.append([asdict(record) | {"seconds": 0} for record in one.progress.records])
        found.append(None if one.best_parameters is None else one.best_parameters.tobytes())
        found.append((one.net.clock.step, one.optimizer.steps, one.progress.stopped_early))
    return found


def outputs(experiment):
    """Of each round, for the first samples of a split and of none."""
    rng, shape = np.random.default_rng(0), experiment.net.input_shape
    x = rng.integers(0, 256, (5, *shape), np.uint8) if experiment.description.pixels else rng.normal(0, 2, (5, *shape))
    rounds = [experiment.of_round(number) for number in range(len(experiment.rounds))]
    return [(one.outputs(x).tobytes(), one.predict(x).tolist()) for one in rounds]


def trained(steps):
    """The end of a training: None, or why it has diverged."""
    try:
        for _ in steps:
            pass
    except DivergedError as error:
        return sentence(error)
    return None


@fuzzed(60)
@given(config=configs(), stop=st.integers(1, 20))
def test_a_valid_config_comes_back_from_its_checkpoint(config, stop):
    text, path = text_of(config), folder() / "last.npz"
    with within():
        whole, part = tinynet.build(load(text)), tinynet.build(load(text))
    with within():
        end, steps = trained(whole.training.steps()), part.training.steps()
        if trained(step for step, _ in zip(steps, range(stop), strict=False)) is not None:
            return
        joined(Run.capture(part), part.config).save(path)
        again = tinynet.load_checkpoint(path)
        assert outputs(again) == outputs(part)
        assert learned(again) == learned(part)
        assert again.config.to_json() == part.config.to_json()
        # What is kept does not disturb the training that it is taken from.
        assert trained(steps) == end
        assert trained(again.train()) == end
        assert learned(part) == learned(whole)
        assert learned(again) == learned(whole)
        if end is None:
            assert outputs(again) == outputs(whole)
            assert again.evaluate().loss == whole.evaluate().loss


def test_the_configs_hold_everything():
    kinds, options = Counter(), Counter()

    @settings(fuzzed(2000), phases=[Phase.generate])
    @given(config=configs())
    def take(config):
        whole = load(text_of(config))
        layers = list(tinynet.build(whole).net.layers)
        kinds.update({type(layer).__name__ for layer in layers})
        kinds.update(
            spec.cls.__name__ for spec in (whole.dataset, whole.loss, whole.optimizer, *whole.schedule, *whole.augment)
        )
        options["block"] += any("." in layer.name for layer in layers)
        options["shared"] += any(layer.owner is not None for layer in layers)
        options["shared block"] += any("." in layer.name and layer.owner is not None for layer in layers)
        options["frozen"] += any(not layer.trainable and layer.parameters for layer in layers)
        for name in ("rounds", "clip_norm", "early_stopping"):
            options[name] += getattr(whole.training, name) not in (1, None)
        for name in ("validation", "standardize", "standardize_targets", "targets"):
            options[name] += bool(whole.dataset.options.get(name))

    take()
    known = {name for kind in components.KINDS for name in components.classes(kind)}
    assert set(kinds) == known - {"Block"}
    assert min(options.values()) >= 10, options


@fuzzed(10)
@given(config=configs())
def test_a_valid_config_is_the_same_in_its_resolved_form_and_goes_on_from_its_own_parameters(config):
    first = tinynet.build(load(text_of(config)))
    joined(Run.capture(first), first.config).save(folder() / "last.npz")
    again = load(text_of(first.config.to_json()))
    assert again.to_json() == first.config.to_json()
    second = tinynet.build(load(text_of(config | {"training": config["training"] | {"start_from": "last.npz"}})))
    for one, other in zip(first.rounds, second.rounds, strict=True):
        assert one.net.vector.all_tensors.tobytes() == other.net.vector.all_tensors.tobytes()


# ---- configs with edits

WRITTEN = {path.name: path.read_text(encoding="utf-8") for path in sorted((strategies.ROOT / "configs").glob("*.yaml"))}


def check_located(text, *overrides):
    """Builds a config, which works or is refused in lines that each say where."""
    file = re.escape(str(folder() / "c.yaml"))
    try:
        with within():
            tinynet.build(load(text, *overrides))
    except ConfigError as error:
        lines = len(text.splitlines()) + 1
        for problem in error.problems:
            sentence(problem)
            place = re.match(rf"{file}:(\d+):(\d+): .", problem)
            more = re.fullmatch(rf"{file}: [\d,]+ more problems, not shown\.", problem)
            assert place or more or (overrides and problem.startswith("--set ")), problem
            assert place is None or (1 <= int(place[1]) <= lines and int(place[2]) >= 1), problem
    except (DataError, UsageError, CheckpointError) as error:
        sentence(error)


@fuzzed(150)
@given(name=st.sampled_from(sorted(WRITTEN)), edits=EDITS)
@example(name="disk.yaml", edits=[("insert", 0, 0, '"\\x1b": 1\n"\\x1b": 2\n')])
def test_an_edited_config_works_or_is_told_where(name, edits):
    check_located(edited(WRITTEN[name], edits))


@fuzzed(60)
@given(config=configs(), edits=EDITS)
def test_an_edited_config_of_any_kind_works_or_is_told_where(config, edits):
    check_located(edited(text_of(config), edits))


@fuzzed(100)
@given(name=st.sampled_from(sorted(WRITTEN)), changes=CHANGES)
@example(name="disk.yaml", changes=[("set", 4, 0, ["ReLU"] * 5000)])
@example(name="disk-cross-entropy.yaml", changes=[("rename", 4, 7, "\ud800")])
def test_a_config_with_other_values_works_or_is_told_where(name, changes):
    check_located(text_of(changed(yaml.safe_load(WRITTEN[name]), changes)))


@fuzzed(60)
@given(config=configs(), changes=CHANGES)
def test_a_config_of_any_kind_with_other_values_works_or_is_told_where(config, changes):
    check_located(text_of(changed(config, changes)))


@fuzzed(100)
@given(
    name=st.sampled_from(sorted(WRITTEN)),
    sets=st.lists(st.tuples(st.integers(0, 2**16), st.booleans(), NEW), min_size=1, max_size=3),
)
def test_an_override_works_or_is_told_where(name, sets):
    """At a path of the resolved config, or at half of one with another word behind it."""
    known = list(paths(load(WRITTEN[name]).to_json()))
    texts = []
    for place, half, word in sets:
        path = known[place % len(known)]
        texts.append(f"{path.rpartition('.')[0]}.{word}={word}" if half else f"{path}={word}")
    check_located(WRITTEN[name], *texts)


@fuzzed(60)
@given(name=st.sampled_from(sorted(WRITTEN)), damages=DAMAGES)
def test_a_config_with_damaged_bytes_works_or_is_told_where(name, damages):
    content = damaged(WRITTEN[name].encode(), damages)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        (folder() / "c.yaml").write_bytes(content)
        with pytest.raises(UsageError, match="no text in UTF-8"):
            tinynet.load(folder() / "c.yaml")
    else:
        check_located(text)


# ---- damaged files of data

NPZ_NAMES = ("bytes.npz", "grey.npz", "vectors.npz", "texts.npz")


def splits(dataset):
    """All numbers of a dataset, of which each is finite."""
    data, found = dataset.load(0), []
    for part in (data.train, data.test):
        for array in (part.x, part.labels, part.targets):
            assert array is None or np.isfinite(array).all()
            found.append(None if array is None else (array.shape, array.dtype, array.tobytes()))
    return [*found, data.description.classes]


@fuzzed(150)
@given(name=st.sampled_from(NPZ_NAMES), damages=DAMAGES)
@example(name="bytes.npz", damages=[("flip", 27, 2, b"")])
def test_a_damaged_npz_file_gives_the_same_arrays_or_is_refused(name, damages):
    path = folder() / f"damaged-{name}"
    path.write_bytes(damaged((folder() / name).read_bytes(), damages))
    try:
        with within():
            found = splits(NPZ(str(path)))
    except DataError as error:
        sentence(error, path.name)
    else:
        assert found == splits(NPZ(str(folder() / name)))


@fuzzed(100)
@given(
    table=st.sampled_from(strategies.TABLES),
    damages=DAMAGES,
    words=st.lists(st.tuples(st.integers(0, 2**16), st.sampled_from(WORDS)), max_size=2),
)
def test_a_damaged_csv_file_gives_finite_numbers_or_is_refused(table, damages, words):
    path = folder() / "damaged.csv"
    cells = (folder() / table["path"]).read_text().replace("\n", ",\n,").split(",")
    for place, word in words:
        cells[place % len(cells)] = word
    content = ",".join(cells).replace(",\n,", "\n").encode()
    path.write_bytes(content if words else damaged(content, damages))
    try:
        with within():
            splits(CSV(**table | {"path": str(path)}))
    except TinynetError as error:
        sentence(error, path.name)


@fuzzed(100)
@given(
    name=st.sampled_from(["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]), packed=st.booleans(), damages=DAMAGES
)
def test_a_damaged_idx_file_gives_the_same_bytes_or_is_refused(name, packed, damages):
    path, magic = folder() / name, IMAGES if "images" in name else LABELS
    whole = strategies.FILES[name]
    content = damaged(gzip.compress(whole, mtime=0) if packed else whole, damages)
    path.write_bytes(content)
    try:
        with within():
            found = read_idx(path, magic)
    except DataError as error:
        sentence(error, name)
    else:
        assert found.dtype == np.uint8
        # Only what is packed has a checksum.
        if content[:2] == b"\x1f\x8b":
            assert found.tobytes() == whole[8 if magic == LABELS else 16 :]
    finally:
        path.write_bytes(whole)


# ---- damaged runs


def run_of(name, **training):
    """A run of a few epochs that was stopped before its end."""
    between = ["BatchNorm", "Tanh"] if name == "one" else []
    config = {
        "name": name,
        "dataset": {"Disk": {"train": 24, "test": 8, "validation": 0.25}},
        "layers": [{"Linear": 3}, *between, {"Linear": 2}],
        "loss": "CrossEntropy",
        "optimizer": {"Adam": 0.01},
        "training": {"epochs": 3, "batch_size": 6, **training},
    }
    experiment = tinynet.build(load(text_of(config)))
    run = Run.create(experiment, folder() / "whole", ["tinynet", "train", "c.yaml"])
    run.train(experiment, lambda record: setattr(run, "stop", record is not None and record.epoch == 2))
    return run.folder


@pytest.fixture(scope="module")
def whole(_machine):
    """Two runs, one of them of three rounds, and one that is finished."""
    made = {"one": run_of("one"), "rounds": run_of("rounds", rounds=3), "done": run_of("done", epochs=2)}
    (folder() / "x.csv").write_text("x1,x2\n0.1,0.2\n0.5,0.5\n")
    yield made
    shutil.rmtree(folder() / "whole")


RUNS = st.sampled_from(["one", "rounds", "done"])
CHECKPOINTS = st.sampled_from(["last.npz", "best.npz"])


def same_checkpoint(path, good):
    """Reads a damaged checkpoint as far as it goes: it is refused, or holds what the good one does."""
    try:
        with within():
            found = checkpoints.read(path)
            tinynet.load_checkpoint(path)
    except CheckpointError as error:
        sentence(error, path.name)
        return
    expected = checkpoints.read(good)
    assert found.metadata == expected.metadata
    assert list(found.arrays) == list(expected.arrays)
    for name, values in expected.arrays.items():
        assert (found.arrays[name].shape, found.arrays[name].dtype) == (values.shape, values.dtype)
        assert found.arrays[name].tobytes() == values.tobytes()


@fuzzed(150)
@given(name=RUNS, file=CHECKPOINTS, damages=DAMAGES)
@example(name="one", file="last.npz", damages=[("flip", 27, 2, b"")])
def test_a_damaged_checkpoint_holds_the_same_or_is_refused(whole, name, file, damages):
    good, path = whole[name] / "checkpoints" / file, folder() / "damaged.npz"
    path.write_bytes(damaged(good.read_bytes(), damages))
    same_checkpoint(path, good)


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def write_members(path, found):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in found.items():
            archive.writestr(name, content)


@fuzzed(100)
@given(name=RUNS, file=CHECKPOINTS, which=st.integers(0, 50), damages=DAMAGES)
def test_a_checkpoint_damaged_before_it_was_packed_is_refused(whole, name, file, which, damages):
    """The checksums of the zip file are right, so that the checkpoint's own counts."""
    good, path = whole[name] / "checkpoints" / file, folder() / "damaged.npz"
    found = members(good)
    member = sorted(found)[which % len(found)]
    found[member] = damaged(found[member], damages)
    write_members(path, found)
    same_checkpoint(path, good)


@fuzzed(100)
@given(name=RUNS, file=CHECKPOINTS, first=st.integers(0, 50), second=st.integers(0, 50))
def test_arrays_of_a_checkpoint_under_each_others_names_are_refused(whole, name, file, first, second):
    good, path = whole[name] / "checkpoints" / file, folder() / "damaged.npz"
    found = members(good)
    one, other = (sorted(found)[i % len(found)] for i in (first, second))
    found[one], found[other] = found[other], found[one]
    write_members(path, found)
    same_checkpoint(path, good)


@fuzzed(150)
@given(name=RUNS, file=CHECKPOINTS, changes=CHANGES)
@example(name="one", file="last.npz", changes=[("set", 0, 0, "x" * 5000)])
def test_a_checkpoint_made_by_another_hand_loads_or_is_refused(whole, name, file, changes):
    """One that is signed, so that only what it says can be wrong."""
    good, path = whole[name] / "checkpoints" / file, folder() / "damaged.npz"
    with np.load(good) as found:
        arrays = {key: found[key] for key in found.files}
    metadata = changed(json.loads(str(arrays.pop("metadata"))), changes)
    metadata.pop("sha256", None)
    np.savez(path, metadata=np.array(signed(json.dumps(metadata), arrays)), **arrays)
    try:
        with within():
            experiment = tinynet.load_checkpoint(path)
            for number in range(len(experiment.rounds)):
                experiment.of_round(number).outputs(np.zeros((2, *experiment.net.input_shape)))
    except CheckpointError as error:
        for line in str(error).split("\n"):
            sentence(line)
        sentence(str(error).split("\n")[0], path.name)


TEXTS = ("meta.json", "summary.json", "metrics.csv", "resolved.yaml", "config.yaml")
FILES = (*TEXTS, "checkpoints/last.npz", "checkpoints/best.npz")


COMMANDS = {
    "eval": ("eval", "{run}"),
    "eval --json": ("eval", "{run}", "--json"),
    "eval a file": ("eval", "{run}/checkpoints/last.npz", "--split", "train"),
    "predict": ("predict", "{run}", "{data}/x.csv"),
    "runs": ("runs", "{run}/.."),
    "runs --json": ("runs", "{run}/..", "--json"),
    "compare": ("compare", "{run}", "{data}/whole/done"),
    "resume": ("train", "--resume", "{run}", "--set", "training.epochs=3", "--quiet"),
}


@pytest.fixture
def broken(whole, cli, tmp_path):
    """Copies a run, breaks one of its files by a function of its content, and tries a command on it."""

    def attempt(name, file, command, breaking):
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        run = tmp_path / "runs" / name
        shutil.copytree(whole[name], run)
        (run / file).write_bytes(breaking((run / file).read_bytes()))
        with within():
            status, out, err = cli(*(part.format(run=run, data=folder()) for part in COMMANDS[command]))
        assert status in (0, 1, 2, 3), err
        assert "Traceback" not in err
        assert "fault in tinynet" not in err, err
        assert status == 0 or err.strip()
        if command.endswith("--json") and status == 0:
            json.loads(out)
        assert not list(run.rglob("*.part"))

    return attempt


ATTEMPT = {"name": RUNS, "command": st.sampled_from(sorted(COMMANDS))}


@fuzzed(60)
@given(**ATTEMPT, file=st.sampled_from(FILES), damages=DAMAGES)
def test_no_command_fails_on_a_run_with_a_damaged_file(broken, name, file, command, damages):
    broken(name, file, command, partial(damaged, damages=damages))


@fuzzed(60)
@given(**ATTEMPT, file=st.sampled_from(["meta.json", "summary.json"]), changes=CHANGES)
@example(name="one", command="compare", file="meta.json", changes=[("set", 8, 0, True)])
def test_no_command_fails_on_a_run_with_other_values_in_a_file(broken, name, file, command, changes):
    broken(name, file, command, lambda content: json.dumps(changed(json.loads(content), changes)).encode())


@fuzzed(60)
@given(**ATTEMPT, file=st.sampled_from(["metrics.csv", "resolved.yaml", "config.yaml"]), edits=EDITS)
def test_no_command_fails_on_a_run_with_an_edited_file(broken, name, file, command, edits):
    broken(name, file, command, lambda content: edited(content.decode(), edits).encode())


@fuzzed(150)
@given(name=RUNS, file=st.sampled_from(["meta.json", "summary.json", "metrics.csv"]), damages=DAMAGES, changes=CHANGES)
def test_a_run_with_a_damaged_file_is_listed(whole, tmp_path_factory, name, file, damages, changes):
    """As what it is, or as broken with a sentence."""
    run = tmp_path_factory.getbasetemp() / "listed"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole[name], run)
    content = (run / file).read_bytes()
    if file.endswith("json"):
        content = json.dumps(changed(json.loads(content), changes)).encode()
    (run / file).write_bytes(damaged(content, damages))
    with within():
        found = listing.read(run)
    json.dumps(found.to_json())
    if found.status == "broken":
        sentence(found.problem)
    try:
        with within():
            records = Run.open(run).records()
    except CheckpointError as error:
        sentence(error, file)
    else:
        assert all(isinstance(record.epoch, int) for record in records)
