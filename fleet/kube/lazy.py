"""Puts bare package modules in kubernetes-asyncio's place, so that importing it does not load every API and model.

Each import path inside the library runs ``kubernetes_asyncio/__init__.py``, which pulls in some 850 modules and
33 MB that the agent never uses. The stand-ins below have the packages' search paths and resolve the few names the
library asks of its own packages when they are asked for. The library is pinned; if its layout is not what this
module expects, the stand-ins are taken away again and the whole library is imported.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_LIBRARY = "kubernetes_asyncio"
_NAMES = {"Configuration": "client.configuration", "ApiException": "client.exceptions"}
_ON_CALL = {"ApiClient": "client.api_client"}
"""Named by the library's modules in passing: what stands for it is imported when it is called."""
_ON_USE = ("urllib3",)
"""Imported by the library's modules for one rare function."""


def install() -> bool:
    """Install the stand-ins; False where the whole library is in use (loaded before, or of another layout)."""
    if _LIBRARY in sys.modules:
        return is_installed()
    found = importlib.util.find_spec(_LIBRARY)
    if found is None or not found.submodule_search_locations:
        return False
    root = Path(next(iter(found.submodule_search_locations)))
    for package in ("", "client", "client.models"):
        _put(package, root)
    for name in _ON_USE:
        _postpone(name)
    try:
        for name in ("client.configuration", "client.rest", "config.kube_config"):
            importlib.import_module(f"{_LIBRARY}.{name}")
        importlib.import_module(f"{_LIBRARY}.config.incluster_config")
    except (ImportError, AttributeError):
        _take_away()
        return False
    return True


def is_installed() -> bool:
    """Whether the stand-ins are in place."""
    return getattr(sys.modules.get(_LIBRARY), "__lazy__", False) is True


def _put(package: str, root: Path) -> None:
    name = f"{_LIBRARY}.{package}" if package else _LIBRARY
    folder = str(root.joinpath(*package.split("."))) if package else str(root)
    module = ModuleType(name)
    module.__path__ = [folder]
    module.__package__ = name
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    module.__spec__.submodule_search_locations = [folder]
    module.__dict__["__lazy__"] = True
    module.__dict__["__getattr__"] = _resolve
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


def _resolve(name: str) -> object:
    home = _NAMES.get(name)
    if name in _ON_CALL:
        return functools.partial(_call, _ON_CALL[name], name)
    if home is None:
        raise AttributeError(f"{_LIBRARY} is loaded in parts; {name!r} is not one of them")
    return getattr(importlib.import_module(f"{_LIBRARY}.{home}"), name)


def _call(home: str, name: str, *args: object, **more: object) -> object:
    return getattr(importlib.import_module(f"{_LIBRARY}.{home}"), name)(*args, **more)


def _postpone(name: str) -> None:
    """Let a module be loaded when one of its names is used for the first time."""
    if name in sys.modules or importlib.util.find_spec(name) is None:
        return
    # importlib's own LazyLoader loads at once in an import statement, which looks at __spec__.
    stand_in = ModuleType(name)
    stand_in.__spec__ = importlib.machinery.ModuleSpec(name, None)

    def resolve(attribute: str) -> object:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    stand_in.__dict__["__getattr__"] = resolve
    sys.modules[name] = stand_in


def _take_away() -> None:
    roots = (_LIBRARY, *_ON_USE)
    for name in [name for name in sys.modules if name.partition(".")[0] in roots]:
        del sys.modules[name]
