"""Plans a directory of manifests: which files, in which order. No tool and no child is involved.

Follows Argo CD: ``.yaml``, ``.yml`` and ``.json``, the directory itself or with ``recurse`` all below it, in the
order of a lexical walk. A symbolic link that leaves the repository fails the whole source, whether or not its
name would have matched.
"""

from __future__ import annotations

from fleet.errors import BadInput, FleetError, Where
from fleet.model.application import DirectoryOptions
from fleet.model.world import EntryKind, TreeEntry
from fleet.render import globs
from fleet.render.detect import refuse_jsonnet
from fleet.render.inputs import Repository
from fleet.render.plan import Plan, SourceKind
from fleet.render.snapshot import Located

_EXTENSIONS = (".yaml", ".yml", ".json", ".jsonnet")


def plan(options: DirectoryOptions, directory: str, repository: Repository) -> Plan:
    """Choose the files of a plain directory."""
    entries = repository.below(directory) if options.recurse else repository.children(directory)
    skip = len(directory) + 1 if directory else 0
    for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
        found = _followed(entry, repository)
        if not found.is_file or not entry.path.endswith(_EXTENSIONS):
            continue
        if _is_wanted(entry.path[skip:], options):
            refuse_jsonnet(entry.path)
            repository.add(found)
    files = [file for file in repository.inputs() if file.mode != "symlink"]
    files.sort(key=lambda file: file.path.split("/"))
    return Plan(kind=SourceKind.DIRECTORY, files=tuple(files), root=repository.place(directory))


def _followed(entry: TreeEntry, repository: Repository) -> Located:
    if entry.kind is not EntryKind.SYMLINK:
        return Located(entry.path, entry.kind, entry.object)
    found = repository.locate(entry.path, where=Where(file=entry.path))
    if found is None:
        raise BadInput("symbolic link leads nowhere", where=Where(file=entry.path))
    return found


def _is_wanted(path: str, options: DirectoryOptions) -> bool:
    field = "source.directory"
    try:
        if options.exclude and globs.matches_any_depth(options.exclude, path):
            return False
        field = "source.directory.include"
        return not options.include or globs.matches_any_depth(options.include, path)
    except FleetError as error:
        raise error.at(field=field) from None
