"""The hub's command line: ``python -m hub run --config F`` (also ``fleet-hub``), ``check F``, ``restored --config F``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from fleet import __version__
from fleet.codec.redaction import redact
from fleet.errors import FleetError


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon or check its settings; returns the exit status."""
    parser = argparse.ArgumentParser(prog="fleet-hub", description="The hub of the fleet.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the hub until SIGTERM")
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="hub.yaml")
    check = commands.add_parser("check", help="check the settings and exit")
    check.add_argument("config", type=Path, metavar="FILE", help="hub.yaml")
    restored = commands.add_parser("restored", help="once after the state came from a backup")
    restored.add_argument("--config", type=Path, required=True, metavar="FILE", help="hub.yaml")
    chosen = parser.parse_args(arguments)
    if "rich" not in sys.modules:
        # structlog would import it where it is installed: 10 MB for tracebacks in colour.
        sys.modules["rich"] = None  # type: ignore[assignment]  # makes `import rich` fail
    from hub import app, restore

    try:
        settings = app.load(chosen.config)
        if chosen.command == "check":
            sys.stdout.write(f"{chosen.config}: ok\n")
            return 0
        if chosen.command == "restored":
            epoch = asyncio.run(restore.raise_epoch(settings))
            sys.stdout.write(f"epoch {epoch}: start the hub now\n")
            return 0
        return asyncio.run(app.run(settings))
    except FleetError as error:
        sys.stderr.write(f"fleet-hub: {redact(str(error))}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
