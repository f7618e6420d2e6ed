"""What the messages for people have in common; by itself, for agents send some of them and need none of the rest."""

from __future__ import annotations

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Anything below: JSON keys are camelCase."""
