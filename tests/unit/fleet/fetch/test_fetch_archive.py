"""Archives: what is read, and what is refused as a whole."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput, Denied
from fleet.fetch import archive
from fleet.testing.charts import build_chart


def tgz(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=form) as out:
        for member, content in members:
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def member(
    name: str, change: Callable[[tarfile.TarInfo], object] = lambda _: None
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    change(info)
    return info


def kind(type_: bytes, linkname: str = "") -> Callable[[tarfile.TarInfo], object]:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = type_, linkname

    return change


def mode(value: int) -> Callable[[tarfile.TarInfo], object]:
    def change(info: tarfile.TarInfo) -> None:
        info.mode = value

    return change


def test_a_chart_is_read_sorted() -> None:
    data = build_chart("web", "1.0.0", {"values.yaml": "a: 1\n", "templates/x.yaml": "x"})
    files = archive.read_tgz(data)
    assert list(files) == ["web/Chart.yaml", "web/templates/x.yaml", "web/values.yaml"]
    assert files["web/values.yaml"] == b"a: 1\n"


def test_directories_and_a_leading_dot_are_harmless() -> None:
    data = tgz((member("./", kind(tarfile.DIRTYPE)), b""), (member("./web/a"), b"x"))
    assert archive.read_tgz(data) == {"web/a": b"x"}


HOSTILE = {
    "climbing": member("../../.bashrc"),
    "climbing inside": member("web/../../x"),
    "absolute": member("/etc/passwd"),
    "dot segment": member("web/./x"),
    "empty segment": member("web//x"),
    "backslash": member("web\\..\\x"),
    "drive": member("c:x"),
    "control": member("web/a\nb"),
    "bidi": member("web/a\u202eb"),
    "symlink": member("web/link", kind(tarfile.SYMTYPE, "/etc/passwd")),
    "symlink inside": member("web/link", kind(tarfile.SYMTYPE, "values.yaml")),
    "hardlink": member("web/link", kind(tarfile.LNKTYPE, "/etc/passwd")),
    "device": member("web/null", kind(tarfile.CHRTYPE)),
    "fifo": member("web/fifo", kind(tarfile.FIFOTYPE)),
    "sparse": member("web/sparse", kind(tarfile.GNUTYPE_SPARSE)),
    "setuid": member("web/run", mode(0o4755)),
    "long": member("web/" + "a/" * 600 + "x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_one_hostile_member_refuses_the_whole(name: str) -> None:
    data = tgz((member("web/good"), b"x"), (HOSTILE[name], b""))
    with pytest.raises(Denied, match="archive member"):
        archive.read_tgz(data)


def test_a_file_below_a_symlinked_folder_and_a_double_are_refused() -> None:
    below = tgz((member("web/d", kind(tarfile.SYMTYPE, "/tmp")), b""), (member("web/d/x"), b"x"))
    with pytest.raises(Denied):
        archive.read_tgz(below)
    with pytest.raises(Denied, match="twice"):
        archive.read_tgz(tgz((member("a"), b"1"), (member("a"), b"2")))


LIMITS = archive.ArchiveLimits(files=3, file_bytes=10, total_bytes=25)


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [
        ([10, 10, 5], True),
        ([11], False),
        ([10, 10, 6], False),
        ([0, 0, 0], True),
        ([0, 0, 0, 0], False),
    ],
    ids=["at both limits", "file over", "total over", "count at", "count over"],
)
def test_limits_hold_at_the_byte(sizes: list[int], fits: bool) -> None:
    data = tgz(*((member(f"f{index}"), b"x" * size) for index, size in enumerate(sizes)))
    if fits:
        assert len(archive.read_tgz(data, LIMITS)) == len(sizes)
    else:
        with pytest.raises(BadInput, match="more than"):
            archive.read_tgz(data, LIMITS)


@pytest.mark.parametrize(
    "type_", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"9"]
)
def test_a_bomb_is_stopped_while_it_unpacks(type_: bytes) -> None:
    info = tarfile.TarInfo("web/bomb")
    info.type, info.size = type_, 60_000_000
    bomb = gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"a" * info.size, compresslevel=1)
    limits = archive.ArchiveLimits(total_bytes=5_000_000, files=100)
    tracemalloc.start()
    with pytest.raises((BadInput, Denied)):
        archive.read_tgz(bomb, limits)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 30_000_000


def test_a_declared_size_is_not_believed() -> None:
    info = member("web/huge")
    info.size = 8 * 1024**3
    header = info.tobuf(tarfile.PAX_FORMAT)
    with pytest.raises(BadInput):
        archive.read_tgz(gzip.compress(header + b"x" * 512))


@given(st.binary(max_size=300))
def test_noise_is_bad_input(noise: bytes) -> None:
    for data in (noise, gzip.compress(noise), build_chart("a", "1.0.0")[: len(noise)]):
        try:
            archive.read_tgz(data)
        except (BadInput, Denied):
            continue
