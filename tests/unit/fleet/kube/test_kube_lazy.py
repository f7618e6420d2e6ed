"""The light packages in kubernetes-asyncio's place: in a process of its own, for they must come first."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_pinned_library_has_the_expected_layout() -> None:
    code = """
import sys
from fleet.kube import lazy
assert lazy.install() and lazy.is_installed()
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.client.rest import RESTClientObject
from kubernetes_asyncio.config.kube_config import load_kube_config
from kubernetes_asyncio.config.incluster_config import load_incluster_config
loaded = [name for name in sys.modules if name.startswith("kubernetes_asyncio")]
print(len(loaded), "kubernetes_asyncio.client.api.core_v1_api" in loaded, len(sys.modules) < 420)
"""
    count, has_apis, is_small = run(code).split()
    assert int(count) < 20
    assert (has_apis, is_small) == ("False", "True")


def test_postponed_module_works_when_it_is_needed() -> None:
    code = """
import sys
from fleet.kube import lazy
lazy.install()
assert "urllib3.util" not in sys.modules
from kubernetes_asyncio.client.configuration import Configuration
configuration = Configuration(username="a", password="b")
print(configuration.get_basic_auth_token())
import kubernetes_asyncio.client
print(kubernetes_asyncio.client.ApiClient.func.__name__)
"""
    assert run(code).split()[:2] == ["Basic", "YTpi"]


def test_whole_library_stays_where_it_was_loaded_before() -> None:
    code = """
import kubernetes_asyncio
from fleet.kube import lazy
print(lazy.install(), kubernetes_asyncio.client.CoreV1Api.__name__)
"""
    assert run(code) == "False CoreV1Api"


def test_another_layout_falls_back_to_the_whole_library() -> None:
    code = """
from fleet.kube import lazy
lazy._NAMES.clear()
print(lazy.install())
from kubernetes_asyncio.client import CoreV1Api
import urllib3.util
print(CoreV1Api.__name__)
"""
    assert run(code).split() == ["False", "CoreV1Api"]


def test_the_agent_keeps_the_heavy_libraries_out() -> None:
    code = """
import sys
from agents.__main__ import prepare
prepare()
from agents import commands
heavy = ("rich", "typer", "git", "networkx", "sqlalchemy", "cel", "pydantic", "cryptography.x509", "urllib3.util")
print([name for name in heavy if sys.modules.get(name) is not None])
"""
    assert run(code) == "[]"
