"""Parses manifests where it costs the event loop nothing: small texts in a thread, large ones in a child."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import fleet
from fleet.errors import BadInput
from fleet.render import artifact, folder, worker
from fleet.render.inputs import made_file
from fleet.render.manifests import Text
from fleet.render.sandbox import Sandbox
from fleet.render.settings import RenderSettings

_PACKAGES = os.pathsep.join(
    (
        str(Path(fleet.__file__).parent.parent),
        *(path for path in sys.path if path.endswith("-packages")),
    )
)
_ANCHOR = re.compile(rb"(?:^|[\s\[{,])&[^\s&]")
"""With aliases a few bytes can become a million values; those are a child's business, too."""


class Parser:
    """Builds artifacts out of texts."""

    def __init__(self, settings: RenderSettings, sandbox: Sandbox) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._bounds = artifact.Bounds(
            objects=settings.max_objects, object_size=settings.max_object_size
        )

    async def build(self, texts: tuple[Text, ...]) -> artifact.Built:
        """Build one artifact; raises BadInput (with file and line) and Transient."""
        size = sum(len(text.content) for text in texts)
        if size > self._settings.max_output:
            raise BadInput(
                f"manifests of {size} bytes are over the limit of {self._settings.max_output}"
            )
        is_harmless = not any(_ANCHOR.search(text.content) for text in texts)
        if size <= self._settings.parse_in_child_above and is_harmless:
            return await asyncio.to_thread(artifact.build, texts, self._bounds)
        return await self._in_child(texts)

    async def combine(self, artifacts: tuple[bytes, ...]) -> artifact.Built:
        """Join the artifacts of several sources."""
        return await asyncio.to_thread(artifact.combine, artifacts, self._bounds)

    async def _in_child(self, texts: tuple[Text, ...]) -> artifact.Built:
        request = made_file("request", worker.encode_request(texts, self._bounds))
        with folder.made((request,), {}, self._settings.temporary) as root:
            done = await self._sandbox.run(
                Path(sys.executable),
                # without site, which takes most of the time that such a short life has
                ("-S", "-m", "fleet.render.worker", "request"),
                folder=root / "source",
                environment={
                    **folder.environment(root, self._settings.memory),
                    "PYTHONPATH": _PACKAGES,
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "PYTHONSAFEPATH": "1",
                },
            )
        if done.status:
            raise BadInput("manifests could not be parsed: the parser failed")
        return await asyncio.to_thread(worker.decode_answer, done.output)
