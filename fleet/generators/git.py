"""The git generator: one row per directory that matches, or per object in the files that match."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

from fleet.argo.globs import path_match
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.redaction import redact
from fleet.codec.yamldoc import load_one
from fleet.errors import BadInput
from fleet.generators.context import Context
from fleet.generators.fileglobs import select_files
from fleet.generators.listing import Listing, follow, listing_of
from fleet.generators.params import GeneratorError, ParamSet, flatten, sanitize
from fleet.model.project import DEFAULT_PROJECT
from fleet.model.world import TreeEntry
from fleet.templating.values import StringList


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return the rows of ``directories``, or of ``files`` where there are none."""
    _judge_project(context)
    if not config.get("directories") and not config.get("files"):
        raise GeneratorError(
            "ApplicationSet is empty: the git generator needs directories or files"
        )
    try:
        listing = listing_of(context.tree(config["repoURL"], config["revision"]))
        if config.get("directories"):
            return _from_directories(config, listing, context)
        return _from_files(config, listing, context)
    except BadInput as error:
        message = redact(f"error generating params from git: {error.message}")
        raise GeneratorError(message, hint=error.hint) from error


def _judge_project(context: Context) -> None:
    name = context.appset.template.get("spec", {}).get("project", "")
    if "{{" in name:
        return
    context.trail.projects = True
    if name not in context.world.projects and name != DEFAULT_PROJECT.name:
        raise GeneratorError(f"error getting project {name}: it does not exist")


def _from_directories(config: JsonObject, listing: Listing, context: Context) -> list[ParamSet]:
    rows = []
    for path in select_directories(listing.folders, config["directories"]):
        params = _path_params({}, path, config, go=context.engine.go)
        params = context.engine.with_values(params, config.get("values") or {})
        rows.append(ParamSet(params, f"git[{path}]"))
    return rows


def select_directories(folders: Iterable[str], items: Iterable[JsonObject]) -> list[str]:
    """Return the directories that some pattern includes and none excludes; malformed patterns match nothing."""
    patterns = [(path_match(item["path"]), bool(item.get("exclude"))) for item in items]
    included = [pattern for pattern, exclude in patterns if pattern and not exclude]
    excluded = [pattern for pattern, exclude in patterns if pattern and exclude]
    return [
        path
        for path in folders
        if any(pattern.fullmatch(path) for pattern in included)
        and not any(pattern.fullmatch(path) for pattern in excluded)
    ]


def _from_files(config: JsonObject, listing: Listing, context: Context) -> list[ParamSet]:
    chosen: set[str] = set()
    for exclude in (False, True):
        for item in config["files"]:
            if bool(item.get("exclude")) is exclude:
                paths = select_files(listing, item["path"], context.world.file_globs)
                chosen = chosen.difference(paths) if exclude else chosen.union(paths)
    repo_url = config["repoURL"]
    files = _followed(sorted(chosen), listing, repo_url, context)
    contents = context.blobs(repo_url, {entry.object for entry in files.values()})
    rows = []
    for path, entry in files.items():
        context.engine.budget.read(len(contents[entry.object]))
        for position, item in enumerate(_objects(contents[entry.object], path, repo_url)):
            params = _file_params(item, path, config, go=context.engine.go)
            params = context.engine.with_values(params, config.get("values") or {})
            rows.append(ParamSet(params, f"git[{path}#{position}]" if position else f"git[{path}]"))
    return rows


def _followed(
    paths: Iterable[str], listing: Listing, repo_url: str, context: Context
) -> dict[str, TreeEntry]:
    """Find the file behind every path; links that lead nowhere or out of the repository are left out."""
    files: dict[str, TreeEntry] = {}
    links: dict[str, bytes] = {}
    waiting = list(paths)
    while waiting:
        unread: dict[str, str] = {}
        for path in waiting:
            found = follow(path, listing, links)
            if isinstance(found, str):
                unread[path] = found
            elif found is not None:
                files[path] = found
        if unread:
            links |= context.blobs(repo_url, set(unread.values()))
        waiting = list(unread)
    return {path: files[path] for path in sorted(files)}


def _objects(data: bytes, path: str, repo_url: str) -> list[JsonObject]:
    """Read a file: an object, a list of objects, or nothing, which counts as one empty object."""
    try:
        value = load_one(data)
    except BadInput as error:
        raise _unparsable(path, repo_url, str(error)) from error
    if value is None:
        return [{}]
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and all(isinstance(item, dict | None) for item in value):
        return [item or {} for item in value]
    raise _unparsable(path, repo_url, "it is neither an object nor a list of objects")


def _unparsable(path: str, repo_url: str, reason: str) -> BadInput:
    return BadInput(
        f"unable to process file '{path}' from repository '{repo_url}': "
        f"unable to parse file: {reason}"
    )


def _file_params(item: JsonObject, path: str, config: JsonObject, *, go: bool) -> JsonObject:
    folder = posixpath.dirname(path) or "."
    params: Mapping[str, JsonValue] = item if go else flatten(item)
    return _path_params(params, folder, config, go=go, filename=posixpath.basename(path))


def _path_params(
    params: Mapping[str, JsonValue],
    folder: str,
    config: JsonObject,
    *,
    go: bool,
    filename: str = "",
) -> JsonObject:
    """Add ``path``; it displaces parameters of the same name that a file holds."""
    basename = posixpath.basename(folder)
    named = {"basename": basename, "basenameNormalized": sanitize(basename)}
    if filename:
        named |= {"filename": filename, "filenameNormalized": sanitize(filename)}
    segments = folder.split("/")
    prefix = config.get("pathParamPrefix", "")
    if go:
        path = {"path": folder, **named, "segments": StringList(segments)}
        return {**params, prefix: {"path": path}} if prefix else {**params, "path": path}
    key = f"{prefix}.path" if prefix else "path"
    flat: JsonObject = {**params, key: folder}
    flat |= {f"{key}.{name}": text for name, text in named.items()}
    flat |= {f"{key}[{index}]": part for index, part in enumerate(segments) if part}
    return flat
