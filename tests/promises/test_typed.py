"""Type checkers see what a person writes against: the public names have their types."""

import subprocess
import sys

import pytest

import tinynet

SCRIPT = '''\
from dataclasses import dataclass
import numpy as np
import numpy.typing as npt
import tinynet


@dataclass(eq=False)
class Softplus(tinynet.Layer):
    """y = ln(1 + e^x)"""

    beta: tinynet.PositiveFloat = 1.0

    def forward(self, x: npt.NDArray[np.float64], training: bool = False) -> npt.NDArray[np.float64]:
        self.x = x
        self.y = np.logaddexp(0, x)
        return self.y

    def backward(self, dy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(dy / (1 + np.exp(-self.x)))


net = tinynet.Net([tinynet.Linear(25), Softplus(), tinynet.Linear(1)], input_shape=(2,), seed=0)
experiment = tinynet.build(tinynet.load("configs/disk.yaml"))
for record in experiment.train():
    print(record.epoch, record.test_loss, experiment.predict([[0.5, 0.5]]))
'''
WRONG = """\
x: int = net
tinynet.does_not_exist
tinynet.Linear(bogus=3)
"""


def test_the_names_for_type_checkers_are_those_that_are_there():
    # In a process of its own: what other tests have defined is listed, too.
    code = "import tinynet; print(*(name for name in dir(tinynet) if name != '__version__'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(tinynet.__all__) == done.stdout.split()
    assert all(getattr(tinynet, name) for name in tinynet.__all__)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "faults"), [(SCRIPT, 0), (SCRIPT + WRONG, 3)], ids=["right", "wrong"])
def test_a_script_under_mypy_strict(tmp_path, text, faults):
    pytest.importorskip("mypy", reason="mypy is not installed: no types to check")
    (tmp_path / "script.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.count("error:") == faults, done.stdout
