"""The sandbox holds: network, time, memory, output, environment; in both forms of isolation."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from fleet.errors import NotReady, Transient
from fleet.render import sandbox
from fleet.render.launcher import network_filter
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
    if not await sandbox.works(isolation):
        pytest.skip(f"the kernel does not allow {isolation} here")
    return Sandbox(isolation, LIMITS)


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
    if not await sandbox.works(Isolation.SECCOMP):
        pytest.skip("the kernel does not allow seccomp here")
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
    done = await python(Sandbox(Isolation.SECCOMP, LIMITS), code, tmp_path)
    assert done.output.split() == [b"-1", b"1", *[b"refused"] * 4, b"local", b"True"]


def test_filter_is_there_for_both_architectures() -> None:
    assert network_filter("x86_64") != network_filter("aarch64")
    with pytest.raises(KeyError):
        network_filter("unknown")


async def test_isolation_that_is_unknown_does_not_start_the_program(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        sandbox._LAUNCHER,
        "seccomp",
        "1",
        "1",
        "1",
        "1",
        "probe",
    ]
    process = await asyncio.create_subprocess_exec(
        *command, env={}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    await process.communicate()
    assert process.returncode in (0, 125)


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


async def test_deadline_ends_the_whole_process_group(tmp_path: Path) -> None:
    box = Sandbox(Isolation.NONE, Limits(timeout=0.5, memory=2**30, output=1000))
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    open('child', 'w').write(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    with pytest.raises(Transient, match="did not end within"):
        await python(box, code, tmp_path)
    assert not is_alive(int((tmp_path / "child").read_text()))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] not in ("Z", "X")
    except FileNotFoundError:
        return False


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
