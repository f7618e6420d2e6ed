"""``python -m agents run|join``: the agent's command line (argparse: it costs no memory).

Before anything else it keeps out what the agent must not load (rich, which structlog would import where it is
installed; the system's certificate authorities, which aiohttp would read for contexts that are never used), puts the
light kubernetes packages in place, and makes TLS connections small.
"""

from __future__ import annotations

import argparse
import asyncio
import asyncio.sslproto
import os
import sys
from pathlib import Path

TLS_BUFFER = 16 * 1024


def prepare() -> None:
    """Arrange what has to be arranged before the agent's modules are imported."""
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # makes `import rich` fail
    asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER
    _import_without_authorities()
    from fleet.kube import lazy

    lazy.install()


def _import_without_authorities() -> None:
    """Import aiohttp while OpenSSL finds no authorities: 2 MB less, and its own contexts trust nobody.

    Both of the agent's connections bring contexts of their own, with the one authority that they trust.
    """
    kept = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    os.environ.update(dict.fromkeys(kept, os.devnull))
    try:
        import aiohttp as _aiohttp
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    del _aiohttp


def main(argv: list[str] | None = None) -> int:
    """Parse arguments and do it; returns the exit status."""
    arguments = _parser().parse_args(argv)
    prepare()
    from agents import commands
    from fleet.errors import FleetError

    try:
        return asyncio.run(commands.execute(arguments))
    except FleetError as error:
        sys.stderr.write(f"fleet-agent: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleet-agent", description="The agent of one cluster of a gitops-fleet hub."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="work until stopped; joins first where there is no identity")
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="agent.yaml")
    join = verbs.add_parser("join", help="get an identity by a join token, and exit")
    join.add_argument("--config", type=Path, required=True, metavar="FILE", help="agent.yaml")
    join.add_argument("--hub", default="", metavar="URL", help="instead of the file's hub")
    join.add_argument(
        "--token-file", type=Path, metavar="FILE", help="instead of the file's tokenFile"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
