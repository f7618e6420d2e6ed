"""``python -m fleet.testing.controlplane build|where|run``: control planes by hand.

``build`` makes the binaries where they are not there yet and prints their folder; ``where`` only looks; ``run`` starts
clusters, prints a kubeconfig each and ends them when it is interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from fleet.errors import FleetError
from fleet.testing.controlplane import Binaries, ControlPlanes, Missing, Options


def main() -> None:
    """Parse the arguments and do it."""
    arguments = _parser().parse_args()
    binaries = Binaries.locate(build=arguments.command != "where")
    if isinstance(binaries, Missing):
        sys.exit(binaries.reason)
    if arguments.command != "run":
        sys.stdout.write(f"{binaries.folder}\n")
        return
    try:
        _run(binaries, arguments)
    except FleetError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fleet.testing.controlplane", description=__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the binaries where they are not there yet")
    commands.add_parser("where", help="print the folder of the binaries")
    run = commands.add_parser("run", help="start clusters until interrupted")
    run.add_argument("names", nargs="*", default=["one"], help="a name for each cluster")
    run.add_argument(
        "--pods", action="store_true", help="with a scheduler and a node whose Pods turn Ready"
    )
    run.add_argument("--audit", action="store_true", help="with an audit log")
    run.add_argument(
        "--ready-delay", type=float, default=0.0, metavar="SECONDS", help="before a Pod turns Ready"
    )
    return parser


def _run(binaries: Binaries, arguments: argparse.Namespace) -> None:
    options = Options(pods=arguments.pods, audit=arguments.audit, ready_delay=arguments.ready_delay)
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    with ControlPlanes(binaries) as planes:
        for cluster in planes.start_all(arguments.names, options):
            sys.stdout.write(f"{cluster.name}: export KUBECONFIG={cluster.kubeconfig}\n")
        sys.stdout.flush()
        interrupted.wait()


if __name__ == "__main__":
    main()
