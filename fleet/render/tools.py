"""Finds helm and kustomize and asks them for their versions, which are part of every closure."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import FleetError, NotReady
from fleet.render import folder
from fleet.render.sandbox import Sandbox
from fleet.render.settings import RenderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program that renders: how to start it, and what its output depends on."""

    program: Path
    arguments: tuple[str, ...]
    """Before the plan's own."""
    version: str


class Tools:
    """The tools by the name that plans use; each is looked for when it is first needed."""

    def __init__(self, settings: RenderSettings, sandbox: Sandbox) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._found: dict[str, Tool] = {}

    async def get(self, name: str) -> Tool:
        """Return ``helm`` or ``kustomize``; raises NotReady when it is not installed or does not start."""
        if name not in self._found:
            self._found[name] = await (self._helm() if name == "helm" else self._kustomize())
        return self._found[name]

    async def _helm(self) -> Tool:
        program = _program(self._settings.helm, "helm")
        version = await self._ask(program, "version", "--template", "{{.Version}}")
        return Tool(program=program, arguments=(), version=f"helm {version}")

    async def _kustomize(self) -> Tool:
        if self._settings.kustomize is None:
            return await self._kubectl()
        program = _program(self._settings.kustomize, "kustomize")
        version = await self._ask(program, "version")
        return Tool(program=program, arguments=("build",), version=f"kustomize {version}")

    async def _kubectl(self) -> Tool:
        program = _program(self._settings.kubectl, "kubectl")
        answer = await self._ask(program, "version", "--client", "-o", "json")
        try:
            versions = json.loads(answer)
            version = versions.get("kustomizeVersion") or versions["clientVersion"]["gitVersion"]
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise NotReady(f"{program.name} does not tell its version") from error
        return Tool(program=program, arguments=("kustomize",), version=f"kustomize {version}")

    async def _ask(self, program: Path, *arguments: str) -> str:
        with folder.made((), {}, self._settings.temporary) as root:
            environment = folder.environment(root, self._settings.memory)
            try:
                done = await self._sandbox.run(
                    program, arguments, folder=root / "source", environment=environment
                )
            except FleetError as error:
                raise NotReady(f"{program.name} does not start: {error.message}") from error
        if done.status:
            raise NotReady(f"{program.name} does not start: exit status {done.status}")
        return done.output.decode("utf-8", "replace").strip()


def _program(configured: Path | None, name: str) -> Path:
    found = shutil.which(str(configured or name))
    if found is None:
        raise NotReady(
            f"{configured or name} is not installed",
            hint=f"put {name} on PATH or set render.{name}",
        )
    return Path(found).absolute()
