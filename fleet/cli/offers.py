"""What Applications on the management cluster offer to the fleet: found by rendering them, but only those that may.

An Application of which neither its own document nor any file that its rendering would read names ``argoproj.io`` as a
group brings no documents of the fleet, so a fleet with thousands of plain ones on its management cluster costs the
reading of their files, not their rendering.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from fleet.argo.children import GROUP, Offer, read_offer, split
from fleet.cli.checking import Repositories
from fleet.cli.manifests import Manifests, NotHere, Sources, sources_of
from fleet.codec.canonical import canonical_bytes
from fleet.errors import FleetError
from fleet.model.application import Application, Warning  # noqa: A004  # the field's word
from fleet.model.identity import AppName, TargetId
from fleet.model.target import Target
from fleet.render.plan import Plan

_GROUP = re.compile(rb"(?<![\w.-])" + re.escape(GROUP.encode()))
_ARCHIVES = (".tgz", ".tar.gz")


@dataclass(frozen=True, slots=True)
class Offered:
    """What is known of what one Application brings."""

    offer: Offer | None = None
    error: FleetError | None = None
    """Why it does not render."""
    lacks: str = ""
    """Which of its sources is not on this machine."""
    warnings: tuple[Warning, ...] = ()
    """What its owner should know of the rendering."""


@dataclass(slots=True)
class Offers:
    """The offers of Applications at one revision; what was found stays found."""

    repositories: Repositories
    manifests: Manifests
    _known: dict[TargetId, tuple[Application, Offered]] = field(default_factory=dict)
    _naming: dict[str, bool] = field(default_factory=dict)
    """By object id: whether the file names the group."""

    async def of(
        self, targets: Iterable[Target], bringing: Set[AppName]
    ) -> dict[TargetId, Offered]:
        """Look at Applications of the management cluster; those that are ``bringing`` something are rendered anyway."""
        targets = list(targets)
        wanted = [target for target in targets if not self._is_known(target)]
        sources = {
            target.id: await sources_of(target.application, self.repositories) for target in wanted
        }
        plans = {
            target.id: await self._plans(target.application, sources[target.id])
            for target in wanted
        }
        await self._read([plan for item in plans.values() for plan in item or ()])
        await asyncio.gather(
            *(
                self._look(
                    target,
                    sources[target.id],
                    None if target.id.app in bringing else plans[target.id],
                )
                for target in wanted
            )
        )
        return {target.id: self._known[target.id][1] for target in targets}

    def _is_known(self, target: Target) -> bool:
        known = self._known.get(target.id)
        return known is not None and (
            known[0].document is target.application.document
            or canonical_bytes(known[0].document) == canonical_bytes(target.application.document)
        )

    async def _plans(self, application: Application, sources: Sources) -> tuple[Plan, ...] | None:
        """What would be read; None where rendering has to say what is wrong."""
        try:
            return await self.manifests.plan(application, sources)
        except NotHere:
            return ()
        except FleetError:
            return None

    async def _read(self, plans: Iterable[Plan]) -> None:
        """Look into all files that nobody has looked into yet."""
        unread: dict[str, set[str]] = defaultdict(set)
        for plan in plans:
            for file in plan.files:
                if file.object in self._naming:
                    continue
                if file.path.endswith(_ARCHIVES):
                    self._naming[file.object] = True  # nobody sees what is in it
                elif file.content is not None:
                    self._naming[file.object] = _names_the_group(file.content)
                else:
                    unread[file.url].add(file.object)
        try:
            for name, data in await self.manifests.read(unread):
                self._naming[name] = _names_the_group(data)
        except FleetError:  # whoever needs what cannot be read says so when it is rendered
            for names in unread.values():
                self._naming |= dict.fromkeys(names - self._naming.keys(), True)

    async def _look(self, target: Target, sources: Sources, plans: tuple[Plan, ...] | None) -> None:
        application = target.application
        files = sum(len(plan.files) for plan in plans or ())
        found = Offered(offer=Offer(others=files))  # not counted, but none is none
        if plans is None or self._may_bring(application, plans):
            found = await self._render(target, sources)
        elif lacking := next((item for item in sources if isinstance(item, str)), ""):
            found = Offered(lacks=lacking)
        self._known[target.id] = application, found

    def _may_bring(self, application: Application, plans: Iterable[Plan]) -> bool:
        spec = canonical_bytes(application.document.get("spec"))
        return bool(plans) and (
            _names_the_group(spec)
            or any(self._naming[file.object] for plan in plans for file in plan.files)
        )

    async def _render(self, target: Target, sources: Sources) -> Offered:
        try:
            rendered = await self.manifests.render(target.application, sources)
        except NotHere as lacking:
            return Offered(lacks=str(lacking))
        except FleetError as error:
            return Offered(error=error)
        documents, others = split(rendered.objects)
        return Offered(
            offer=read_offer(
                documents,
                parent=str(target.id),
                namespace=target.application.destination.namespace,
                artifact=rendered.rendering.artifact,
                others=len(others),
            ),
            warnings=rendered.rendering.warnings,
        )


def _names_the_group(data: bytes) -> bool:
    return _GROUP.search(data) is not None
