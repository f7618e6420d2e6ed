"""Full comparisons of objects with what they shall be: asked for rarely, remembered as long as they hold.

An object whose fields are still ours and that structurally has everything is as desired. For all others the server
says what an apply would change, by a dry run (`agents.prediction`): it knows defaults, units and webhooks. The same
is not asked again of the same version of an object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from agents.apply import Applier, together
from agents.desired import DesiredStates
from agents.ignoring import Ignoring
from agents.live import LiveTable, Seen, version_of
from agents.prediction import Predictor
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.kube.port import Discovery
from fleet.model.assignment import Section
from fleet.model.identity import ObjectRef
from fleet.sync import fieldset
from fleet.sync.compare import counted, matches, stored
from fleet.sync.desired import Desired
from fleet.sync.drift import MANAGER, LiveObject, owned_fields
from fleet.sync.fieldset import FieldTree
from fleet.sync.inventory import Inventory
from fleet.sync.manifest import Manifest, metadata_of

_SERVER_SIDE = "ServerSideDiff"
_WEBHOOKS = "IncludeMutationWebhook=true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How objects of one target are compared (argocd.argoproj.io/compare-options)."""

    dry_run: bool = True
    """False: never ask the server."""
    always: bool = False
    """Ask the server even where the structure agrees."""
    webhooks: bool = False
    """What mutating webhooks change counts, too, and not only what the manifest decides."""


def manner_of(section: Section) -> Manner:
    """Read an application's compare options; the last word counts."""
    said = [word for word in section.compare_options if word.startswith(f"{_SERVER_SIDE}=")]
    last = said[-1] if said else ""
    return Manner(
        dry_run=last != f"{_SERVER_SIDE}=false",
        always=last == f"{_SERVER_SIDE}=true",
        webhooks=_WEBHOOKS in section.compare_options,
    )


@dataclass(frozen=True, slots=True)
class Examined:
    """An object as it is and as it would be, both without what is ignored."""

    before: JsonObject
    after: JsonObject
    by_server: bool
    owned: FieldTree | None = None
    """The fields that count; None: all."""

    @property
    def is_same(self) -> bool:
        """Whether an apply would change nothing that counts."""
        before, after = self.counted()
        return before == after

    def counted(self) -> tuple[JsonObject, JsonObject]:
        """Return what counts of both."""
        return counted(self.before, self.owned), counted(self.after, self.owned)


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one comparison."""

    digest: str
    version: int
    fields: str
    """`owned_fields` of the object that was compared."""
    generation: int
    is_same: bool
    error: BadInput | None = None
    """Why it could not be made: an expression that does not end on this object."""


class Comparisons:
    """Makes comparisons for the targets of one cluster, and keeps their results."""

    def __init__(
        self,
        applier: Applier,
        table: LiveTable,
        states: DesiredStates,
        ignoring: Ignoring,
        predictor: Predictor,
    ) -> None:
        self._applier = applier
        self._table = table
        self._states = states
        self._ignoring = ignoring
        self._predictor = predictor
        self._known: dict[str, dict[ObjectRef, _Result]] = {}

    def keep_only(self, present: Collection[str]) -> None:
        """Forget all other targets."""
        for target in self._known.keys() - set(present):
            del self._known[target]

    async def check(self, desired: Desired) -> None:
        """Make sure that the ignore rules can be used at all; raises BadInput."""
        await self._ignoring.check(desired.manifests)

    def live(self, desired: Desired, inventory: Inventory) -> dict[ObjectRef, LiveObject]:
        """What is there, with the results of comparisons that still hold."""
        live = self._table.index(desired.refs | inventory.entries.keys())
        known = self._known.get(desired.target, {})
        for item in desired.manifests:
            compared = known.get(item.ref)
            seen = self._table.get(item.ref)
            if compared and seen and _holds(compared, item, seen):
                live[item.ref] = replace(seen.live, matches=compared.is_same)
        return live

    async def compare(
        self,
        working: Section,
        discovery: Discovery,
        refs: Collection[ObjectRef],
        inventory: Inventory,
        *,
        afresh: bool = False,
    ) -> None:
        """Read objects whole and note whether each is as desired; ``afresh``: whatever is known already.

        Raises BadInput where an ignore rule cannot be applied to an object, until the object or the rule is another.
        """
        desired = self._states.full(working, discovery)
        wanted = [item for item in desired.manifests if item.ref in refs]
        whole = await self._applier.whole_as(wanted)
        named = {item.ref for item in desired.manifests}
        before = self._known.get(working.target, {})
        after = {ref: result for ref, result in before.items() if ref in named}
        self._known[working.target] = after
        manner = manner_of(working)
        due = [
            item
            for item in wanted
            if item.ref in whole and (afresh or not _is_known(after, item, whole[item.ref]))
        ]
        await together(
            self._note(after, item, whole[item.ref], manner, inventory, afresh=afresh)
            for item in due
        )
        _raise_first(after, (item.ref for item in wanted if item.ref in after))

    async def _note(
        self,
        results: dict[ObjectRef, _Result],
        manifest: Manifest,
        live: JsonObject,
        manner: Manner,
        inventory: Inventory,
        *,
        afresh: bool,
    ) -> None:
        error: BadInput | None = None
        is_same = False
        try:
            if not afresh and not manner.always and _is_recorded(inventory, manifest, live):
                is_same = await self._has_everything(manifest, live)
            is_same = is_same or (await self.examine(manifest, live, manner)).is_same
        except BadInput as failure:
            error = failure
        metadata = metadata_of(live)
        results[manifest.ref] = _Result(
            manifest.digest,
            version_of(live),
            owned_fields(metadata),
            int(metadata.get("generation") or 0),
            is_same,
            error,
        )

    async def _has_everything(self, manifest: Manifest, live: JsonObject) -> bool:
        desired, found = await self._ignoring.comparable(
            manifest.ignore, live, stored(manifest.body), live
        )
        return matches(desired, found)

    async def examine(self, manifest: Manifest, live: JsonObject, manner: Manner) -> Examined:
        """Compare one object with what an apply would make of it; raises BadInput for an ignore rule."""
        prediction = await self._predictor.predict(manifest, live, by_server=manner.dry_run)
        after, before = await self._ignoring.comparable(
            manifest.ignore, live, prediction.body, live
        )
        if not prediction.by_server or manner.webhooks:
            return Examined(before, after, by_server=prediction.by_server)
        sides = (prediction.body, live)
        ours = (fieldset.owned_by(side, (MANAGER,), applied=True) for side in sides)
        return Examined(before, after, by_server=True, owned=fieldset.union(*ours))


def _holds(result: _Result, manifest: Manifest, seen: Seen) -> bool:
    """Whether a result is still true: until a field of ours is taken, whatever else happens to the object.

    Its status may have moved on since it was read. What differed may also have been put right: by us, or by somebody
    else, which shows in the generation of a kind that has one.
    """
    if result.error is not None or result.digest != manifest.digest:
        return False
    if result.is_same or (result.generation and result.version >= seen.written):
        is_untouched = result.is_same or result.generation == seen.generation
        return is_untouched and result.fields == seen.live.fields
    return result.version == seen.version


def _is_known(results: dict[ObjectRef, _Result], manifest: Manifest, live: JsonObject) -> bool:
    known = results.get(manifest.ref)
    return known is not None and (known.digest, known.version) == (
        manifest.digest,
        version_of(live),
    )


def _is_recorded(inventory: Inventory, manifest: Manifest, live: JsonObject) -> bool:
    """Whether this manifest was applied and no field of it was taken from us since: nothing can be too much."""
    entry = inventory.entries.get(manifest.ref)
    return entry is not None and (entry.body, entry.fields) == (
        manifest.digest,
        owned_fields(metadata_of(live)),
    )


def _raise_first(results: Mapping[ObjectRef, _Result], refs: Iterable[ObjectRef]) -> None:
    for ref in refs:
        result = results[ref]
        if result.error is not None:
            raise BadInput(result.error.message, hint=result.error.hint).at(object=str(ref))
