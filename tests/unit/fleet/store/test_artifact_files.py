"""What only files can show: names, modes, crashes, full disks."""

from __future__ import annotations

import stat
import subprocess
import sys
import textwrap
from pathlib import Path

from fleet.store.blobs import FileArtifactStore


async def test_names_and_modes(tmp_path: Path) -> None:
    store = FileArtifactStore(tmp_path / "artifacts")
    digest = await store.put(b"content")
    await store.close()
    name = digest.removeprefix("sha256:")
    path = tmp_path / "artifacts" / name[:2] / name

    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_half_written_files_are_no_artifacts_and_go(tmp_path: Path) -> None:
    store = FileArtifactStore(tmp_path)
    digest = await store.put(b"content")
    path = tmp_path / digest[7:9] / digest[7:]
    left = path.with_name(f"{path.name}.0000.partial")
    left.write_bytes(b"con")
    (path.parent / "README").write_text("somebody else's")

    assert await store.digests() == {digest}
    assert not left.exists()
    assert (path.parent / "README").exists()
    await store.close()


FULL_DISK = textwrap.dedent("""
    import asyncio, resource, signal, sys
    from pathlib import Path
    from fleet.errors import Transient
    from fleet.store.blobs import FileArtifactStore

    async def main():
        store = FileArtifactStore(Path(sys.argv[1]))
        small = await store.put(b"small")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            await store.put(bytes(10_000))
            print("written")
        except Transient:
            print("refused")
        print(await store.get(small), await store.digests() == {small})
        print(list(Path(sys.argv[1]).rglob("*.partial")))
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        print(len(await store.get(await store.put(bytes(10_000)))))
        await store.close()

    asyncio.run(main())
""")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    assert child.stdout.splitlines() == ["refused", "b'small' True", "[]", "10000"]
