"""Charts from Helm repositories and OCI registries, friendly and hostile ones."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.codec import canonical, yamldoc
from fleet.errors import BadInput, Corrupt, Denied, FleetError, Transient
from fleet.fetch import chartindex, helmrepo
from fleet.fetch.archive import read_tgz
from fleet.fetch.helmrepo import ChartRepositories
from fleet.fetch.settings import ChartAccess, ChartSettings, FetchLimits
from fleet.testing.charts import Behaviour, ChartServer
from fleet.testing.clock import FakeClock

CANARY = "canary-s3cret"
Open = Callable[..., ChartRepositories]


class SleeplessClock(FakeClock):
    """Time passes at once when somebody sleeps."""

    async def sleep(self, seconds: float) -> None:
        self._elapsed += seconds


@pytest.fixture
def clock() -> SleeplessClock:
    return SleeplessClock()


@pytest.fixture
async def server() -> AsyncIterator[ChartServer]:
    async with ChartServer() as started:
        for version in ("1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "1.3.0+build.5"):
            started.add("web", version)
        yield started


@pytest.fixture
async def open_charts(tmp_path: Path, clock: SleeplessClock) -> AsyncIterator[Open]:
    opened: list[ChartRepositories] = []

    def build(**changes: object) -> ChartRepositories:
        settings = ChartSettings(state=tmp_path / "charts", allow_http=True, allow_loopback=True)
        settings = replace(settings, **changes)  # type: ignore[arg-type]  # test rows name fields
        opened.append(ChartRepositories(settings, clock=clock))
        return opened[-1]

    yield build
    for charts in opened:
        await charts.close()


def access(tmp_path: Path, prefix: str, *, pass_credentials: bool = False) -> ChartAccess:
    (tmp_path / "user").write_text("robot\n")
    (tmp_path / "password").write_text(f"{CANARY}\n")
    return ChartAccess(
        url_prefix=prefix,
        username_file=tmp_path / "user",
        password_file=tmp_path / "password",
        pass_credentials=pass_credentials,
    )


def source(server: ChartServer, form: str) -> str:
    return {
        "helm": server.repository,
        "oci": server.registry,
        "oci without scheme": server.registry.removeprefix("oci://"),
    }[form]


FORMS = ["helm", "oci", "oci without scheme"]
CHOICES = [
    ("1.2.0", "1.2.0"),
    ("1.x", "1.10.0"),
    ("^1.0.0 <1.10", "1.3.0+build.5"),
    ("", "1.10.0"),
    ("*", "1.10.0"),
    (">=1.0.0-0", "2.0.0-rc.1"),
    ("1.3.0+build.5", "1.3.0+build.5"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("wanted", "version"), CHOICES, ids=[repr(row[0]) for row in CHOICES])
async def test_a_version_is_chosen_and_its_archive_fetched(
    server: ChartServer, open_charts: Open, form: str, wanted: str, version: str
) -> None:
    charts = open_charts()
    found = await charts.resolve(source(server, form), "web", wanted)
    data = await charts.chart(source(server, form), "web", found.version)
    assert found.version == version
    assert found.digest == canonical.digest_bytes(data)
    assert yamldoc.load_one(read_tgz(data)["web/Chart.yaml"])["version"] == version


@pytest.mark.parametrize("form", FORMS)
async def test_what_is_not_there_says_so(server: ChartServer, open_charts: Open, form: str) -> None:
    charts = open_charts()
    with pytest.raises(BadInput, match=r"no version '9\.x'.*newest: 2\.0\.0-rc\.1"):
        await charts.resolve(source(server, form), "web", "9.x")
    with pytest.raises(BadInput):
        await charts.resolve(source(server, form), "other", "1.x")
    with pytest.raises(BadInput, match="not a version"):
        await charts.resolve(source(server, form), "web", "latest-ish")
    for name in ("..", "../../x", "a/../b", "", "a b", "-x"):
        with pytest.raises(FleetError):
            await charts.resolve(source(server, form), name, "1.0.0")


@pytest.mark.parametrize("form", FORMS)
async def test_an_address_is_asked_once_by_a_hundred_users(
    server: ChartServer, open_charts: Open, clock: SleeplessClock, form: str
) -> None:
    charts = open_charts()
    await asyncio.gather(*(charts.chart(source(server, form), "web", "1.2.0") for _ in range(100)))
    assert len(server.requests) == 2
    await charts.resolve(source(server, form), "web", "1.x")
    before = len(server.requests)
    await clock.advance(61)
    await charts.resolve(source(server, form), "web", "1.x")
    assert len(server.requests) > before


async def test_an_unchanged_index_is_not_sent_again_and_a_new_one_is_seen(
    server: ChartServer, open_charts: Open, clock: SleeplessClock
) -> None:
    charts = open_charts()
    assert (await charts.resolve(server.repository, "web", "1.x")).version == "1.10.0"
    await clock.advance(61)
    assert (await charts.resolve(server.repository, "web", "1.x")).version == "1.10.0"
    server.add("web", "1.11.0")
    assert (await charts.resolve(server.repository, "web", "1.x")).version == "1.10.0"
    await clock.advance(61)
    assert (await charts.resolve(server.repository, "web", "1.x")).version == "1.11.0"


@pytest.mark.parametrize("form", FORMS)
async def test_a_failure_is_shared_for_a_while_and_then_asked_again(
    server: ChartServer, open_charts: Open, clock: SleeplessClock, form: str
) -> None:
    charts = open_charts()
    server.behaviour.failures = [(500, {})] * 3
    for _ in range(5):
        with pytest.raises(Transient, match="answers 500"):
            await charts.resolve(source(server, form), "web", "1.2.0")
    assert len(server.requests) == 3
    await clock.advance(16)
    assert (await charts.resolve(source(server, form), "web", "1.2.0")).version == "1.2.0"


@pytest.mark.parametrize("form", FORMS)
async def test_a_chart_that_was_fetched_once_survives_the_repository(
    server: ChartServer, open_charts: Open, form: str
) -> None:
    first = await open_charts().chart(source(server, form), "web", "1.2.0")
    asked = len([path for path in server.paths() if "tgz" in path or "/blobs/" in path])
    assert await open_charts().chart(source(server, form), "web", "1.2.0") == first
    assert len([path for path in server.paths() if "tgz" in path or "/blobs/" in path]) == asked


async def test_a_kept_chart_that_was_changed_on_disk_is_fetched_again(
    tmp_path: Path, server: ChartServer, open_charts: Open
) -> None:
    charts = open_charts()
    data = await charts.chart(server.repository, "web", "1.2.0")
    (path,) = (tmp_path / "charts").iterdir()
    path.write_bytes(b"evil")
    assert await charts.chart(server.repository, "web", "1.2.0") == data


async def test_kept_charts_stay_below_their_limit(
    tmp_path: Path, server: ChartServer, open_charts: Open
) -> None:
    charts = open_charts(limits=FetchLimits(cache_bytes=1))
    for version in ("1.0.0", "1.2.0", "1.10.0"):
        await charts.chart(server.repository, "web", version)
    assert len(list((tmp_path / "charts").iterdir())) == 1


@pytest.mark.parametrize("form", FORMS)
async def test_other_bytes_than_the_digest_names_are_refused(
    tmp_path: Path, server: ChartServer, open_charts: Open, form: str
) -> None:
    server.add_archive("web", "1.4.0", b"good", served=b"evil")
    with pytest.raises(Corrupt, match="does not match the digest"):
        await open_charts().chart(source(server, form), "web", "1.4.0")
    assert not (tmp_path / "charts").exists() or not list((tmp_path / "charts").iterdir())


async def test_an_index_without_digests_is_named_by_the_bytes(
    server: ChartServer, open_charts: Open
) -> None:
    server.behaviour.digests = False
    charts = open_charts()
    found = await charts.resolve(server.repository, "web", "1.2.0")
    data = await charts.chart(server.repository, "web", "1.2.0")
    assert found.digest == canonical.digest_bytes(data)
    assert server.paths().count("/charts/web-1.2.0.tgz") == 1


async def test_an_index_may_point_into_a_registry(server: ChartServer, open_charts: Open) -> None:
    server.behaviour.chart_url = f"{server.registry}/web:1.2.0"
    assert await open_charts().chart(server.repository, "web", "1.2.0")
    assert any("/manifests/1.2.0" in path for path in server.paths())


async def test_an_archive_on_another_host_gets_no_credentials(
    tmp_path: Path, server: ChartServer, open_charts: Open
) -> None:
    async with ChartServer() as other:
        other.add("web", "1.2.0")
        server.behaviour.chart_url = f"{other.repository}/{{file}}"
        server.behaviour.username, server.behaviour.password = "robot", CANARY
        row = access(tmp_path, server.address)
        await open_charts(access=(row,)).chart(server.repository, "web", "1.2.0")
        assert [request.authorization for request in other.requests] == [""]
        row = access(tmp_path, server.address, pass_credentials=True)
        charts = open_charts(access=(row,), state=tmp_path / "second")
        await charts.chart(server.repository, "web", "1.2.0")
        assert other.requests[-1].authorization.startswith("Basic ")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/x.tgz",
        "file:///etc/passwd",
        "https://user:pw@example.com/x.tgz",
        "//metadata.google.internal/x",
        "oci://169.254.169.254/a/b:1.0.0",
        "oci://x",
    ],
)
async def test_an_index_that_points_somewhere_bad_is_refused(
    server: ChartServer, open_charts: Open, url: str
) -> None:
    server.behaviour.chart_url = url
    with pytest.raises(Denied):
        await open_charts().chart(server.repository, "web", "1.2.0")


async def test_basic_credentials_open_both_forms(
    tmp_path: Path, server: ChartServer, open_charts: Open
) -> None:
    server.behaviour.username, server.behaviour.password = "robot", CANARY
    rows = (access(tmp_path, server.repository), access(tmp_path, server.registry))
    charts = open_charts(access=rows)
    for form in FORMS:
        found = await charts.resolve(source(server, form), "web", "1.2.0")
        assert found.version == "1.2.0"
    without = open_charts()
    for form in FORMS:
        with pytest.raises(Denied, match="refused the credentials"):
            await without.resolve(source(server, form), "web", "1.2.0")


async def test_a_registry_token_is_fetched_with_our_own_scope(
    tmp_path: Path, server: ChartServer, open_charts: Open
) -> None:
    server.behaviour = Behaviour(username="robot", password=CANARY, token_realm="self")
    charts = open_charts(access=(access(tmp_path, server.registry),))
    await charts.chart(server.registry, "web", "1.2.0")
    tokens = [request for request in server.requests if request.path == "/token"]
    assert len(tokens) == 1
    assert "scope=repository:team/web:pull" in unquote(tokens[0].query)
    assert "everything" not in tokens[0].query


async def test_a_token_realm_on_another_host_gets_nothing(
    tmp_path: Path, server: ChartServer, open_charts: Open
) -> None:
    async with ChartServer() as other:
        server.behaviour = Behaviour(
            username="robot", password=CANARY, token_realm=f"{other.address}/token"
        )
        charts = open_charts(access=(access(tmp_path, server.registry),))
        with pytest.raises(Denied, match="token of another host"):
            await charts.resolve(server.registry, "web", "1.2.0")
        assert other.requests == []


async def test_a_blob_on_another_host_gets_no_token(
    tmp_path: Path, server: ChartServer, open_charts: Open
) -> None:
    async with ChartServer() as other:
        server.behaviour = Behaviour(username="robot", password=CANARY, token_realm="self")
        data = other.add("web", "1.2.0")
        blob = f"/v2/team/web/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
        server.behaviour.redirect = {blob: f"{other.address}{blob}"}
        charts = open_charts(access=(access(tmp_path, server.registry),))
        assert await charts.chart(server.registry, "web", "1.2.0") == data
        assert [request.authorization for request in other.requests] == [""]


async def test_tags_come_in_pages(server: ChartServer, open_charts: Open) -> None:
    server.behaviour.page_size = 2
    assert (await open_charts().resolve(server.registry, "web", "1.x")).version == "1.10.0"
    limited = open_charts(limits=FetchLimits(tags=4))
    with pytest.raises(BadInput, match="more than 4 tags"):
        await limited.resolve(server.registry, "web", "1.x")


MANIFESTS = {
    "not json": b"<html>",
    "a list": b"[]",
    "an image": b'{"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}]}',
    "layers of another shape": b'{"layers": {"a": 1}}',
    "null layers": b'{"layers": null}',
    "digest of another kind": b'{"layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": "../../x"}]}',
    "too large": b'{"layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": "sha256:%s", "size": 99999999999}]}'
    % (b"a" * 64),
}


@pytest.mark.parametrize("name", MANIFESTS)
async def test_a_bad_manifest_is_bad_input(
    server: ChartServer, open_charts: Open, name: str
) -> None:
    server.set_manifest("web", "7.0.0", MANIFESTS[name])
    with pytest.raises(BadInput):
        await open_charts().resolve(server.registry, "web", "7.0.0")


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"entries: 1",
        b"a: [",
        b"<html></html>",
        b"entries:\n" + b"  a: &a [*a]",
        b"\xff\xfe\x00",
    ],
)
async def test_a_bad_index_is_bad_input(
    server: ChartServer, open_charts: Open, index: bytes
) -> None:
    server.raw_index = index
    with pytest.raises(BadInput):
        await open_charts().resolve(server.repository, "web", "1.2.0")


async def test_an_index_over_the_limit_is_cut(server: ChartServer, open_charts: Open) -> None:
    server.raw_index = b"# " + b"x" * 10_000
    with pytest.raises(BadInput, match="larger than 9999 bytes"):
        await open_charts(limits=FetchLimits(index_bytes=9_999)).resolve(
            server.repository, "web", "1.2.0"
        )


async def test_a_big_index_is_read_in_a_child(
    server: ChartServer, open_charts: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helmrepo, "_INLINE_BYTES", 10)
    charts = open_charts()
    assert (await charts.resolve(server.repository, "web", "1.x")).version == "1.10.0"
    server.raw_index = b"a: [" + b" " * 100
    with pytest.raises(BadInput, match="not valid YAML"):
        await open_charts(index_age=timedelta()).resolve(server.repository, "web", "1.x")


def test_entries_that_make_no_sense_are_left_out() -> None:
    rows = [
        {"version": "1.0.0", "urls": ["a.tgz"], "digest": "A" * 64},
        {"version": "1.1.0", "urls": ["b.tgz"], "digest": "sha256:" + "b" * 64},
        {"version": "1.1.0", "urls": ["again.tgz"]},
        {"version": 1.2, "urls": ["c.tgz"], "digest": 5},
        {"version": "not one", "urls": ["d.tgz"]},
        {"version": "1.3.0", "urls": []},
        {"version": "1.4.0", "urls": [None]},
        {"version": None},
        "text",
        None,
    ]
    index = chartindex.parse_index(
        yamldoc.dump({"entries": {"web": rows, "..": rows, "x": 1}}).encode()
    )
    assert list(index) == ["web"]
    assert [(row.version, row.digest[:8], row.url) for row in index["web"]] == [
        ("1.2", "", "c.tgz"),
        ("1.1.0", "sha256:b", "b.tgz"),
        ("1.0.0", "sha256:a", "a.tgz"),
    ]
    assert (
        chartindex.decode(canonical.decode(canonical.canonical_bytes(chartindex.encode(index))))
        == index
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["version", "urls", "digest", "entries", "web"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_index_is_read_or_refused(value: object) -> None:
    for shaped in (
        value,
        {"entries": value},
        {"entries": {"web": value}},
        {"entries": {"web": [value]}},
    ):
        try:
            chartindex.parse_index(canonical.canonical_bytes(shaped))
        except BadInput:
            continue
