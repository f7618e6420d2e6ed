"""All functions that templates may call, under the names that Argo CD knows them by.

Left out as in Argo CD: ``env``, ``expandenv``, ``getHostByName``. Later tables replace names of earlier ones, as
sprig's ``slice`` replaces Go's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fleet.templating.argo import ARGO
from fleet.templating.funcs_base import BASE
from fleet.templating.funcs_builtin import BUILTIN
from fleet.templating.funcs_dates import DATES
from fleet.templating.funcs_dicts import DICTS
from fleet.templating.funcs_encode import ENCODE
from fleet.templating.funcs_lists import LISTS
from fleet.templating.funcs_math import MATH
from fleet.templating.funcs_random import RANDOM
from fleet.templating.funcs_regex import REGEX
from fleet.templating.funcs_semver import SEMVER
from fleet.templating.funcs_strings import STRINGS
from fleet.templating.funcs_urls import URLS
from fleet.templating.functions import Function

_TABLES = (
    BUILTIN,
    STRINGS,
    LISTS,
    DICTS,
    MATH,
    BASE,
    ENCODE,
    REGEX,
    DATES,
    SEMVER,
    URLS,
    RANDOM,
    ARGO,
)

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {name: function for table in _TABLES for name, function in table.items()}
)

MUTATING: Final = frozenset(
    {"set", "unset", "merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite"}
)
"""Functions that change their first argument."""

UNSTABLE: Final = frozenset({*RANDOM, *DATES})
"""Functions that are random or may read the clock: the same parameters can give another text."""
