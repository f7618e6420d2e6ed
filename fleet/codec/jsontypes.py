"""Names for untyped JSON: the one place where ``Any`` is at home.

Kubernetes objects stay plain dicts in this project; these aliases say so in signatures.
"""

from __future__ import annotations

from typing import Any, TypeAlias

JsonValue: TypeAlias = Any
"""None, bool, int, float, str, a list of these, or a dict from str to these."""

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object; never changed in place once it has been handed to somebody else."""
