"""The CEL library, loaded without its command line.

Importing the package costs 26 MB (it brings typer and rich); its compiled module alone costs 3. Where the file cannot
be loaded alone, the whole package is imported. Only `fleet.health.readywhen` uses this.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from types import ModuleType


@functools.cache
def engine() -> ModuleType:
    """Return the module with ``compile``."""
    package = importlib.util.find_spec("cel")
    folders = (package.submodule_search_locations if package else None) or ()
    for folder in folders:
        for suffix in EXTENSION_SUFFIXES:
            file = Path(folder) / f"cel{suffix}"
            if file.is_file():
                return _load(file)
    return importlib.import_module("cel")


def _load(file: Path) -> ModuleType:
    loader = ExtensionFileLoader("cel.cel", str(file))
    spec = importlib.util.spec_from_file_location("cel.cel", file, loader=loader)
    if spec is None:  # pragma: no cover - only without a loader
        return importlib.import_module("cel")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
