"""Charts that a chart names and does not carry: taken from the same repository, or fetched before rendering.

The child has no network, so everything is in its folder before it starts. A version comes from Chart.lock where
that names one, otherwise the newest in the range.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from fleet.errors import BadInput, Denied, Where
from fleet.render import chart
from fleet.render.chartfiles import ChartFiles, GitFiles
from fleet.render.inputs import InputFile, made_file, posix_join
from fleet.render.plan import SourceContext
from fleet.render.ports import Charts

_UNSAFE = re.compile(r"[^A-Za-z0-9.+-]")


@dataclass(slots=True)
class Fetched:
    """Files to put beside the chart's own, and the texts among them to scan."""

    files: list[InputFile] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)


class Dependencies:
    """Gets what is missing in a chart's ``charts/``."""

    def __init__(self, charts: Charts, *, allowed: bool) -> None:
        self._charts = charts
        self._allowed = allowed

    async def fetch(
        self, missing: Iterable[chart.Dependency], files: ChartFiles, context: SourceContext
    ) -> Fetched:
        """Get all of them; raises BadInput, Denied and what the chart repositories raise."""
        fetched = Fetched()
        for dependency in missing:
            where = Where(
                file=posix_join(files.shown, "Chart.yaml"), field=f"dependencies.{dependency.name}"
            )
            if dependency.repository.startswith("file://"):
                await self._local(dependency, files, fetched, where)
            else:
                await self._remote(dependency, files, fetched, context, where)
        return fetched

    async def _local(
        self, dependency: chart.Dependency, files: ChartFiles, fetched: Fetched, where: Where
    ) -> None:
        path = dependency.repository.removeprefix("file://")
        if not isinstance(files, GitFiles):
            raise BadInput(f"dependency {dependency.name!r} is not in the archive", where=where)
        found = files.repository.locate(path, base=files.directory, where=where)
        if found is None or not found.is_directory:
            raise BadInput(f"dependency {path!r} does not exist in the repository", where=where)
        repository = files.repository
        listed = repository.add_below(found.path, want=lambda path: True, where=where)
        texts = await repository.read_all(
            located for path, located in listed if chart.is_scanned(path)
        )
        for inside, located in listed:
            target = posix_join("charts", dependency.name, inside)
            fetched.files.append(
                InputFile(
                    path=posix_join(files.place, target),
                    mode="file",
                    object=located.object,
                    url=repository.snapshot.url,
                )
            )
            if located.path in texts:
                fetched.texts[target] = texts[located.path]

    async def _remote(
        self,
        dependency: chart.Dependency,
        files: ChartFiles,
        fetched: Fetched,
        context: SourceContext,
        where: Where,
    ) -> None:
        repository = dependency.repository
        if not repository.startswith(("https://", "http://", "oci://")):
            raise BadInput(
                f"dependency {dependency.name!r} is not in charts/ and its repository "
                f"{repository!r} is not an address",
                where=where,
                hint="run helm dependency build and commit charts/",
            )
        if not self._allowed or not context.permits(repository):
            raise Denied(
                f"dependency {dependency.name!r} comes from {repository!r}, which is not allowed",
                where=where,
                hint="commit it to charts/, or allow its repository in the project",
            )
        version = dependency.locked
        if not version:
            found = await self._charts.resolve(repository, dependency.name, dependency.version)
            version = found.version
        data = await self._charts.chart(repository, dependency.name, version)
        target = f"charts/{_UNSAFE.sub('_', f'{dependency.name}-{version}')}.tgz"
        fetched.files.append(made_file(posix_join(files.place, target), data))
        fetched.texts[target] = data
