"""The layers. Each is one class in one file; importing this package imports every file in it, which registers them."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
