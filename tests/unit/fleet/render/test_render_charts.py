"""Chart archives, what a chart can see, and what it lacks."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from fleet.errors import BadInput
from fleet.render import chart
from fleet.render.archive import read_chart
from fleet.testing.sources import packed_chart


def archive(*members: tuple[str, bytes, dict[str, object]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data, attributes in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue())


CHART: tuple[str, bytes, dict[str, object]] = ("web/Chart.yaml", b"name: web", {})


def test_archive_is_read_without_its_top_folder() -> None:
    assert read_chart(packed_chart({"Chart.yaml": "name: web", "templates/a.yaml": "x"})) == {
        "Chart.yaml": b"name: web",
        "templates/a.yaml": b"x",
    }


@pytest.mark.parametrize(
    "member",
    [
        ("../../.bashrc", b"x", {}),
        ("web/../../x", b"x", {}),
        ("/etc/x", b"x", {}),
        ("web/./x", b"x", {}),
        ("web//x", b"x", {}),
        ("web\\..\\x", b"x", {}),
        ("web/link", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("web/hard", b"", {"type": tarfile.LNKTYPE, "linkname": "web/Chart.yaml"}),
        ("web/device", b"", {"type": tarfile.CHRTYPE}),
        ("web/pipe", b"", {"type": tarfile.FIFOTYPE}),
        ("web/setuid", b"x", {"mode": 0o4755}),
    ],
    ids=lambda member: member[0],
)
def test_archive_with_a_dangerous_member_is_refused(
    member: tuple[str, bytes, dict[str, object]],
) -> None:
    with pytest.raises(BadInput, match="chart archive"):
        read_chart(archive(CHART, member))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not gzip", "not gzip"),
        (archive(CHART)[:-20], "cut off|cannot be read"),
        (gzip.compress(b"not a tar" * 100), "cannot be read|exactly one chart"),
        (archive(("web/values.yaml", b"", {})), "exactly one chart"),
        (archive(CHART, ("other/Chart.yaml", b"", {})), "exactly one chart"),
    ],
    ids=["plain", "cut", "no tar", "no Chart.yaml", "two charts"],
)
def test_archive_that_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_chart(data)


def test_archive_is_bounded_in_bytes_and_members() -> None:
    bomb = archive(CHART, ("web/zeros", bytes(3_000_000), {}))
    with pytest.raises(BadInput, match="larger than 1000000 bytes unpacked"):
        read_chart(bomb, max_bytes=1_000_000)
    many = archive(CHART, *((f"web/{n}", b"", {}) for n in range(20)))
    with pytest.raises(BadInput, match="more than 10 members"):
        read_chart(many, max_members=10)


@pytest.mark.parametrize(
    ("path", "essential"),
    [
        ("Chart.yaml", True), ("values.yaml", True), ("templates/deep/a.yaml", True), ("crds/a.yaml", True),
        ("values.schema.json", True), (".helmignore", True), ("charts/redis/templates/a.yaml", True),
        ("charts/redis-1.0.tgz", True), ("charts/a/charts/b/values.yaml", True), ("README.md", False),
        ("values-prod.yaml", False), ("ci/test.yaml", False), ("files/x", False), ("charts/redis/README.md", False),
    ],
)  # fmt: skip
def test_files_that_helm_loads(path: str, *, essential: bool) -> None:
    assert chart.is_essential(path) is essential


NOTHING = chart.Mentions(
    files=False, kube_version=False, api_versions=False, release_name=False, release_namespace=False
)


@pytest.mark.parametrize(
    ("texts", "values", "seen"),
    [
        ({"templates/a": b"x: {{ .Values.a }}"}, [b"Capabilities Release Files"], set()),
        ({"templates/a": b"{{ .Capabilities.KubeVersion }}"}, [], {"kube_version"}),
        ({"templates/a": b'{{ .Capabilities.APIVersions.Has "x" }}'}, [], {"kube_version", "api_versions"}),
        ({"templates/a": b'{{ lookup "v1" }}'}, [], {"kube_version", "api_versions"}),
        ({"Chart.yaml": b"kubeVersion: '>=1.20'"}, [], {"kube_version"}),
        ({"charts/x/Chart.yaml": b"kubeVersion: '>=1.20'"}, [], {"kube_version"}),
        ({"templates/a": b'{{ .Files.Get "x" }}'}, [], {"files"}),
        ({"templates/a": b"{{ .Release.Name }}"}, [], {"release_name"}),
        ({"templates/a": b"{{ .Release.Namespace }}"}, [], {"release_name", "release_namespace"}),
        ({"templates/a": b"{{ with .Release }}{{ .Namespace }}"}, [], {"release_name", "release_namespace"}),
        ({"templates/a": b"{{ tpl .Values.a . }}"}, [b"{{ .Release.Name }}"], {"release_name"}),
        ({"templates/a": b"{{ tpl .Values.a . }}", "values.yaml": b"{{ .Capabilities }}"}, [], {"kube_version"}),
        ({"templates/a": b"x", "values.yaml": b"{{ .Capabilities }}"}, [], set()),
        ({"charts/sub/templates/a": b"{{ .Release.Name }}"}, [], {"release_name"}),
    ],
)  # fmt: skip
def test_what_templates_can_see(
    texts: dict[str, bytes], values: list[bytes], seen: set[str]
) -> None:
    found = chart.mentions(texts, values)
    assert {name for name in NOTHING.__dataclass_fields__ if getattr(found, name)} == seen


def test_packed_subcharts_are_looked_into() -> None:
    inner = packed_chart(
        {"Chart.yaml": "name: inner", "templates/a.yaml": "{{ .Capabilities }}"}, top="inner"
    )
    assert chart.mentions({"charts/inner-1.tgz": inner}, []).kube_version


@pytest.mark.parametrize("name", ["../../x", ".", "..", "a/b", "", "-flag"])
def test_chart_name_that_is_a_path_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="is not allowed") as caught:
        chart.metadata({"Chart.yaml": f"name: '{name}'".encode()}, "c/Chart.yaml")
    assert caught.value.where.file == "c/Chart.yaml"


def test_missing_dependencies_are_those_not_in_charts() -> None:
    texts = {
        "Chart.yaml": b"name: web\ndependencies:\n- {name: a}\n- {name: b}\n- {name: c, version: ^1, repository: 'https://x'}\n",
        "Chart.lock": b"dependencies:\n- {name: c, version: 1.4.2}\n",
        "charts/dir/Chart.yaml": b"name: a",
        "charts/b-1.tgz": packed_chart({"Chart.yaml": "name: b"}, top="b"),
    }
    (missing,) = chart.metadata(texts, "Chart.yaml").missing
    assert (missing.name, missing.version, missing.repository, missing.locked) == (
        "c", "^1", "https://x", "1.4.2",
    )  # fmt: skip
