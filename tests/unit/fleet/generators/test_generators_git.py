"""The git generator over trees: links, globs in both dialects, files that cannot be used."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import BadInput
from fleet.generators import Failed, Generated
from fleet.generators.fileglobs import select_files
from fleet.generators.listing import listing_of
from fleet.model.appset import ApplicationSet
from fleet.model.world import EntryKind, FileGlobs, Tree, TreeEntry, World

MakeSet = Callable[..., ApplicationSet]
Settle = Callable[..., Generated | Failed]

FILES_TEMPLATE = """
metadata: {name: '{{.name}}', annotations: {p: '{{.path.path}}/{{.path.filename}}'}}
spec: {project: default, destination: {name: in-cluster}}
"""


def files_set(make_set: MakeSet, *patterns: str, project: str = "default") -> ApplicationSet:
    items = ", ".join(f"{{path: '{pattern}'}}" for pattern in patterns)
    return make_set(
        f"[{{git: {{repoURL: 'https://git.example.com/cfg.git', revision: main, files: [{items}]}}}}]",
        FILES_TEMPLATE.replace("project: default", f"project: '{project}'"),
    )


def made(result: Generated | Failed) -> dict[str, str]:
    assert isinstance(result, Generated), result
    return {item.name: item.annotations["p"] for item in result.applications}


def failure(result: Generated | Failed) -> str:
    assert isinstance(result, Failed), result
    return result.errors[0].message


def test_links_are_followed_inside_the_repository_only(make_set: MakeSet, settle: Settle) -> None:
    files = {"real/a.yaml": "name: a", "real/b.yaml": "name: b"}
    links = {
        "conf/link.yaml": "../real/a.yaml",
        "conf/twice.yaml": "link2.yaml",
        "conf/link2.yaml": "../real/b.yaml",
        "conf/out.yaml": "../../etc/passwd",
        "conf/absolute.yaml": "/etc/passwd",
        "conf/nowhere.yaml": "../real/none.yaml",
        "conf/round.yaml": "round.yaml",
        "conf/folder.yaml": "../real",
    }
    result = settle(
        files_set(make_set, "conf/link.yaml", "conf/[tonarf]*.yaml"), World(), files, links=links
    )
    assert made(result) == {"a": "conf/link.yaml", "b": "conf/twice.yaml"}


def test_a_linked_folder_on_the_way_is_no_folder_of_the_listing(
    make_set: MakeSet, settle: Settle
) -> None:
    result = settle(
        files_set(make_set, "linked/a.yaml"),
        World(),
        {"real/a.yaml": "name: a"},
        links={"linked": "real"},
    )
    assert made(result) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{{{", "unable to parse file: not valid YAML|unable to parse file: .*"),
        ("text", "unable to parse file: it is neither an object nor a list of objects"),
        ("[1]", "unable to parse file: it is neither an object nor a list of objects"),
        ("a: .inf", "unable to parse file: .*has no form in JSON"),
    ],
)
def test_files_that_cannot_be_used(
    make_set: MakeSet, settle: Settle, content: str, message: str
) -> None:
    text = failure(settle(files_set(make_set, "*.yaml"), World(), {"x.yaml": content}))
    assert text.startswith(
        "error generating params from git: unable to process file 'x.yaml' "
        "from repository 'https://git.example.com/cfg.git': "
    )
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(text)


def test_an_unknown_project_is_told_before_anything_is_fetched(
    make_set: MakeSet, settle: Settle
) -> None:
    result = settle(files_set(make_set, "*.yaml", project="ghost"), World(), {})
    assert failure(result) == "error getting project ghost: it does not exist"


def test_a_templated_project_is_judged_later(make_set: MakeSet, settle: Settle) -> None:
    result = settle(
        files_set(make_set, "*.yaml", project="{{.team}}"),
        World(),
        {"x.yaml": "{name: a, team: ghost}"},
    )
    assert isinstance(result, Generated)
    assert result.errors[0].message == "application references project ghost which does not exist"


def test_doublestar_is_a_setting_of_the_world(make_set: MakeSet, settle: Settle) -> None:
    files = {"a/x.yaml": "name: deep", "x.yaml": "name: top"}
    appset = files_set(make_set, "*.yaml")
    assert list(made(settle(appset, World(), files))) == ["deep", "top"]
    doublestar = World(file_globs=FileGlobs.DOUBLESTAR)
    assert list(made(settle(appset, doublestar, files))) == ["top"]


def test_submodules_are_folders(make_set: MakeSet) -> None:
    tree = Tree(
        commit="c",
        root="r",
        entries=(
            TreeEntry("apps", EntryKind.DIRECTORY, "t"),
            TreeEntry("apps/.hidden", EntryKind.DIRECTORY, "t"),
            TreeEntry("apps/.hidden/in", EntryKind.DIRECTORY, "t"),
            TreeEntry("apps/b", EntryKind.DIRECTORY, "t"),
            TreeEntry("apps/b-c", EntryKind.DIRECTORY, "t"),
            TreeEntry("apps/b/x", EntryKind.DIRECTORY, "t"),
            TreeEntry("apps/sub", EntryKind.SUBMODULE, "s"),
        ),
    )
    assert listing_of(tree).folders == ("apps", "apps/b", "apps/b/x", "apps/b-c", "apps/sub")
    assert listing_of(tree) is listing_of(tree)
    assert listing_of(replace(tree)) == listing_of(tree)


PATHS = (
    ".hidden/a.yaml",
    "README.md",
    "a.yaml",
    "apps/a.yaml",
    "apps/b.json",
    "apps/b/c.yaml",
    "apps/b/d/e.yaml",
    "apps/b[1].yaml",
    "apps-x/a.yaml",
    "apps/star*.yaml",
)

PATTERNS = [
    "*.yaml",
    "**/*.yaml",
    "apps",
    "apps/",
    "apps/*",
    "apps/*/",
    "apps/b",
    "apps/b/*",
    "apps/*.yaml",
    "apps/**",
    "**",
    "*",
    ".",
    "./apps/a.yaml",
    "apps//a.yaml",
    "apps/?.yaml",
    "apps?x/*",
    "apps/[ab].*",
    "apps/[!a].*",
    "apps/[^a].*",
    "apps/[[:alpha:]].yaml",
    "apps/b[1].yaml",
    "apps/b\\[1\\].yaml",
    "apps/star\\*.yaml",
    "apps/[a-c]*",
    "apps/[",
    "*b*",
    "none/*",
    "a.yaml/",
    "*/",
    "app*/a.yaml",
]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real repository with all the paths in its index."""
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for path in PATHS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x: 1\n")
    subprocess.run(["git", "-C", str(folder), "add", "-A"], check=True)
    return folder


def listing_for(paths: tuple[str, ...]) -> Tree:
    return Tree(
        commit="c",
        root="r",
        entries=tuple(TreeEntry(path, EntryKind.FILE, "b") for path in sorted(paths)),
    )


@pytest.mark.parametrize("pattern", PATTERNS)
def test_legacy_patterns_mean_what_git_says(repository: Path, pattern: str) -> None:
    command = ["git", "-C", str(repository), "ls-files", "-z", "--", pattern]
    output = subprocess.run(command, check=True, capture_output=True).stdout.decode()
    expected = sorted(path for path in output.split("\0") if path)
    assert select_files(listing_of(listing_for(PATHS)), pattern, FileGlobs.LEGACY) == expected


@pytest.mark.parametrize("pattern", ["", "../x", "/etc/*", "a/../../x", ":(exclude)a"])
@pytest.mark.parametrize("dialect", list(FileGlobs))
def test_patterns_that_leave_the_repository(pattern: str, dialect: FileGlobs) -> None:
    listing = listing_of(listing_for(PATHS))
    if pattern.startswith(":") and dialect is FileGlobs.DOUBLESTAR:
        assert select_files(listing, pattern, dialect) == []
        return
    with pytest.raises(BadInput):
        select_files(listing, pattern, dialect)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.yaml", ["a.yaml"]),
        ("**/*.yaml", [path for path in sorted(PATHS) if path.endswith(".yaml")]),
        ("apps/**", [path for path in sorted(PATHS) if path.startswith("apps/")]),
        ("**", sorted(PATHS)),
        ("apps/**/e.yaml", ["apps/b/d/e.yaml"]),
        ("apps/**/a.yaml", ["apps/a.yaml"]),
        ("apps/b**", ["apps/b.json", "apps/b[1].yaml"]),
        ("apps/{a,b/c}.yaml", ["apps/a.yaml", "apps/b/c.yaml"]),
        ("apps/[a-b].*", ["apps/a.yaml", "apps/b.json"]),
        ("apps/[!a].*", ["apps/b.json"]),
        ("apps", []),
        ("apps/?.yaml", ["apps/a.yaml"]),
        ("{apps,apps-x}/a.yaml", ["apps-x/a.yaml", "apps/a.yaml"]),
        ("apps/star\\*.yaml", ["apps/star*.yaml"]),
        ("none/**", []),
    ],
)
def test_doublestar_patterns(pattern: str, expected: list[str]) -> None:
    assert select_files(listing_of(listing_for(PATHS)), pattern, FileGlobs.DOUBLESTAR) == expected


@pytest.mark.parametrize("pattern", ["apps/[a", "apps/{a"])
def test_malformed_doublestar_patterns(pattern: str) -> None:
    with pytest.raises(BadInput, match="malformed"):
        select_files(listing_of(listing_for(PATHS)), pattern, FileGlobs.DOUBLESTAR)
