"""Carries out a plan: files into a folder, the tool in its sandbox, its output to an artifact."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.errors import BadInput, FleetError
from fleet.render import failures, folder
from fleet.render.artifact import Built
from fleet.render.inputs import InputFile, ReadBlobs
from fleet.render.manifests import Text
from fleet.render.parsing import Parser
from fleet.render.plan import Plan
from fleet.render.sandbox import Sandbox
from fleet.render.settings import RenderSettings
from fleet.render.tools import Tools

_EARLY = 1024 * 1024
"""Bytes of files that a render holds while it waits for its turn."""


class MissedFiles(Exception):
    """The tool looked for files that are not in its folder."""

    def __init__(self, paths: tuple[str, ...], failure: BadInput) -> None:
        super().__init__(paths, failure)
        self.paths = paths
        self.failure = failure


class Builder:
    """Builds artifacts; knows nothing of closures."""

    def __init__(
        self,
        settings: RenderSettings,
        *,
        sandbox: Sandbox,
        tools: Tools,
        parser: Parser,
        read: ReadBlobs,
    ) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._tools = tools
        self._parser = parser
        self._read = read

    async def early(self, plan: Plan) -> Mapping[str, bytes] | None:
        """Read before the turn, together with others who do; what is much is let go and read again in the turn."""
        contents = await self._contents(plan.files)
        return contents if sum(map(len, contents.values())) <= _EARLY else None

    async def build(self, plan: Plan, early: Mapping[str, bytes] | None) -> Built:
        """Build one plan; raises MissedFiles, BadInput (with the place), NotReady and Transient."""
        contents = early if early is not None else await self._contents(plan.files)
        if not plan.argv:
            return await self._parser.build(_texts(plan, contents))
        tool = await self._tools.get(plan.argv[0])
        with folder.made(plan.files, contents, self._settings.temporary) as root:
            done = await self._sandbox.run(
                tool.program,
                (*tool.arguments, *plan.argv[1:]),
                folder=root / "source",
                environment=folder.environment(root, self._settings.memory),
            )
            if done.status:
                failure = failures.failure(plan, done.errors, str(root))
                if failures.is_missing_file(done.errors):
                    missed = failures.missing_paths(plan, done.errors, str(root))
                    raise MissedFiles(missed, failure)
                raise failure
        try:
            return await self._parser.build((Text(file="", content=done.output),))
        except FleetError as error:
            error.where = failures.in_repository(plan, error.where)
            raise

    async def _contents(self, files: tuple[InputFile, ...]) -> Mapping[str, bytes]:
        """Read all files, each repository's at once."""
        contents: dict[str, bytes] = {}
        for url in sorted({file.url for file in files if file.url}):
            objects = dict.fromkeys(file.object for file in files if file.url == url)
            contents |= await self._read(url, tuple(objects))
        size = sum(map(len, contents.values()))
        if size > self._settings.max_input:
            raise BadInput(
                f"files of {size} bytes are over the limit of {self._settings.max_input}"
            )
        return contents


def _texts(plan: Plan, contents: Mapping[str, bytes]) -> tuple[Text, ...]:
    return tuple(
        Text(file=file.path.partition("/")[2], content=contents[file.object], lenient=True)
        for file in plan.files
    )
