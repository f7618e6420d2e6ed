"""Kills the processes of a test run that was itself killed, and removes its folder.

Runs as a program of its own (``python watchdog.py``), which outlives its parent by a moment. It reads orders from
standard input: ``+PID`` a process group to look after, ``-PID`` one that is gone, ``folder PATH`` what to remove. The
end of the input means that the parent is gone, however it went. Standard library only: it should be small and start fast.

A death signal from the kernel (PR_SET_PDEATHSIG) would be simpler, but it fires when the *thread* that started the
child ends, and clusters are started from short-lived threads.
"""

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    """Follow orders until the parent is gone, then clean up."""
    groups: set[int] = set()
    folders: list[str] = []
    for line in sys.stdin:
        order = line.rstrip("\n")
        if order.startswith("+"):
            groups.add(int(order[1:]))
        elif order.startswith("-"):
            groups.discard(int(order[1:]))
        elif order.startswith("folder "):
            folders.append(order.removeprefix("folder "))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
