"""What kind of source a directory is, as Argo CD decides it.

Options that are set decide; otherwise a Chart.yaml makes it a chart, a kustomization file a kustomization, and
anything else is a directory of manifests.
"""

from __future__ import annotations

from fleet.errors import BadInput, Unsupported, Where
from fleet.model.application import DirectoryOptions, HelmOptions, KustomizeOptions, Source
from fleet.render.inputs import Repository, posix_join
from fleet.render.plan import SourceKind
from fleet.render.snapshot import Located

KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def source_directory(source: Source, repository: Repository) -> Located:
    """Find the directory of a source; raises BadInput when there is none, Denied when it leaves."""
    where = Where(field="source.path")
    found = repository.locate(source.path, where=where)
    if found is None:
        raise BadInput(
            f"path {source.path!r} does not exist in {source.repo_url} at {repository.snapshot.commit[:12]}",
            where=where,
        )
    if not found.is_directory:
        raise BadInput(f"path {source.path!r} is not a directory", where=where)
    return found


def source_kind(source: Source, directory: str, repository: Repository) -> SourceKind:
    """Decide how a git source is rendered."""
    explicit = explicit_kind(source)
    if explicit is not None:
        return explicit
    if _has(repository, directory, "Chart.yaml"):
        return SourceKind.HELM
    if any(_has(repository, directory, name) for name in KUSTOMIZATION_NAMES):
        return SourceKind.KUSTOMIZE
    return SourceKind.DIRECTORY


def explicit_kind(source: Source) -> SourceKind | None:
    """The kind that the source's options name; empty options name none."""
    kinds = [
        kind
        for kind, is_set in (
            (SourceKind.HELM, source.helm not in (None, HelmOptions())),
            (SourceKind.KUSTOMIZE, source.kustomize not in (None, KustomizeOptions())),
            (SourceKind.DIRECTORY, source.directory not in (None, DirectoryOptions())),
        )
        if is_set
    ]
    if len(kinds) > 1:
        raise BadInput(
            f"options of several kinds are set: {', '.join(kinds)}",
            where=Where(field="source"),
            hint="keep one of helm, kustomize, directory",
        )
    return kinds[0] if kinds else None


def refuse_jsonnet(path: str) -> None:
    """Fail for a file that only another tool could render."""
    if path.endswith((".jsonnet", ".libsonnet")):
        raise Unsupported("jsonnet is not supported", where=Where(file=path))


def _has(repository: Repository, directory: str, name: str) -> bool:
    path = posix_join(directory, name)
    return repository.locate(path, where=Where(file=path)) is not None
