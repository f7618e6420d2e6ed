"""Plans a Helm source: which files of the chart, which values, and the exact ``helm template`` command.

Precedence is helm's own, in the order Argo CD gives it: value files, then ``valuesObject`` (or ``values``), then
parameters. Every option becomes one argument of a fixed form; nothing a user writes can become a flag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fleet.codec import yamldoc
from fleet.errors import BadInput, Denied, Where
from fleet.model.application import HelmOptions, HelmParameter
from fleet.render import buildenv, chart, globs
from fleet.render.chartdependencies import Dependencies
from fleet.render.chartfiles import ChartFiles, GitFiles
from fleet.render.inputs import InputFile, made_file, posix_join
from fleet.render.plan import Plan, SourceContext, SourceKind

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9./+_-]*\Z")
_MAX_NAME = 53
_VALUES = "options/values.yaml"


async def plan(context: SourceContext, files: ChartFiles, dependencies: Dependencies) -> Plan:
    """Collect the closure of one chart with its options."""
    options = context.source.helm or HelmOptions()
    values = _Values(context, options, files)
    await values.collect()
    texts = await files.load(chart.is_essential, chart.is_scanned)
    chart_file = posix_join(files.shown, "Chart.yaml")
    if "Chart.yaml" not in texts:
        raise BadInput("there is no Chart.yaml", where=Where(file=chart_file))
    metadata = chart.metadata(texts, chart_file)
    fetched = await dependencies.fetch(metadata.missing, files, context)
    texts |= fetched.texts
    seen = chart.mentions(texts, values.texts)
    if seen.files:
        await files.load(lambda path: True, lambda path: False)
    argv = (
        *("helm", "template", *_identity(context, options, seen), files.place),
        *_capabilities(context, options, seen),
        *_switches(options),
        *values.arguments,
    )
    inputs = {file.path: file for file in (*values.inputs(), *files.inputs(), *fetched.files)}
    return Plan(
        kind=SourceKind.HELM,
        files=tuple(inputs[path] for path in sorted(inputs)),
        argv=argv,
        root=files.place,
        chart=metadata.name,
    )


def _identity(
    context: SourceContext, options: HelmOptions, seen: chart.Mentions
) -> tuple[str, str, str]:
    name = options.release_name or context.app_name
    namespace = options.namespace or context.namespace
    where = Where(field="source.helm.releaseName")
    if not _NAME.match(name) or len(name) > _MAX_NAME:
        raise BadInput(
            f"release name {name[:80]!r} is not allowed: helm takes lower-case letters, digits, - and ., "
            f"{_MAX_NAME} at most",
            where=where,
            hint="set source.helm.releaseName",
        )
    if namespace and not _NAME.match(namespace):
        raise BadInput(
            f"namespace {namespace[:80]!r} is not allowed", where=Where(field="namespace")
        )
    shown = namespace if namespace and seen.release_namespace else "default"
    return (name if seen.release_name else "release-name"), "--namespace", shown


def _capabilities(
    context: SourceContext, options: HelmOptions, seen: chart.Mentions
) -> Iterator[str]:
    version = options.kube_version
    if not version and seen.kube_version:
        version = context.capabilities.kube_version
    if version:
        yield f"--kube-version={_word(version, 'source.helm.kubeVersion')}"
    api_versions = options.api_versions
    if not api_versions and seen.api_versions:
        api_versions = tuple(sorted(context.capabilities.api_versions))
    for each in api_versions:
        yield f"--api-versions={_word(each, 'source.helm.apiVersions')}"


def _word(text: str, field: str) -> str:
    if not _WORD.match(text):
        raise BadInput(f"{text[:80]!r} is not allowed", where=Where(field=field))
    return text


def _switches(options: HelmOptions) -> Iterator[str]:
    if not options.skip_crds:
        yield "--include-crds"
    if options.skip_tests:
        yield "--skip-tests"
    if options.skip_schema_validation:
        yield "--skip-schema-validation"


class _Values:
    """What is laid over the chart's own values, in order."""

    def __init__(self, context: SourceContext, options: HelmOptions, files: ChartFiles) -> None:
        self.context = context
        self.options = options
        self.files = files
        self.references: dict[str, ChartFiles] = {
            name: GitFiles(repository, "") for name, repository in context.references.items()
        }
        self.arguments: list[str] = []
        self.texts: list[bytes] = []
        self.made: list[InputFile] = []

    async def collect(self) -> None:
        """Resolve everything that the options name."""
        for index, written in enumerate(self.options.value_files):
            await self.value_file(written, Where(field=f"source.helm.valueFiles[{index}]"))
        self.inline()
        for parameter in self.options.parameters:
            self.parameter(parameter)
        for index, each in enumerate(self.options.file_parameters):
            where = Where(field=f"source.helm.fileParameters[{index}]")
            place = await self.one_file(each.path, where)
            self.arguments += ["--set-file", f"{self.substitute(each.name)}={_escaped(place)}"]

    def inputs(self) -> Iterator[InputFile]:
        """Files that are not the chart's own."""
        yield from self.made
        for reference in self.references.values():
            yield from reference.inputs()

    def substitute(self, text: str) -> str:
        return buildenv.substitute(text, self.context.environment)

    async def value_file(self, written: str, where: Where) -> None:
        files, path = self.source_of(written, where)
        if globs.MAGIC & set(path):
            found = await files.match(path, where)
        else:
            one = await files.find(path, where)
            found = [] if one is None else [one]
        if not found and not self.options.ignore_missing_value_files:
            raise BadInput(f"value file {written!r} does not exist", where=where)
        for place, text in found:
            self.arguments += ["--values", place]
            self.texts.append(text)

    async def one_file(self, written: str, where: Where) -> str:
        files, path = self.source_of(written, where)
        found = await files.find(path, where)
        if found is None:
            raise BadInput(f"file {written!r} does not exist", where=where)
        self.texts.append(found[1])
        return found[0]

    def source_of(self, written: str, where: Where) -> tuple[ChartFiles, str]:
        """Which repository a path is of: its own, or that of ``$ref/``."""
        if "://" in written:
            raise Denied(f"remote value file {written[:200]!r} is not allowed", where=where)
        head, _, rest = written.partition("/")
        name = head.removeprefix("$")
        if head.startswith("$") and name in self.references:
            return self.references[name], f"/{self.substitute(rest)}"
        if head.startswith("$") and name.strip("{}") not in self.context.environment:
            raise BadInput(f"{head!r} is not the ref of a source of this Application", where=where)
        return self.files, self.substitute(written)

    def inline(self) -> None:
        text = self.options.values
        if self.options.values_object is not None:
            text = yamldoc.dump(self.options.values_object)
        if text.strip():
            self.made.append(made_file(_VALUES, text.encode()))
            self.texts.append(text.encode())
            self.arguments += ["--values", _VALUES]

    def parameter(self, parameter: HelmParameter) -> None:
        flag = "--set-string" if parameter.force_string else "--set"
        text = self.substitute(f"{parameter.name}={_escaped(parameter.value)}")
        self.arguments += [flag, text]
        self.texts.append(text.encode())


def _escaped(value: str) -> str:
    """Keep commas in a value, as Argo does: a list in braces keeps its meaning."""
    if value.startswith("{") and value.endswith("}"):
        return value
    return re.sub(r"(?<!\\),", r"\\,", value)
