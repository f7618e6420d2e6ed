"""The redaction of this room, which is everybody's: it lives in `fleet.codec`, below the logs and git."""

from __future__ import annotations

from fleet.codec.redaction import MASK, one_line, redact

__all__ = ["MASK", "one_line", "redact"]
