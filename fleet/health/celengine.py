"""The CEL library, loaded without its command line, and what its users read of it.

Importing the package costs 26 MB (it brings typer and rich); its compiled module alone costs 3. Where the file cannot
be loaded alone, the whole package is imported. Only `fleet.health.readywhen` and `fleet.judge.cel` use this.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

_BOUND = re.compile(
    r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,"
)


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


def unknown_names(program: Any, text: str, known: frozenset[str]) -> list[str]:
    """Return the names that an expression uses and nobody gives it, sorted."""
    return sorted(set(program.variables()) - known - set(_BOUND.findall(text)))


def syntax_error(error: Exception) -> str:
    """Return place and reason of an error that `compile` raised; the library quotes the whole expression first."""
    _, _, rest = str(error).partition("ERROR: ")
    return one_line(rest.partition(" expecting {")[0] or str(error))


def one_line(text: str) -> str:
    """Shorten an error of the library to one line."""
    return " ".join(text.split())[:300]
