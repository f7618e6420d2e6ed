"""Paths of a repository: what leaves it is refused whatever its spelling, what stays in is found."""

from __future__ import annotations

import pytest

from fleet.errors import BadInput, Denied, Where
from fleet.model.world import EntryKind, Tree, TreeEntry
from fleet.render.inputs import Repository, still_true
from fleet.render.snapshot import Snapshot


def snapshot(files: dict[str, str], links: dict[str, str] | None = None) -> Snapshot:
    entries = {}
    for path in (*files, *(links or {})):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            entries[folder] = TreeEntry(folder, EntryKind.DIRECTORY, f"tree of {folder}")
    for path, content in files.items():
        entries[path] = TreeEntry(path, EntryKind.FILE, content)
    for path, target in (links or {}).items():
        entries[path] = TreeEntry(path, EntryKind.SYMLINK, f"-> {target}")
    tree = Tree(commit="c", root="r", entries=tuple(entries[p] for p in sorted(entries)))
    targets = {f"-> {target}": target.encode() for target in (links or {}).values()}
    return Snapshot("https://git.example.com/a.git", tree, targets)


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("../../etc/passwd", "apps"),
        ("..", ""),
        ("/etc/passwd", ""),
        ("//etc/passwd", ""),
        ("charts/../../..", ""),
        ("charts/%2e%2e/%2e%2e", ""),
        ("%252e%252e/x", ""),
        ("\uff0e\uff0e/x", ""),
        ("\u2025/x", ""),
        ("..\\..\\x", ""),
        ("charts\0/x", ""),
        ("charts/x\n", ""),
        ("missing/../../x", "apps/.."),
        ("%2Fetc%2Fpasswd", ""),
    ],
)
def test_path_that_leaves_is_denied_in_the_same_words(path: str, base: str) -> None:
    repository = snapshot({"apps/a.yaml": "a", "charts/b.yaml": "b"})
    with pytest.raises(Denied, match="is outside the repository"):
        repository.locate(path, base=base, where=Where())


@pytest.mark.parametrize(
    ("links", "path"),
    [
        ({"a.yaml": "/etc/passwd"}, "a.yaml"),
        ({"a.yaml": "../../x"}, "a.yaml"),
        ({"a": "b", "b": "c", "c": "../secret"}, "a"),
        ({"apps/up": "../.."}, "apps/up/x"),
        ({"apps/in": ".."}, "apps/in/../x"),
        ({"apps/gone": "missing/../../../../x"}, "apps/gone"),
    ],
    ids=["absolute", "relative", "chain of three", "directory", "dots after a link", "dangling"],
)
def test_link_that_leaves_is_denied(links: dict[str, str], path: str) -> None:
    repository = snapshot({"apps/a.txt": "a"}, links)
    with pytest.raises(Denied, match="is outside the repository"):
        repository.locate(path, base="", where=Where())


@pytest.mark.parametrize(
    ("path", "base", "real", "links"),
    [
        ("values.yaml", "", "values-2.yaml", ("values.yaml",)),
        ("../base/x.yaml", "apps", "base/x.yaml", ()),
        ("link/x.yaml", "apps", "base/x.yaml", ("apps/link",)),
        ("./a//b/../x.txt", "apps", "apps/a/x.txt", ()),
        ("", "apps", "apps", ()),
        (".", "", "", ()),
    ],
)
def test_path_that_stays_in_is_found_with_its_links(
    path: str, base: str, real: str, links: tuple[str, ...]
) -> None:
    repository = snapshot(
        {"values-2.yaml": "v", "base/x.yaml": "x", "apps/a/x.txt": "y", "apps/a/b/z": "z"},
        {"values.yaml": "./values-2.yaml", "apps/link": "../base"},
    )
    found = repository.locate(path, base=base, where=Where()).found
    assert found is not None
    assert (found.path, found.links) == (real, links)


def test_links_in_a_circle_end() -> None:
    repository = snapshot({}, {"a": "b", "b": "a"})
    with pytest.raises(BadInput, match="too many symbolic links"):
        repository.locate("a", base="", where=Where())


@pytest.mark.parametrize("path", ["nothing", "apps/a.yaml/x", "apps/nothing/x"])
def test_missing_path_is_none(path: str) -> None:
    assert snapshot({"apps/a.yaml": "a"}).locate(path, base="", where=Where()).found is None


def _repository(files: dict[str, str], links: dict[str, str] | None = None) -> Repository:
    async def read(url: str, objects: tuple[str, ...]) -> dict[str, bytes]:
        return {name: name.encode() for name in objects}

    return Repository(snapshot(files, links), read, "source")


def test_folder_holds_a_directory_with_the_links_in_it_followed() -> None:
    repository = _repository({"c/a": "1", "shared/b": "2", "other/x": "3"}, {"c/s": "../shared"})
    added = repository.add_below("c", want=lambda path: True, where=Where())
    assert [path for path, _ in added] == ["a", "s/b"]
    assert [file.path for file in repository.inputs()] == [
        "source/c/a",
        "source/c/s",
        "source/shared/b",
    ]


def test_directory_that_links_to_itself_is_refused() -> None:
    repository = _repository({"c/a": "1"}, {"c/self": "."})
    with pytest.raises(BadInput, match="form a circle"):
        repository.add_below("c", want=lambda path: True, where=Where())


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({"elsewhere/new": "9"}, True),
        ({"c/a": "changed"}, False),
        ({"c/optional": "here now"}, False),
        ({"l/new": "9"}, False),
    ],
    ids=["elsewhere", "a file that was added", "a file that was missed", "a listed directory"],
)
def test_facts_of_a_plan_tell_whether_it_still_holds(
    change: dict[str, str], *, holds: bool
) -> None:
    files = {"c/a": "1", "l/x": "2"}
    repository = _repository(files)
    found = repository.locate("c/a", where=Where())
    assert found is not None
    repository.add(found)
    assert repository.locate("c/optional", where=Where()) is None
    repository.children("l")
    changed = snapshot({**files, **change})
    if "l/new" in change:
        changed = snapshot({**files, **change})
        changed._entries["l"] = TreeEntry("l", EntryKind.DIRECTORY, "another tree")
    assert still_true(repository.facts, changed) is holds
