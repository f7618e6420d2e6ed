from __future__ import annotations

import os

import pytest

from fleet.runtime.proxies import environment_proxy

HUB = "https://hub.example.com:8443"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        pytest.param({}, HUB, None, id="none"),
        pytest.param({"HTTPS_PROXY": "http://p:1"}, HUB, "http://p:1", id="https"),
        pytest.param({"https_proxy": "http://p:1"}, HUB, "http://p:1", id="lower-case"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, HUB, None, id="other-scheme"),
        pytest.param({"HTTPS_PROXY": "https://p:1"}, HUB, None, id="tls-proxy-unsupported"),
        pytest.param({"HTTPS_PROXY": "http://u:w@p:1"}, HUB, "http://u:w@p:1", id="credentials"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, HUB, None, id="bypass-all"),
        pytest.param(
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.test,.example.com"}, HUB, None, id="suffix"
        ),
        pytest.param(
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "hub.example.com:8443"}, HUB, None, id="port"
        ),
        pytest.param(
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "hub.example.com:1"}, HUB, "http://p:1", id="other-port"
        ),
        pytest.param({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "::1"}, "https://[::1]:6443", None, id="ipv6"),
    ],
)  # fmt: skip
def test_environment_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, expected: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert environment_proxy(url) == expected
