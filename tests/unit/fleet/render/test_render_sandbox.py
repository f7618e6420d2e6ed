"""The sandbox holds: network, time, memory, output, environment; in both forms of isolation."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
from pathlib import Path

import pytest

from fleet.errors import NotReady, Transient
from fleet.render import sandbox
from fleet.render.launcher import UNAVAILABLE, network_filter
from fleet.render.sandbox import Completed, Isolation, Limits, Sandbox, TooMuch

LIMITS = Limits(timeout=20, memory=256 * 1024 * 1024, output=1024 * 1024)
PYTHON = Path(sys.executable)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="namespaces and seccomp are Linux's"
)


async def python(box: Sandbox, code: str, folder: Path) -> Completed:
    return await box.run(PYTHON, ("-I", "-S", "-c", code), folder=folder, environment={"A": "b"})


@pytest.fixture(params=[Isolation.NAMESPACE, Isolation.SECCOMP])
async def box(request: pytest.FixtureRequest) -> Sandbox:
    isolation: Isolation = request.param
    return await available(isolation)


async def available(isolation: Isolation) -> Sandbox:
    """A sandbox, or a skip only where the kernel refuses: isolation that leaks is a failure."""
    box = Sandbox(isolation, LIMITS)
    done = await box.run(Path("probe"), (), folder=Path("/"), environment={})
    if done.status == UNAVAILABLE:
        pytest.skip(f"the kernel does not allow {isolation} here: {done.errors}")
    assert done.status == 0
    return box


CONNECT = """
import socket, sys
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(family, kind) as s:
                s.settimeout(2)
                s.connect((host, int(%d)))
                s.send(b"x")
        except OSError as error:
            print(type(error).__name__)
        else:
            print("connected")
"""


async def test_child_reaches_no_socket_of_this_machine(box: Sandbox, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = CONNECT % server.getsockname()[1]
        done = await python(box, code, tmp_path)
        outside = await python(Sandbox(Isolation.NONE, LIMITS), code, tmp_path)
    assert b"connected" not in done.output
    assert len(done.output.split()) == 4
    assert b"connected" in outside.output  # the same code without isolation does reach it


async def test_seccomp_refuses_io_uring_and_other_families(tmp_path: Path) -> None:
    box = await available(Isolation.SECCOMP)
    code = (
        "import ctypes, socket\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.syscall(425, 4, 0), ctypes.get_errno())\n"
        "for family in (16, 17, 38, 40):\n"
        "    try: socket.socket(family, socket.SOCK_RAW)\n"
        "    except PermissionError: print('refused')\n"
        "a, b = socket.socketpair()\n"
        "a.send(b'x'); print('local', b.recv(1) == b'x')\n"
    )
    done = await python(box, code, tmp_path)
    assert done.output.split() == [b"-1", b"1", *[b"refused"] * 4, b"local", b"True"]


def test_filter_is_there_for_both_architectures() -> None:
    assert network_filter("x86_64") != network_filter("aarch64")
    with pytest.raises(KeyError):
        network_filter("unknown")


async def test_program_is_not_started_without_its_isolation(tmp_path: Path) -> None:
    command = Sandbox(Isolation.NONE, LIMITS).command(Path("/bin/touch"), ("canary",), cpu=1)
    command[command.index("none")] = "seccomp-of-another-kernel"
    process = await asyncio.create_subprocess_exec(*command, env={}, cwd=tmp_path, stderr=-3)
    assert await process.wait() == UNAVAILABLE
    assert not (tmp_path / "canary").exists()


async def test_environment_and_descriptors_are_empty(box: Sandbox, tmp_path: Path) -> None:
    os.environ["FLEET_CANARY"] = "secret"
    try:
        code = "import os; print(*sorted(os.environ)); print(*sorted(os.listdir('/proc/self/fd')))"
        done = await python(box, code, tmp_path)
    finally:
        del os.environ["FLEET_CANARY"]
    environment, descriptors = done.output.decode().splitlines()
    assert environment in ("A", "A LC_CTYPE")  # Python itself may set the latter
    assert descriptors == "0 1 2 3"


async def test_limits_are_set_before_the_program_starts(box: Sandbox, tmp_path: Path) -> None:
    code = (
        "import resource as r\n"
        "print(*[r.getrlimit(x)[0] for x in (r.RLIMIT_CORE, r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_NOFILE)])\n"
        "print(open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0])\n"
    )
    done = await python(box, code, tmp_path)
    assert done.output.split() == [b"0", b"21", b"1048576", b"256", b"1"]


async def test_no_new_files_belong_to_somebody_else(box: Sandbox, tmp_path: Path) -> None:
    await python(box, "open('made', 'w').write('x')", tmp_path)
    assert (tmp_path / "made").stat().st_uid == os.getuid()


async def test_output_past_the_cap_ends_the_child(box: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(TooMuch, match="output is larger than 1048576 bytes"):
        await python(box, "while True: print('x' * 10000)", tmp_path)


async def test_memory_past_the_limit_ends_the_child(tmp_path: Path) -> None:
    small = Sandbox(Isolation.NONE, Limits(timeout=20, memory=30_000_000, output=1000))
    with pytest.raises(TooMuch, match="needs more than 30000000 bytes of memory"):
        await python(small, "x = bytearray(60_000_000)\nwhile True: pass", tmp_path)


async def test_deadline_ends_the_child(tmp_path: Path) -> None:
    box = Sandbox(Isolation.NONE, Limits(timeout=0.3, memory=2**30, output=1000))
    with pytest.raises(Transient, match=r"did not end within 0.3 s"):
        await python(box, "import time; time.sleep(60)", tmp_path)


async def test_end_of_a_child_is_the_end_of_its_whole_group(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    open('pipe', 'w').write(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    running = asyncio.create_task(python(Sandbox(Isolation.NONE, LIMITS), code, tmp_path))
    grandchild = int(await asyncio.to_thread((tmp_path / "pipe").read_text))
    descriptor = os.pidfd_open(grandchild)  # becomes readable when the process ends
    try:
        assert select.select([descriptor], [], [], 0)[0] == []
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert select.select([descriptor], [], [], 10)[0] == [descriptor]
    finally:
        os.close(descriptor)


async def test_errors_are_kept_and_bounded(box: Sandbox, tmp_path: Path) -> None:
    done = await python(
        box,
        "import sys\nfor _ in range(20000): sys.stderr.write('abcdefgh')\nsys.exit(3)",
        tmp_path,
    )
    assert (done.status, len(done.errors)) == (3, 64 * 1024)


async def test_without_any_isolation_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(isolation: Isolation) -> bool:
        return False

    monkeypatch.setattr(sandbox, "works", never)
    with pytest.raises(NotReady, match="cannot be kept from the network"):
        await sandbox.detect(require=True)
    assert await sandbox.detect(require=False) is Isolation.NONE
