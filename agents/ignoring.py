"""Takes out of objects what their ignore rules name, jq path expressions included, which run in a child process."""

from __future__ import annotations

from collections.abc import Iterable

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.jq.paths import Batch, JqPaths
from fleet.sync import fieldset
from fleet.sync.compare import stored
from fleet.sync.drift import MANAGER
from fleet.sync.ignore import Ignored, keep_live, strip, tidied
from fleet.sync.manifest import Manifest

_REMEMBERED = 1000


class Ignoring:
    """What `fleet.sync.ignore` decides, for objects of this cluster."""

    def __init__(self, jq: JqPaths) -> None:
        self._jq = jq
        self._checked: dict[tuple[str, ...], BadInput | None] = {}

    async def check(self, manifests: Iterable[Manifest]) -> None:
        """Try the expressions on nothing at all, once; raises BadInput that names the one that cannot be used."""
        for manifest in manifests:
            expressions = manifest.ignore.expressions
            if not expressions:
                continue
            if expressions not in self._checked:
                self._checked[expressions] = await self._error_of(expressions)
                if len(self._checked) > _REMEMBERED:
                    del self._checked[next(iter(self._checked))]
            error = self._checked[expressions]
            if error is not None:
                raise BadInput(error.message, hint=error.hint).at(object=str(manifest.ref))

    async def comparable(
        self, ignored: Ignored, live: JsonObject, *bodies: JsonObject
    ) -> tuple[JsonObject, ...]:
        """Return the objects without what is ignored, as two of them are to be compared."""
        if not ignored:
            return bodies
        left = await self._left(ignored, live, bodies)
        return tuple(tidied(body, rest) for body, rest in zip(bodies, left, strict=True))

    async def with_live(self, manifest: Manifest, live: JsonObject) -> JsonObject:
        """Return the desired object with the live values of what is ignored."""
        desired = stored(manifest.body)
        stripped, rest = await self._left(manifest.ignore, live, (desired, live))
        ours = fieldset.owned_by(live, (MANAGER,), applied=True)
        return keep_live(desired, stripped, _without_managers(live), rest, ours)

    async def _left(
        self, ignored: Ignored, live: JsonObject, bodies: tuple[JsonObject, ...]
    ) -> tuple[JsonObject, ...]:
        owned = fieldset.owned_by(live, ignored.managers) if ignored.managers else None
        left = tuple(strip(_without_managers(body), ignored, owned) for body in bodies)
        if ignored.expressions:
            (left,) = await self._jq.delete(
                (Batch(expressions=ignored.expressions, documents=left),)
            )
        return left

    async def _error_of(self, expressions: tuple[str, ...]) -> BadInput | None:
        try:
            await self._jq.check(expressions)
        except BadInput as error:
            return error
        return None


def _without_managers(body: JsonObject) -> JsonObject:
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return body
    return {
        **body,
        "metadata": {key: value for key, value in metadata.items() if key != "managedFields"},
    }
