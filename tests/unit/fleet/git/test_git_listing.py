"""Reading git's listings and blobs, and refusing what is unsafe or too big."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput, Denied
from fleet.git import listing
from fleet.model.world import EntryKind

SHA, OTHER, COMMIT = "a" * 40, "b" * 40, "c" * 40


def record(path: bytes, mode: bytes = b"100644", kind: bytes = b"blob", sha: str = SHA) -> bytes:
    return mode + b" " + kind + b" " + sha.encode() + b"\t" + path + b"\0"


def test_every_kind_is_read_and_sorted_by_path() -> None:
    output = b"".join(
        (
            record(b"z.yaml"),
            record(b"a", b"040000", b"tree"),
            record(b"a/run.sh", b"100755"),
            record(b"a.yaml"),
            record(b"link", b"120000"),
            record(b"module", b"160000", b"commit"),
            record('ä \t\n"q'.encode()),
        )
    )
    tree = listing.parse_tree(COMMIT, OTHER, output)
    assert [(entry.path, entry.kind) for entry in tree.entries] == [
        ("a", EntryKind.DIRECTORY),
        ("a.yaml", EntryKind.FILE),
        ("a/run.sh", EntryKind.EXECUTABLE),
        ("link", EntryKind.SYMLINK),
        ("module", EntryKind.SUBMODULE),
        ("z.yaml", EntryKind.FILE),
        ('ä \t\n"q', EntryKind.FILE),
    ]
    assert (tree.commit, tree.root) == (COMMIT, OTHER)


def test_unchanged_entries_are_shared_with_the_previous_listing() -> None:
    first = listing.parse_tree(COMMIT, OTHER, record(b"a") + record(b"b"))
    second = listing.parse_tree(OTHER, OTHER, record(b"a") + record(b"b", sha=OTHER), first)
    assert second.entries[0] is first.entries[0]
    assert second.entries[1].object == OTHER


@pytest.mark.parametrize(
    "path",
    [
        b"../x",
        b"a/../b",
        b"/x",
        b"a//b",
        b".",
        b".git/hooks/post-checkout",
        b"a/.GIT/config",
        b"GIT~1/x",
        ".g\u200cit/x".encode(),
    ],
)
def test_an_unsafe_path_is_refused(path: bytes) -> None:
    with pytest.raises(Denied, match="not safe"):
        listing.parse_tree(COMMIT, OTHER, record(path))


@pytest.mark.parametrize("path", [b".gitignore", b".github/x", b"a.git", b"git", b"...", b"~"])
def test_a_harmless_path_is_not(path: bytes) -> None:
    assert listing.parse_tree(COMMIT, OTHER, record(path)).entries[0].path == path.decode()


def test_a_path_that_is_not_utf8_stays_usable() -> None:
    assert listing.parse_tree(COMMIT, OTHER, record(b"caf\xe9")).entries[0].path == "caf\\xe9"
    with pytest.raises(BadInput, match="two paths"):
        listing.parse_tree(COMMIT, OTHER, record(b"caf\xe9") + record(b"caf\\xe9"))


def batch(*blobs: tuple[str, bytes]) -> bytes:
    return b"".join(b"%s blob %d\n%s\n" % (name.encode(), len(data), data) for name, data in blobs)


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 9))
def test_blobs_are_read_whatever_the_pieces(contents: list[bytes], step: int) -> None:
    wanted = {f"{index:040x}": data for index, data in enumerate(contents)}
    reader = listing.BlobReader(wanted, each=50, total=300)
    output = batch(*wanted.items())
    for start in range(0, len(output), step):
        reader(output[start : start + step])
    assert reader.blobs == wanted
    assert reader.complete


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [((10,), True), ((11,), False), ((10, 10, 5), True), ((10, 10, 6), False)],
    ids=["at limit", "over limit", "total at limit", "total over limit"],
)
def test_size_limits_hold_at_the_byte(sizes: tuple[int, ...], fits: bool) -> None:
    names = [f"{index:040x}" for index in range(len(sizes))]
    reader = listing.BlobReader(names, each=10, total=25)
    output = batch(*((name, b"x" * size) for name, size in zip(names, sizes, strict=True)))
    if fits:
        reader(output)
        assert reader.complete
    else:
        with pytest.raises(BadInput, match="limit"):
            reader(output)


def test_a_size_limit_is_enforced_before_the_content_comes() -> None:
    with pytest.raises(BadInput, match="999999999999 bytes"):
        listing.BlobReader([SHA], each=10, total=10)(f"{SHA} blob 999999999999\n".encode())


def test_missing_objects_and_other_kinds_are_told_apart() -> None:
    reader = listing.BlobReader([SHA], each=10, total=10)
    reader(f"{SHA} missing\n".encode())
    assert reader.missing == [SHA]
    with pytest.raises(BadInput, match="is a tree"):
        listing.BlobReader([SHA], each=10, total=10)(f"{SHA} tree 3\n".encode())
