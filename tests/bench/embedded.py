"""The benchmark of the embedded API server: creates, applies, gets and lists over HTTP with TLS, empty and at 10,000 objects.

The server runs in a process of its own, the client keeps 16 requests in flight; the rates are those of client and server
together on this machine. The last line is one JSON object.

``python -m tests.bench.embedded [--objects 10000]``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from fleet.codec import canonical
from fleet.codec.jsontypes import JsonObject

PARALLEL = 16
MEASURED = 2000
_BASE = "/api/v1/namespaces/default/configmaps"
_APPLY = {"Content-Type": "application/apply-patch+yaml"}
_JSON = {"Content-Type": "application/json"}


class Client:
    """A connection pool with the administrator's token."""

    def __init__(self, config: JsonObject) -> None:
        cluster = config["clusters"][0]["cluster"]
        self.server = str(cluster["server"])
        self._token = str(config["users"][0]["user"]["token"])
        self._trust = ssl.create_default_context()
        self._trust.check_hostname = False
        self._trust.verify_mode = ssl.CERT_NONE
        self.session: aiohttp.ClientSession

    async def __aenter__(self) -> Client:
        self.session = aiohttp.ClientSession(
            base_url=self.server,
            connector=aiohttp.TCPConnector(limit=PARALLEL, ssl=self._trust),
            headers={"Authorization": f"Bearer {self._token}"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def create(self, number: int) -> None:
        body = json.dumps(_object(number))
        async with self.session.post(_BASE, data=body, headers=_JSON) as answer:
            assert answer.status == 201, await answer.text()

    async def apply(self, number: int) -> None:
        path = f"{_BASE}/object-{number}?fieldManager=bench&force=true"
        body = json.dumps(_object(number, value="changed"))
        async with self.session.patch(path, data=body, headers=_APPLY) as answer:
            assert answer.status in (200, 201), await answer.text()

    async def get(self, number: int) -> None:
        async with self.session.get(f"{_BASE}/object-{number}") as answer:
            assert answer.status == 200, await answer.text()
            await answer.read()

    async def list_all(self) -> float:
        started = time.perf_counter()
        async with self.session.get(_BASE) as answer:
            assert answer.status == 200
            await answer.read()
        return time.perf_counter() - started


def _object(number: int, value: str = "value") -> JsonObject:
    labels = {"app": f"app-{number % 50}", "part-of": "bench"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"object-{number}", "labels": labels},
        "data": {"key": value, "other": "x" * 100},
    }


async def rate(work: Callable[[int], Awaitable[None]], numbers: range) -> float:
    """Calls a second with 16 in flight."""
    waiting = iter(numbers)

    async def worker() -> None:
        for number in waiting:
            await work(number)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(PARALLEL):
            tasks.create_task(worker())
    return len(numbers) / (time.perf_counter() - started)


async def measure(client: Client, objects: int) -> JsonObject:
    """All figures, in order."""
    found: JsonObject = {"objects": objects}
    found["creates_per_s_empty"] = round(await rate(client.create, range(MEASURED)))
    await rate(client.create, range(MEASURED, objects))
    full = range(objects, objects + MEASURED)
    found["creates_per_s_full"] = round(await rate(client.create, full))
    found["applies_per_s_full"] = round(await rate(client.apply, full))
    found["gets_per_s_full"] = round(await rate(client.get, full))
    found["list_all_s"] = round(await client.list_all(), 3)
    return found


async def run(config: JsonObject, objects: int) -> JsonObject:
    """Measure against the server that a kubeconfig names."""
    async with Client(config) as client:
        return await measure(client, objects)


def main() -> None:
    """Start a server, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder, "kubeconfig")
        command = [sys.executable, "-m", "fleet.cli.main", "embedded", "run"]
        with subprocess.Popen(
            [*command, "--kubeconfig", str(kubeconfig)], stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                assert server.stdout is not None
                while "KUBECONFIG" not in server.stdout.readline():
                    pass
                config = canonical.decode(kubeconfig.read_bytes())
                found = asyncio.run(run(config, arguments.objects))
                found["server_peak_rss_mb"] = _peak_rss(server.pid)
            finally:
                server.terminate()
    sys.stdout.write(f"{json.dumps(found)}\n")


def _peak_rss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return 0


if __name__ == "__main__":
    main()
