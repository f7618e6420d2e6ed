"""Cuts itself from the network, limits itself, and becomes another program.

    python -I -S launcher.py ISOLATION DATA CPU FSIZE NOFILE PROGRAM [ARGUMENT]...

ISOLATION is ``namespace`` (a user and network namespace of its own, where only a loopback that is down exists),
``seccomp`` (no socket but AF_UNIX, no io_uring; needs no privilege), or ``none``. With ``probe`` as
PROGRAM it tries to reach an address instead and exits 0 only if it cannot. Exit status 125: the isolation is not to
be had here.

Standard library only and started without ``site``: it runs before every render, in about ten milliseconds.
"""

import ctypes
import os
import resource
import struct
import sys

UNAVAILABLE = 125
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_AF_UNIX = 1  # written out: importing socket takes longer than everything else here

_ALLOW = 0x7FFF0000
_EPERM = 0x00050001
_KILL = 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = (
    0x20,
    0x15,
    0x35,
    0x06,
)  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, |JGE|K, BPF_RET|K
_ARCHITECTURES = {
    # machine: (AUDIT_ARCH, numbers of socket and io_uring_setup)
    "x86_64": (0xC000003E, 41, 425),
    "aarch64": (0xC00000B7, 198, 425),
}


def main(arguments: list[str]) -> None:
    """Isolate, limit, become the program."""
    isolation, data, cpu, size, files, program, *rest = arguments
    try:
        isolate(isolation)
    except (OSError, KeyError) as error:
        sys.stderr.write(f"isolation {isolation} is not available: {error}\n")
        os._exit(UNAVAILABLE)
    if program == "probe":
        os._exit(0 if is_cut_off() else 1)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, int(data)),
        (resource.RLIMIT_CPU, int(cpu)),
        (resource.RLIMIT_FSIZE, int(size)),
        (resource.RLIMIT_NOFILE, int(files)),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))
    os.execve(program, [program, *rest], os.environ)  # noqa: S606  # becoming it is the purpose


def isolate(isolation: str) -> None:
    """Give up the network for good; raises OSError where the kernel refuses."""
    if isolation not in ("namespace", "seccomp", "none"):
        raise KeyError(isolation)
    libc = ctypes.CDLL(None, use_errno=True)
    if isolation == "namespace":
        user, group = os.getuid(), os.getgid()
        _check(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET))
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123  # pathlib takes ms to import
                file.write(text)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if isolation == "seccomp":
        program = network_filter(os.uname().machine)
        buffer = ctypes.create_string_buffer(program, len(program))

        class Program(ctypes.Structure):
            _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

        wanted = Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
        _check(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(wanted), 0, 0))


def network_filter(machine: str) -> bytes:
    """The BPF program: no socket but AF_UNIX, no io_uring, no system calls under foreign numbers."""
    architecture, socket_number, uring_number = _ARCHITECTURES[machine]
    instructions = (
        (_LOAD, 0, 0, 4),  # the architecture
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),  # the number
        (_AT_LEAST, 5, 0, 0x40000000),  # x32 calls on x86-64 have numbers of their own
        (_EQUAL, 4, 0, uring_number),  # io_uring opens sockets past this filter
        (_EQUAL, 0, 2, socket_number),
        (_LOAD, 0, 0, 16),  # its first argument, the family
        (_EQUAL, 0, 1, _AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    )
    return b"".join(struct.pack("<HBBI", *each) for each in instructions)


def is_cut_off() -> bool:
    """Whether neither IPv4 nor IPv6 can even be asked to send; no packet leaves in the attempt."""
    import socket

    for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                return False
        except OSError:
            continue
    return True


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    main(sys.argv[1:])
