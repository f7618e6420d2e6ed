"""Mirrors against real repositories over file://: revisions, moves, damage, crashes, limits."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.errors import BadInput, Denied, Transient
from fleet.git import command
from fleet.git.mirrors import Mirrors
from fleet.git.settings import GitLimits, GitSettings
from fleet.model.world import EntryKind
from fleet.testing.repos import Content, Executable, RepoBuilder, Symlink

Open = Callable[..., Mirrors]


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    builder = RepoBuilder(tmp_path / "served" / "fleet.git")
    builder.commit({"a.yaml": "a: 1\n", "apps/web/b.yaml": "b: 1\n"})
    return builder


@pytest.fixture
async def open_mirrors(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[Mirrors] = []

    def build(**changes: object) -> Mirrors:
        settings = GitSettings(state=tmp_path / "state", allow_file=True)
        opened.append(Mirrors(replace(settings, **changes)))  # type: ignore[arg-type]  # test rows name fields
        return opened[-1]

    yield build
    for mirrors in opened:
        await mirrors.close()


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first argument of each git process that was started."""
    seen: list[str] = []
    run = command.Git.run

    def counted(self: command.Git, call: command.Call) -> command.Finished:
        seen.append(call.arguments[0])
        return run(self, call)

    monkeypatch.setattr(command.Git, "run", counted)
    return seen


async def test_a_repository_is_cloned_listed_and_read(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    mirrors = open_mirrors()
    commit = await mirrors.resolve(repo.url, "")
    tree = await mirrors.tree(repo.url, commit)
    assert commit == repo.head()
    assert [(entry.path, entry.kind) for entry in tree.entries] == [
        ("a.yaml", EntryKind.FILE),
        ("apps", EntryKind.DIRECTORY),
        ("apps/web", EntryKind.DIRECTORY),
        ("apps/web/b.yaml", EntryKind.FILE),
    ]
    objects = [entry.object for entry in tree.entries if entry.kind is EntryKind.FILE]
    assert sorted((await mirrors.blobs(repo.url, [*objects, *objects])).values()) == [
        b"a: 1\n",
        b"b: 1\n",
    ]
    assert await mirrors.blobs(repo.url, []) == {}


async def test_a_hundred_resolves_and_listings_start_no_process(
    repo: RepoBuilder, open_mirrors: Open, spawned: list[str]
) -> None:
    mirrors = open_mirrors()
    repo.tag("v1.0.0", annotated=True)
    head = await mirrors.resolve(repo.url, "main")
    await mirrors.tree(repo.url, head)
    await mirrors.resolve(repo.url, head)
    spawned.clear()
    revisions = ["", "HEAD", "main", "v1.0.0", "1.*", head] * 20
    found = await asyncio.gather(*(mirrors.resolve(repo.url, each) for each in revisions))
    trees = await asyncio.gather(*(mirrors.tree(repo.url, head) for _ in range(100)))
    assert set(found) == {head}
    assert len({id(tree) for tree in trees}) == 1
    assert spawned == []


async def test_concurrent_first_uses_share_one_clone(
    repo: RepoBuilder, open_mirrors: Open, spawned: list[str]
) -> None:
    mirrors = open_mirrors()
    head = repo.head()
    spellings = [repo.url, repo.url.removesuffix(".git"), repo.url + "/"] * 5
    await asyncio.gather(*(mirrors.resolve(url, "main") for url in spellings))
    trees = await asyncio.gather(*(mirrors.tree(url, head) for url in spellings))
    assert spawned.count("fetch") == 1
    assert spawned.count("ls-tree") == 1
    assert len(trees) == 15
    assert len(mirrors.known()) == 1


async def test_concurrent_fetches_are_joined_and_never_miss_a_push(
    repo: RepoBuilder, open_mirrors: Open, spawned: list[str]
) -> None:
    mirrors = open_mirrors()
    await mirrors.fetch(repo.url)
    spawned.clear()
    running = asyncio.create_task(mirrors.fetch(repo.url))
    await asyncio.sleep(0)  # the first one has begun and may have read the refs already
    pushed = repo.commit({"a.yaml": "a: 2\n"})
    await asyncio.gather(running, *(mirrors.fetch(repo.url) for _ in range(10)))
    assert spawned.count("fetch") == 2
    assert await mirrors.resolve(repo.url, "main") == pushed


async def test_fetch_says_whether_refs_moved(repo: RepoBuilder, open_mirrors: Open) -> None:
    mirrors = open_mirrors()
    assert await mirrors.fetch(repo.url) is True
    assert await mirrors.fetch(repo.url) is False
    old, new = (
        repo.head(),
        repo.commit({"a.yaml": "a: 2\n", "apps/web/b.yaml": None, "ö.yaml": "x"}),
    )
    assert await mirrors.resolve(repo.url, "main") == old
    assert await mirrors.fetch(repo.url) is True
    assert await mirrors.resolve(repo.url, "main") == new
    assert await mirrors.changed_paths(repo.url, old, new) == (
        "a.yaml",
        "apps/web/b.yaml",
        "ö.yaml",
    )
    assert await mirrors.changed_paths(repo.url, new, new) == ()


async def test_a_force_push_is_followed_and_the_old_commit_stays(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    mirrors = open_mirrors()
    old = await mirrors.resolve(repo.url, "main")
    new = repo.commit({"c.yaml": "c: 1\n"}, orphan=True)
    assert await mirrors.fetch(repo.url) is True
    assert await mirrors.resolve(repo.url, "main") == new
    assert await mirrors.resolve(repo.url, old) == old
    assert (await mirrors.tree(repo.url, old)).entries[0].path == "a.yaml"
    assert await mirrors.changed_paths(repo.url, old, new) == (
        "a.yaml",
        "apps/web/b.yaml",
        "c.yaml",
    )


async def test_deleted_and_moved_refs_are_followed(repo: RepoBuilder, open_mirrors: Open) -> None:
    first, second = repo.head(), repo.commit({"a.yaml": "a: 2\n"})
    repo.branch("old")
    repo.tag("v1", first)
    repo.branch("nested")
    mirrors = open_mirrors()
    assert await mirrors.resolve(repo.url, "old") == second
    repo.delete("refs/heads/old")
    repo.delete("refs/heads/nested")
    repo.branch("nested/below")  # in the place of a branch of that name
    repo.tag("v1", second, annotated=True)
    await mirrors.fetch(repo.url)
    with pytest.raises(BadInput, match="'old': revision unknown"):
        await mirrors.resolve(repo.url, "old")
    assert await mirrors.resolve(repo.url, "v1") == second
    assert await mirrors.resolve(repo.url, "nested/below") == second
    assert (await mirrors.tree(repo.url, second)).commit == second


async def test_the_default_branch_is_the_remotes(repo: RepoBuilder, open_mirrors: Open) -> None:
    mirrors = open_mirrors()
    await mirrors.fetch(repo.url)
    other = repo.commit({"x": "y"}, branch="trunk")
    repo.set_default("trunk")
    assert await mirrors.fetch(repo.url) is True
    assert await mirrors.resolve(repo.url, "HEAD") == other


async def test_an_empty_repository_and_an_unborn_default_branch(
    tmp_path: Path, open_mirrors: Open
) -> None:
    empty = RepoBuilder(tmp_path / "served" / "empty.git")
    mirrors = open_mirrors()
    with pytest.raises(BadInput, match="'HEAD': revision unknown"):
        await mirrors.resolve(empty.url, "")
    commit = empty.commit({"a": "b"}, branch="other")
    await mirrors.fetch(empty.url)
    assert await mirrors.resolve(empty.url, "other") == commit


async def test_a_default_branch_that_was_deleted_is_unknown(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    mirrors = open_mirrors()
    head = await mirrors.resolve(repo.url, "HEAD")
    repo.branch("other")
    repo.delete("refs/heads/main")
    assert await mirrors.fetch(repo.url) is True
    with pytest.raises(BadInput, match="'HEAD': revision unknown"):
        await mirrors.resolve(repo.url, "HEAD")
    assert await mirrors.resolve(repo.url, "other") == head


async def test_a_working_copy_in_a_folder_with_an_odd_name_is_mirrored(
    tmp_path: Path, open_mirrors: Open
) -> None:
    folder = tmp_path / "it's 100% ö, a+b"
    head = RepoBuilder(folder / ".git").commit({"a": "b"})
    mirrors = open_mirrors()
    assert await mirrors.resolve(folder.as_uri(), "main") == head
    assert (await mirrors.tree(folder.as_uri(), head)).entries[0].path == "a"


async def test_a_repository_with_sha256_ids_is_mirrored(tmp_path: Path, open_mirrors: Open) -> None:
    repo = RepoBuilder(tmp_path / "served" / "new.git", object_format="sha256")
    head = repo.commit({"a.yaml": "a: 1\n"})
    mirrors = open_mirrors()
    assert len(head) == 64
    assert await mirrors.resolve(repo.url, "main") == head
    entry = (await mirrors.tree(repo.url, head)).entries[0]
    assert await mirrors.blobs(repo.url, [entry.object]) == {entry.object: b"a: 1\n"}
    assert await mirrors.fetch(repo.url) is False


async def test_a_repair_that_does_not_help_is_not_tried_over_and_over(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open, spawned: list[str]
) -> None:
    mirrors = open_mirrors()
    head = await mirrors.resolve(repo.url, "main")
    entry = (await mirrors.tree(repo.url, head)).entries[0]
    missing = "e" * 40
    for _ in range(3):
        with pytest.raises(Transient, match="damaged"):
            await mirrors.blobs(repo.url, [missing])
    assert spawned.count("init") == 2
    assert await mirrors.blobs(repo.url, [entry.object])


@pytest.mark.parametrize("revision", ["gone", "f" * 40, "abc1234", "9.*"])
async def test_an_unknown_revision_is_the_users_mistake(
    repo: RepoBuilder, open_mirrors: Open, revision: str
) -> None:
    mirrors = open_mirrors()
    with pytest.raises(BadInput, match="revision unknown") as caught:
        await mirrors.resolve(repo.url, revision)
    assert caught.value.where.object == repo.url


async def test_a_tag_of_a_tag_and_a_short_id_are_peeled(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    repo.tag("inner", annotated=True)
    repo.tag("outer", "refs/tags/inner", annotated=True)
    blob = repo._git("rev-parse", "main:a.yaml").strip()
    repo.tag("file", blob)
    mirrors = open_mirrors()
    assert await mirrors.resolve(repo.url, "outer") == repo.head()
    assert await mirrors.resolve(repo.url, repo.head()[:10]) == repo.head()
    for revision in ("file", blob):
        with pytest.raises(BadInput, match="revision unknown"):
            await mirrors.resolve(repo.url, revision)
    with pytest.raises(BadInput, match="revision unknown"):
        await mirrors.tree(repo.url, "e" * 40)


async def test_odd_files_are_listed_and_read_as_they_are(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    odd: dict[str, Content] = {
        'with "quotes" and \\': "1",
        "tab\tnew\nline": "2",
        "ümläut/日本.yaml": "3",
        "caf\udce9": "4",
        "-dash": "5",
        " blank ": "6",
        "link": Symlink("../../etc/passwd"),
        "run.sh": Executable("#!/bin/sh\n"),
    }
    commit = repo.commit(odd, replace=True)
    mirrors = open_mirrors()
    tree = await mirrors.tree(repo.url, commit)
    kinds = {entry.path: entry.kind for entry in tree.entries}
    assert set(kinds) == {*odd, "ümläut", "caf\\xe9"} - {"caf\udce9"}
    assert kinds["link"] is EntryKind.SYMLINK
    assert kinds["run.sh"] is EntryKind.EXECUTABLE
    link = next(entry.object for entry in tree.entries if entry.path == "link")
    assert await mirrors.blobs(repo.url, [link]) == {link: b"../../etc/passwd"}


async def test_a_tree_with_a_git_folder_is_refused(repo: RepoBuilder, open_mirrors: Open) -> None:
    blob = repo._git("rev-parse", "main:a.yaml").strip()
    hooks = repo._git("mktree", stdin=f"100755 blob {blob}\tpost-checkout\n".encode()).strip()
    root = repo._git("mktree", stdin=f"040000 tree {hooks}\t.GIT\n".encode()).strip()
    repo.branch("main", repo._git("commit-tree", "-m", "evil", root).strip())
    mirrors = open_mirrors()
    with pytest.raises(BadInput, match="git's checks refuse"):
        await mirrors.resolve(repo.url, "main")
    assert not list((open_mirrors()._settings.state).glob("*.git"))


async def test_size_limits_name_the_setting(repo: RepoBuilder, open_mirrors: Open) -> None:
    commit = repo.commit({"big": "x" * 1001, "fits": "x" * 1000})
    mirrors = open_mirrors(limits=GitLimits(blob_bytes=1000))
    by_path = {entry.path: entry.object for entry in (await mirrors.tree(repo.url, commit)).entries}
    assert len((await mirrors.blobs(repo.url, [by_path["fits"]]))[by_path["fits"]]) == 1000
    with pytest.raises(BadInput, match="1001 bytes; the limit is 1000"):
        await mirrors.blobs(repo.url, [by_path["big"], by_path["fits"]])


async def test_a_repository_larger_than_allowed_is_cut_while_it_comes(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    if not shutil.which("prlimit"):
        pytest.skip("needs prlimit (util-linux)")
    repo.commit({"noise": os.urandom(300_000)})
    mirrors = open_mirrors(limits=GitLimits(repository_bytes=100_000))
    with pytest.raises(BadInput, match=r"larger than git\.limits allow"):
        await mirrors.fetch(repo.url)


async def test_a_restart_needs_no_network(repo: RepoBuilder, open_mirrors: Open) -> None:
    first = open_mirrors()
    head = await first.resolve(repo.url, "main")
    fetched_at = first.age(repo.url).fetched_at
    assert fetched_at is not None
    await first.close()
    shutil.rmtree(repo.path)
    second = open_mirrors()
    assert second.known() == (repo.url,)
    assert await second.resolve(repo.url, "main") == head
    assert (await second.tree(repo.url, head)).entries
    again = second.age(repo.url).fetched_at
    assert again is not None
    assert abs(again - fetched_at) < timedelta(seconds=5)
    with pytest.raises(BadInput, match="was not found"):
        await second.fetch(repo.url)
    age = second.age(repo.url)
    assert age.fetched_at == again
    assert "was not found" in str(age.error)
    assert age.failing_since is not None
    assert await second.resolve(repo.url, "main") == head


def _mirror(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "state").glob("*.git")
    return found


def _truncate_pack(mirror: Path) -> None:
    for pack in (mirror / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:20])


def _flip_bits(mirror: Path) -> None:
    for pack in (mirror / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o600)
        data = bytearray(pack.read_bytes())
        data[12:-20] = bytes(byte ^ 0x5A for byte in data[12:-20])
        pack.write_bytes(data)


def _lose_packs(mirror: Path) -> None:
    for file in (mirror / "objects" / "pack").iterdir():
        file.unlink()


def _lose_head(mirror: Path) -> None:
    (mirror / "HEAD").unlink()


def _break_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core\n")


def _lose_objects(mirror: Path) -> None:
    shutil.rmtree(mirror / "objects")


DAMAGE = [_truncate_pack, _flip_bits, _lose_packs, _lose_head, _break_config, _lose_objects]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
async def test_a_damaged_mirror_is_cloned_again_when_it_is_read(
    tmp_path: Path,
    repo: RepoBuilder,
    open_mirrors: Open,
    damage: Callable[[Path], None],
    restart: bool,
) -> None:
    mirrors = open_mirrors()
    head = await mirrors.resolve(repo.url, "main")
    damage(_mirror(tmp_path))
    if restart:
        await mirrors.close()
        mirrors = open_mirrors()
    assert await mirrors.resolve(repo.url, "main") == head
    trees = await asyncio.gather(*(mirrors.tree(repo.url, head) for _ in range(3)))
    assert len(trees[0].entries) == 4
    assert list((await mirrors.blobs(repo.url, [trees[0].entries[0].object])).values()) == [
        b"a: 1\n"
    ]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
async def test_a_damaged_mirror_is_cloned_again_when_it_is_fetched(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open, damage: Callable[[Path], None]
) -> None:
    mirrors = open_mirrors()
    await mirrors.resolve(repo.url, "main")
    damage(_mirror(tmp_path))
    new = repo.commit({"a.yaml": "a: 2\n"})
    await mirrors.fetch(repo.url)
    assert (await mirrors.tree(repo.url, new)).entries
    assert await mirrors.resolve(repo.url, "main") == new


async def test_many_readers_of_a_damaged_mirror_share_one_new_clone(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open, spawned: list[str]
) -> None:
    mirrors = open_mirrors()
    head = await mirrors.resolve(repo.url, "main")
    entry = (await mirrors.tree(repo.url, head)).entries[0]
    _lose_packs(_mirror(tmp_path))
    spawned.clear()
    read = await asyncio.gather(*(mirrors.blobs(repo.url, [entry.object]) for _ in range(8)))
    assert all(found == {entry.object: b"a: 1\n"} for found in read)
    assert spawned.count("init") == 1


async def test_what_killed_processes_leave_behind_is_cleaned(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    mirrors = open_mirrors()
    await mirrors.fetch(repo.url)
    await mirrors.close()
    mirror = _mirror(tmp_path)
    for name in (
        "packed-refs.lock",
        "HEAD.lock",
        "config.lock",
        "refs/heads/main.lock",
        "refs/fleet/head.lock",
    ):
        (mirror / name).touch()
    (mirror / "objects" / "pack" / "tmp_pack_x1").write_bytes(b"half")
    half = mirror.with_name("half.new")
    half.mkdir()
    (half / "HEAD").touch()
    new = repo.commit({"a.yaml": "a: 2\n"})
    mirrors = open_mirrors()
    assert not half.exists()
    assert await mirrors.fetch(repo.url) is True
    assert await mirrors.resolve(repo.url, "main") == new
    assert not list(mirror.rglob("*.lock"))
    assert not list(mirror.rglob("tmp_*"))


async def test_many_fetches_leave_few_packs_and_lose_nothing(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    mirrors = open_mirrors(limits=GitLimits(packs=3))
    orphaned = await mirrors.resolve(repo.url, "main")
    commits = []
    for index in range(8):
        commits.append(repo.commit({"a.yaml": f"a: {index}\n"}, orphan=index == 0))
        await mirrors.fetch(repo.url)
    packs = list((_mirror(tmp_path) / "objects" / "pack").glob("*.pack"))
    assert len(packs) <= 4
    for commit in [orphaned, *commits]:
        assert (await mirrors.tree(repo.url, commit)).commit == commit


async def test_a_mirror_is_forgotten_on_request(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open
) -> None:
    mirrors = open_mirrors()
    await mirrors.fetch(repo.url)
    await mirrors.forget(repo.url)
    assert mirrors.known() == ()
    assert not list((tmp_path / "state").glob("*.git"))


async def test_local_urls_are_refused_without_the_setting(
    repo: RepoBuilder, open_mirrors: Open
) -> None:
    with pytest.raises(Denied, match="allowFile"):
        await open_mirrors(allow_file=False).fetch(repo.url)


async def test_foreign_git_settings_do_not_count(
    tmp_path: Path, repo: RepoBuilder, open_mirrors: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    hook = tmp_path / "hooks" / "reference-transaction"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
    hook.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[core]\nhooksPath = {hook.parent}\n[url "file:///nowhere"]\ninsteadOf = file://\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_TRACE", str(canary))
    mirrors = open_mirrors()
    assert await mirrors.resolve(repo.url, "main")
    shutil.copytree(hook.parent, _mirror(tmp_path) / "hooks")
    repo.commit({"a.yaml": "a: 2\n"})
    assert await mirrors.fetch(repo.url) is True
    assert not canary.exists()


async def test_the_state_folder_is_private(
    repo: RepoBuilder, open_mirrors: Open, tmp_path: Path
) -> None:
    await open_mirrors().fetch(repo.url)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
