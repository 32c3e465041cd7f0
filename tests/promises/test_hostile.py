"""Hostile files: sizes that no machine has, files without end, nests without bottom. Each is refused by one message, in
little time and memory."""

import os
import re
import resource
import signal
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from tinynet.common import memory
from tinynet.common.errors import ConfigError, DataError
from tinynet.common.npz import read_npz
from tinynet.config import reader
from tinynet.data.table import read_table
from tinynet.data.targets import encode
from tinynet.nn.layers.linear import Linear
from tinynet.nn.layers.shape import Flatten, Reshape
from tinynet.nn.net import Net
from tinynet.training.builder import check_rounds

MEMORY = 64 * 2**20  # that the machine is said to have
SECONDS = 10  # for a refusal, on a busy machine
SPARE = 2**30  # bytes that a refusal may ask for


@pytest.fixture(autouse=True)
def _a_small_machine(monkeypatch):
    """64 MiB of memory as tinynet sees it; taking much more, or too long, is a failure and not the end of the tests."""
    monkeypatch.setattr(memory, "most", lambda: MEMORY)
    if not os.path.exists("/proc/self/statm"):
        yield
        return
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = taken + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    old = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("took too long"))
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture
def refused(cli, tmp_path):
    """Runs a command that has to fail with one line, and returns it."""

    def run(status, *arguments):
        before = sorted(tmp_path.rglob("*"))
        found, out, err = cli(*arguments)
        assert (found, out) == (status, ""), err
        assert err.count("\n") == 1, err
        assert len(err) < 1000
        assert "fault in tinynet" not in err
        assert sorted(tmp_path.rglob("*")) == before, "something was written"
        return err.removesuffix("\n")

    return run


# ---- the size of the memory


def test_the_limit_of_a_process_counts(monkeypatch):
    monkeypatch.undo()
    memory.most.cache_clear()
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    assert 0 < memory.most() <= limit
    memory.most.cache_clear()


def test_the_limit_of_a_container_counts(monkeypatch, tmp_path):
    monkeypatch.undo()
    (tmp_path / "memory.max").write_text("1048576\n")
    for files, most in (((tmp_path / "memory.max",), 2**20), ((tmp_path / "none",), None)):
        monkeypatch.setattr(memory, "LIMITS", files)
        memory.most.cache_clear()
        assert memory.most() == most or (most is None and memory.most() > 2**20)
    memory.most.cache_clear()


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (8 * 10**12, "7.3 TiB"), (2**70 - 1, "1,024.0 EiB"),
        (10**4000, "over 1,024 EiB"),
    ],
)  # fmt: skip
def test_bytes_as_a_person_reads_them(size, text):
    assert memory.amount(size) == text


def test_what_fits_is_no_shortage():
    assert memory.shortage(MEMORY) is None
    assert memory.shortage(2 * MEMORY) == "128.0 MiB of memory, but there are 64.0 MiB"


# ---- configs

# What is replaced in the small config, by what, where the message stands, and how it reads.
RESHAPE = "Reshape: [1, 1, 2]"
TOO_LARGE = {
    "units": (
        "Linear: 5", "Linear: 1000000000000", "5:5", "layers[0] Linear: with its weight of shape (2, 1000000000000) "
        "the net has 2,000,000,000,000 parameters, which take 29.1 TiB of memory, but there are 64.0 MiB. "
    ),
    "many layers": (
        "Linear: 5", "Linear: 1000\n  - Linear: 1000\n  - Linear: 1000\n  - Linear: 1000\n  - Linear: 1000\n"
        "  - Linear: 1000", "10:5", "layers[5] Linear: with its weight of shape (1000, 1000) the net has 5,007,000 par",
    ),
    "a block of many": ("ReLU", "Block: {layers: [Linear: 1000], repeat: 9}", "6:22",
        "layers[1].Block.layers[0].Linear: with its weight"),
    "channels": (
        "Linear: 5", f"{RESHAPE}\n  - Conv2d: {{out_channels: 1000000000000, kernel_size: 1}}\n  - Flatten", "6:5",
        "layers[1] Conv2d: with its weight of shape (1000000000000, 1, 1, 1) the net has",
    ),
    "an output": (
        "Linear: 5", f"{RESHAPE}\n  - Upsample: 1000000000000\n  - GlobalAvgPool2d\n  - Flatten", "6:5",
        "layers[1] Upsample: gives (1, 1000000000000, 2000000000000) for one sample, which takes over 1,024 EiB of",
    ),
    "padding": (
        "Linear: 5", f"{RESHAPE}\n  - Conv2d: {{out_channels: 1, kernel_size: 1, padding: 10000, stride: 10000}}"
        "\n  - Flatten", "6:5", "layers[1] Conv2d: its padded image of 20,001 × 20,002 pixels takes 1.5 GiB",
    ),
    "padding of a pool": (
        "Linear: 5", f"{RESHAPE}\n  - MaxPool2d: {{kernel_size: 20000, padding: 10000}}\n  - Flatten", "6:5",
        "layers[1] MaxPool2d: its padded image of 20,001 × 20,002 pixels takes 1.5 GiB",
    ),
    "a transposed convolution": (
        "Linear: 5", f"{RESHAPE}\n  - ConvTranspose2d: {{out_channels: 1, kernel_size: 19999, padding: 9999}}"
        "\n  - Flatten", "6:5", "layers[1] ConvTranspose2d: its padded image of 19,999 × 20,000 pixels takes 1.5 GiB",
    ),
    "dilation": (
        "Linear: 5", f"{RESHAPE}\n  - Conv2d: {{out_channels: 1, kernel_size: 9, padding: same, dilation: 1000000000}}"
        "\n  - Flatten", "6:5", "layers[1] Conv2d: its padded image of 8,000,000,001 × 8,000,000,002 pixels takes",
    ),
    "a block repeated": (
        "ReLU", "Block: {layers: [ReLU], repeat: 1000000000000}", "6:5",
        "layers[1] Block: makes it 1,000,000,000,001 layers, but a net has at most 10,000. Repeat it less.",
    ),
    "blocks in blocks": (
        "ReLU", f"{'Block: {repeat: 10, layers: [' * 6}ReLU{']}' * 6}", "6:5", "layers[1] Block: makes it 1,000,001 la",
    ),
    "blocks in blocks in blocks": (
        "ReLU", f"{'Block: [' * 22}ReLU{']' * 22}", "6:", "blocks are nested over 20 deep. Write them one after an",
    ),
    "a batch": (
        "Linear: 5", "Linear: 100000\n  - Linear: 5", "14:3", "training.batch_size: training on batches of 2,000 takes "
        "769.1 MiB of memory, but there are 64.0 MiB. Make it smaller, or the layers.",
    ),
    "training points": (
        "train: 2000", "train: 1000000000000", "3:3", "dataset.Disk: 1,000,000,000,020 points take 29.1 TiB of memory",
    ),
    "test points": ("test: 20", "test: 9000000000000000000", "3:3", "dataset.Disk: 9,000,000,000,000,002,000 points "),
    "classes": (
        "Disk: {train: 2000, test: 20}", "Gaussians: {classes: 1000000000}", "3:15",
        "dataset.Gaussians.classes: must be a whole number >= 2 and <= 10000, not 1000000000",
    ),
    "target vectors": (
        "Disk: {train: 2000, test: 20}", "Gaussians: {train: 2000, classes: 5000}", "3:3",
        "dataset.Gaussians: its 2,000 target vectors take 76.3 MiB of memory, but there are 64.0 MiB. Take fewer",
    ),
    "initial values": (
        "Linear: 5", "Linear: {out_features: 5, init: 1.0e+308}", "5:5",
        "layers[0] Linear: its initial weight is too large for float32. Make it smaller.",
    ),
    "points too far": ("{train: 2000", "{noise: 1.0e+308", "3:3", "dataset.Moons: its points lie where there are no"),
    "a layer's name": (
        "Linear: 5", f"Linear: {{out_features: 5, name: {'a' * 70_000}}}", "5:5",
        "layers[0] Linear: its name has 70,000 letters; a layer's has at most 100.",
    ),
}  # fmt: skip


def config_of(changed, old, new):
    text = changed({"train: 40": "train: 2000", "batch_size: 16": "batch_size: 2000"})
    if "classes: 5000" in new:
        text = text.replace("Linear: 2\n", "Linear: 5000\n").replace("batch_size: 2000", "batch_size: 10")
    if "noise" in new:
        text = text.replace("Disk", "Moons")
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(("old", "new", "place", "part"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_large_is_told_at_its_line(refused, write, changed, old, new, place, part):
    write(config_of(changed, old, new))
    err = refused(2, "train", "c.yaml")
    assert err.startswith(f"c.yaml:{place}")
    assert part in err


def test_far_points_and_radii_are_no_fault(cli, write, changed):
    for options in ("radius: 1.0e+308", "center: [1.0e+308, 0]"):
        write(changed({"train: 40": options}))
        assert cli("train", "c.yaml", "--dry-run")[::2] == (0, "")


def test_what_just_fits_is_trained(cli, write, changed, monkeypatch):
    """The small net of 27 parameters, and 60 points."""
    write(changed())
    monkeypatch.setattr(memory, "most", lambda: 60 * 32)
    assert cli("train", "c.yaml", "--dry-run")[0] == 0
    monkeypatch.setattr(memory, "most", lambda: 60 * 32 - 1)
    assert "60 points take 1.9 KiB" in cli("train", "c.yaml", "--dry-run")[2]


def test_parameters_count_once(monkeypatch):
    """30 numbers, 16 bytes each while they are made; shared ones need no more."""
    layers = [Linear(5), Linear(2, name="end")]
    monkeypatch.setattr(memory, "most", lambda: 30 * 16)
    Net([*layers, Linear(2, name="again", inputs="linear1", share="end"), *_sum("end", "again"), Linear(1)], (2,))
    monkeypatch.setattr(memory, "most", lambda: 27 * 16 - 1)
    with pytest.raises(ValueError, match=r"with its bias of shape .1, 2. the net has 27 parameters, which take 432"):
        Net([Linear(5), Linear(2)], (2,))


def _sum(*names):
    from tinynet.nn.layers.merge import Sum

    return [Sum(inputs=names)]


def test_views_of_an_output_take_no_memory(make, monkeypatch, changed):
    views = "".join(f"\n  - {Reshape.__name__}: [1, 5]\n  - {Flatten.__name__}" for _ in range(200))
    monkeypatch.setattr(memory, "most", lambda: 2**14)
    assert len(make({"ReLU": f"ReLU{views}"}).net.layers) == 403


def test_rounds_that_do_not_fit(make, monkeypatch):
    experiment = make({"epochs: 2": "epochs: 2\n  rounds: 3"})
    first = experiment.rounds[0]
    # Per round: 27 parameters and their gradients, and 60 points with a label and target vector.
    size = 27 * 2 * 4 + 60 * (2 * 4 + 8 + 2 * 4)
    monkeypatch.setattr(memory, "most", lambda: 3 * size)
    check_rounds(experiment.config, first)
    monkeypatch.setattr(memory, "most", lambda: 3 * size - 1)
    with pytest.raises(ConfigError, match=r"c\.yaml:13:3: training\.rounds: 3 rounds take 4\.9 KiB of memory, but"):
        check_rounds(experiment.config, first)


def test_target_vectors_take_no_square_of_the_classes():
    vectors = encode(np.array([2, 0]), "one_hot", 20_000)
    assert vectors.shape == (2, 20_000)
    assert np.argwhere(vectors).tolist() == [[0, 2], [1, 0]]


def test_a_parameter_takes_no_copy_of_its_initial_values(monkeypatch):
    monkeypatch.setattr(memory, "most", lambda: 2**30)
    tracemalloc.start()
    Linear(10**6).setup((10,), np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 11 * 10**6 * (8 + 8 + 1)


def test_thousands_of_problems_are_not_all_told(cli, write, changed):
    write(changed({"  - ReLU\n": "  - Relu\n" * 2000}))
    status, out, err = cli("train", "c.yaml")
    assert (status, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == 51
    assert lines[0].startswith("c.yaml:6:5: ")
    assert lines[-1] == "c.yaml: 1,950 more problems, not shown."


# ---- YAML


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("a: " + "[" * 10_000 + "]" * 10_000, "1:104", "nested too deep, over 100 levels"),
        ("a: " + "{a: " * 10_000 + "}" * 10_000, "1:401", "nested too deep, over 100 levels"),
        ("".join(" " * i + "a:\n" for i in range(1000)), "101:101", "nested too deep, over 100 levels"),
        ("- " * 100_000, "1:203", "nested too deep, over 100 levels"),
        ("# " + "a" * 2**20, "1:1", "the file holds 1,048,578 characters; a config has at most 1,048,576"),
    ],
    ids=["lists", "mappings", "lines", "dashes", "length"],
)
def test_yaml_without_bottom_or_end(refused, write, text, place, part):
    write(text)
    err = refused(2, "train", "c.yaml")
    assert err.startswith(f"c.yaml:{place}: ")
    assert part in err


def test_yaml_as_deep_and_as_long_as_may_be():
    text = "[" * 100 + "1" + "]" * 100
    assert reader.read(text).problems == []
    assert "nested too deep" in reader.read(f"[{text}]").problems[0][2]
    assert reader.read("a: 1 #".ljust(2**20, "x")).value == {"a": 1}


def test_blocks_as_deep_as_may_be_come_back_from_what_is_kept(cli, write, changed):
    write(changed({"ReLU": "Block: [" * 20 + "ReLU" + "]" * 20}))
    assert cli("train", "c.yaml", "--quiet")[0] == 0
    assert cli("train", "runs/small/resolved.yaml", "--quiet")[0] == 0


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="has no /dev/zero")
def test_a_config_without_end(refused):
    assert refused(2, "train", "/dev/zero") == (
        "Error: /dev/zero: this is no config: it has more than 4,194,304 bytes. Name a YAML file."
    )


# ---- .npz files


def npy(text, body=b"", version=1):
    """An .npy file of a header and a body."""
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + body


def doubles(shape):
    return f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"


def npz(path, content, compress=False):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        archive.writestr("x.npy", content)
    return path


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_npz(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("shape", "body"),
    [("(0, 99999999999999999999999)", 0), ("(True, 2)", 16), (f"({'1, ' * 40})", 8), (f"({'9' * 4000}, 0)", 0)],
    ids=["an axis too long", "true", "too many axes", "thousands of digits"],
)
def test_shapes_that_no_array_has(tmp_path, shape, body):
    found = refusal(npz(tmp_path / "a.npz", npy(doubles(shape), bytes(body))))
    assert found.startswith(f"array 'x' has {body} bytes, but its header says (")


def test_a_bomb_is_refused_unopened(tmp_path, monkeypatch):
    path = npz(tmp_path / "a.npz", npy(doubles("(12500000,)"), bytes(10**8)), compress=True)
    assert path.stat().st_size < 10**6
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_, **__: pytest.fail("began to read"))
    assert refusal(path).startswith("its arrays take 95.4 MiB of memory, but there are 64.0 MiB. ")


def test_a_bomb_is_told_on_the_command_line(refused, write, changed, tmp_path):
    npz(tmp_path / "a.npz", npy(doubles("(12500000,)"), bytes(10**8)), compress=True)
    write(changed({"Disk: {train: 40, test: 20}": "NPZ: a.npz"}))
    assert "its arrays take 95.4 MiB of memory, but there are 64.0 MiB. " in refused(1, "train", "c.yaml")
    assert "a.npz: array 'x' is compressed" in refused(1, "eval", "a.npz")


def test_compressed_arrays_where_none_may_be(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.ones(3))
    np.savez(tmp_path / "b.npz", x=np.ones(3))
    assert refusal(tmp_path / "a.npz", packed=False) == (
        "array 'x' is compressed. Save it uncompressed, with numpy.savez."
    )
    assert read_npz(tmp_path / "a.npz")["x"].tolist() == read_npz(tmp_path / "b.npz", packed=False)["x"].tolist()


def directory_says(path, packed=None, unpacked=None):
    """Change the sizes that the directory at the end of a zip file gives of its first member."""
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    for offset, size in ((20, packed), (24, unpacked)):
        if size is not None:
            content[start + offset : start + offset + 4] = struct.pack("<I", size)
    path.write_bytes(content)


@pytest.mark.parametrize("compress", [False, True])
def test_a_directory_that_claims_what_the_file_cannot_hold(tmp_path, compress):
    path = npz(tmp_path / "a.npz", npy(doubles("(4000000,)"), bytes(100)), compress)
    directory_says(path, unpacked=32 * 10**6)
    assert re.match(r"array 'x' says that it has 32,000,000 bytes, but \d+ cannot hold them\. Copy", refusal(path))
    directory_says(path, packed=32 * 10**6)
    assert refusal(path) == "its arrays are said to be longer than the file. Copy or write it again."


def test_a_header_of_many_megabytes_is_not_read(tmp_path):
    path = npz(tmp_path / "a.npz", npy(" " * 2**25, version=2), compress=True)
    tracemalloc.start()
    assert "'x' is no plain .npy array" in refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_numbers_that_do_not_fit_once_they_are_read(refused, write, changed, tmp_path):
    """20 MB of bytes that are no images are 240 MB as numbers."""
    x = np.zeros((2 * 10**6, 10), np.uint8)
    y = np.arange(len(x), dtype=np.uint8) % 2
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    write(changed({"Disk: {train: 40, test: 20}": "NPZ: a.npz"}))
    assert "a.npz: its numbers take 251.8 MiB of memory, but there are 64.0 MiB. Save fewer, or" in (
        refused(1, "train", "c.yaml")
    )


@pytest.fixture(params=["fifo", "/dev/zero"])
def endless(request, tmp_path):
    """A path that opens to what never gives its end."""
    if request.param != "fifo":
        if not os.path.exists(request.param):
            pytest.skip(f"has no {request.param}")
        return request.param
    os.mkfifo(tmp_path / "fifo")
    return "fifo"


@pytest.mark.parametrize("dataset", ["NPZ: {}", "CSV: {{path: {}, column: y}}"])
def test_a_pipe_or_a_device_as_data(refused, write, changed, endless, dataset):
    write(changed({"Disk: {train: 40, test: 20}": dataset.format(endless)}))
    assert "cannot be read (it is no file)" in refused(1, "train", "c.yaml")


def test_a_pipe_or_a_device_as_a_checkpoint(refused, endless):
    assert "cannot be read (it is no file)" in refused(1, "eval", endless)


# ---- tables


def test_a_table_of_very_many_columns(tmp_path):
    """In time that grows with their number, not with its square."""
    names = [f"c{index}" for index in range(100_000)]
    row = ",".join(map(str, range(len(names))))
    (tmp_path / "a.csv").write_text(f"{','.join(names)}\n{row}\n")
    table = read_table(tmp_path / "a.csv")
    assert table.numbers(names[::-1]).tolist() == [list(range(len(names)))[::-1]]
    (tmp_path / "a.csv").write_text(f"{','.join(names)},c5\n{row},1\n")
    with pytest.raises(DataError, match=r"a\.csv:1: two columns are called 'c5'"):
        read_table(tmp_path / "a.csv")


def test_a_table_larger_than_the_memory(tmp_path):
    with (tmp_path / "a.csv").open("wb") as file:
        file.write(b"a,b\n")
        file.truncate(10**11)
    with pytest.raises(DataError, match=r"^a\.csv: as a table it takes 279\.4 GiB of memory, but there are 64\.0 MiB"):
        read_table(tmp_path / "a.csv")


def test_cells_and_names_of_any_length_are_told_in_short(refused, write, changed, tmp_path):
    write(changed({"Disk: {train: 40, test: 20}": "CSV: {path: a.csv, column: y}"}))
    (tmp_path / "a.csv").write_text(f"x,y\n{'z' * 10**5},0\n1,1\n")
    assert "column 'x' holds 'zzz" in refused(1, "train", "c.yaml")
    (tmp_path / "a.csv").write_text(f"x,{'q' * 10**5}\n1,0\n1,1\n")
    assert "has no column 'y'. Its columns are x, qqq" in refused(1, "train", "c.yaml")
    (tmp_path / "a.csv").write_text("x,\x1b[31m\x07z\n1,0\n1,1\n")
    assert r"Its columns are x, \x1b[31m\x07z." in refused(1, "train", "c.yaml")


def test_values_of_any_length_are_told_in_short(refused, write, changed):
    write(changed())
    assert "--set" in refused(2, "train", "c.yaml", "--set", f"name={'[' * 10**5}")
    assert "--set" in refused(2, "train", "c.yaml", "--set", f"training.epochs={'9' * 10**4}")
    write(changed({"lr: 0.1": f"lr: {'R' * 10**5}"}))
    assert "lr: must be a number > 0, not 'RRR" in refused(2, "train", "c.yaml")
    write(changed({"- ReLU": f"- {'R' * 10**5}"}))
    assert "is no layer." in refused(2, "train", "c.yaml")
