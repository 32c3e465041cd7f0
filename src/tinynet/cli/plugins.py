"""`--plugin FILE.py`: a person's own layers, losses, datasets and the like, from a Python file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli.output import quoted
from tinynet.common.errors import ConfigError, TinynetError, UsageError
from tinynet.common.files import at_home

if TYPE_CHECKING:
    from tinynet.common.components import Component

_GIVEN = f"{__name__}.given"  # the key of the files among what click keeps of a command


def plugin_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--plugin`. Its files are loaded right before the command's body.

    What goes wrong in one of the files while the command runs is shown with its line.
    """

    @click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="FILE.py",
        help="A Python file with layers (or losses, datasets, …) of your own; may be given several times.",
    )
    @wraps(command)
    def with_plugins(*arguments: Any, plugins: tuple[str, ...], **options: Any) -> Any:
        click.get_current_context().meta[_GIVEN] = plugins
        files = {str(load(path).__file__): path for path in plugins}
        try:
            return command(*arguments, **options)
        except (TinynetError, click.ClickException, click.exceptions.Exit, OSError, MemoryError):
            raise
        except Exception as error:
            if not files:
                raise
            raise TinynetError(_blamed(error, files)) from error

    return with_plugins


def as_given() -> str:
    """The running command's `--plugin` options, for a command line that it prints: " --plugin my_layers.py", or ""."""
    return "".join(f" --plugin {quoted(path)}" for path in click.get_current_context().meta.get(_GIVEN, ()))


def load(path: str) -> ModuleType:
    """Run a Python file, which registers the components in it. It can import the files beside it.

    Raises
    ------
    UsageError
        If there is no such file, or it holds no component.
    ConfigError
        If the file raises an error, or a component in it cannot work, each at its line.
    """
    file = _file(path)
    from tinynet.common import components
    from tinynet.config.grammar import load_all

    load_all()  # first, so that a name which exists is noticed in the person's file
    module = _run(file, path)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, components.Component)
        if components.find(value.__name__) is value and value.__module__.split(".")[0] != "tinynet"
    ]
    if not found:
        raise UsageError(
            f"{path}: there is no layer, nor anything else that a config can name, in this file. "
            "Write one as in `class Square(tinynet.Layer):`"
        )
    problems = [
        f"{path if cls.__module__ == module.__name__ else inspect.getfile(cls)}:{line}: {cls.__name__}: {message}"
        for cls in found
        for line, message in _faults(cls)
    ]
    if problems:
        raise ConfigError(problems)
    return module


def _file(path: str) -> Path:
    file = at_home(path)
    if file.is_dir():
        raise UsageError(f"{path}: this is a folder. Name a Python file in it.")
    if file.suffix != ".py":
        near = f" Did you mean {path}.py?" if Path(f"{file}.py").is_file() else ""
        raise UsageError(f"{path}: a plugin is a Python file, so its name has to end in .py.{near}")
    if not file.is_file():
        raise UsageError(f"{path}: there is no such file")
    if "." in file.stem:
        raise UsageError(f"{path}: a plugin's name has no dot but that of .py. Rename the file.")
    return file.resolve()


def _run(file: Path, path: str) -> ModuleType:
    """The module of the file, under the name by which the files beside it can import it."""
    name = file.stem
    loaded = sys.modules.get(name)
    if loaded is not None and Path(getattr(loaded, "__file__", None) or "").resolve() == file:
        return loaded  # another plugin has imported it
    known = None if loaded is not None else importlib.util.find_spec(name)
    found = known.origin if known is not None else None  # None also for a folder of this name
    if loaded is not None or (found is not None and Path(found).resolve() != file):
        raise UsageError(f"{path}: Python has another module called {name!r}. Give the file another name.")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    try:
        with redirect_stdout(sys.stderr):  # stdout is for the command's results
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError([_in_file(error, {str(file): path}) or f"{path}: {_told(error)}"]) from error
    return module


def _blamed(error: Exception, files: dict[str, str]) -> str:
    """What to say to an error that is not one of tinynet's, where there are plugins."""
    at = _in_file(error, files)
    if at is not None:
        return at
    return (
        f"{_told(error)}. It came up in tinynet itself, perhaps because a layer of {', '.join(files.values())} "
        f"returned something else than it should, such as an array of another shape: "
        f"`tinynet check CONFIG{as_given()}` says which. --debug shows where."
    )


def _in_file(error: BaseException, files: dict[str, str]) -> str | None:
    """`my_layers.py:7: NameError: name 'np' is not defined`, if one of the files (by full path) is to blame."""
    if isinstance(error, SyntaxError) and error.filename in files:
        return f"{files[error.filename]}:{error.lineno}: {_told(error)}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{files[frames[-1].filename]}:{frames[-1].lineno}: {_told(error)}" if frames else None


def _told(error: BaseException) -> str:
    """The message of an error; those of Python with their kind."""
    if isinstance(error, TinynetError):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _faults(cls: type[Component]) -> Iterator[tuple[int, str]]:
    """What would keep a component from working: (line, message)."""
    line = inspect.findsource(cls)[1] + 1
    options = _fault_of_options(cls)
    if options:
        yield line, options
    for name in ("forward", "backward") if cls.kind == "layer" else ():
        method = inspect.getattr_static(cls, name)
        if method.__module__ == "tinynet.nn.layer":
            arguments = "x, training=False" if name == "forward" else "dy"
            yield line, f"has no {name}. Write `def {name}(self, {arguments}):`."
    for name in dir(cls):
        if getattr(getattr(cls, name), "__isabstractmethod__", False):
            yield line, f"has no {name}, which every {cls.kind} needs. Write `def {name}{_signature(cls, name)}:`."
    if cls.kind == "layer":
        yield from _faults_of_signatures(cls)


def _fault_of_options(cls: Any) -> str | None:
    own = [name for name, hint in inspect.get_annotations(cls).items() if "ClassVar" not in str(hint)]
    if own and "__dataclass_fields__" not in vars(cls):
        are = "is no option" if len(own) == 1 else "are no options"
        return (
            f"{' and '.join(own)} {are}, because the class is no dataclass. Write `@dataclass(eq=False)` on the line "
            "above `class`, and `from dataclasses import dataclass` at the top of the file."
        )
    try:
        from tinynet.common import components
        from tinynet.config.schema import check_options

        names = [option.name for option in components.options(cls)]
        check_options(cls)
    except Exception as error:
        return f"its options cannot be read: {_told(error)}"
    try:
        inspect.signature(cls.__init__).bind(None, **dict.fromkeys(names))
    except TypeError:
        given = [p for p in inspect.signature(cls.__init__).parameters if p != "self"]
        return (
            f"its __init__({', '.join(given)}) cannot take the options that a config gives. Write "
            f"`@dataclass(eq=False)` above `class`, each option as a line of the class, as in "
            f"`{given[0] if given else 'scale'}: float = 1.0`, and leave __init__ out."
        )
    return None


def _faults_of_signatures(cls: Any) -> Iterator[tuple[int, str]]:
    """Methods of a layer that the net could not call as it does."""
    for name, needed, form in (
        ("setup", "rng", "def setup(self, shape, rng):"),
        ("forward", "training", "def forward(self, x, training=False):"),
    ):
        method = getattr(cls, name)
        taken = inspect.signature(method).parameters
        if needed not in taken and not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
            yield method.__code__.co_firstlineno, f"{name} does not take `{needed}`. Write `{form}`."


def _signature(cls: type[Component], name: str) -> str:
    """The arguments of a method: `(self, predicted, target)`."""
    return f"({', '.join(inspect.signature(getattr(cls, name)).parameters)})"
