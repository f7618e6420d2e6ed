"""Secrets in files: read at each use, so that a rotated one counts at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fleet.errors import Denied


async def first_line(path: Path) -> str:
    """Return the first line of a file; raises Denied where there is none."""
    try:
        found = (await asyncio.to_thread(path.read_text)).strip().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise Denied(f"token file {str(path)!r} cannot be read") from error
    if not found:
        raise Denied(f"token file {str(path)!r} is empty")
    return found
