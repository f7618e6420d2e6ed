"""Which URLs may be fetched, and which credentials belong to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Denied
from fleet.fetch.urls import UrlRules, admit, follow, is_below

RULES = UrlRules()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://Example.com", "https://example.com/"),
        ("HTTPS://example.com:443/a%20b?x=1#frag", "https://example.com/a%20b?x=1"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("https://10.1.2.3/a", "https://10.1.2.3/a"),
        ("https://[2001:db8::1]/a", "https://[2001:db8::1]/a"),
    ],
)
def test_an_admitted_url_has_one_form(text: str, shown: str) -> None:
    assert str(admit(text, RULES)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/x",
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://user:secret-canary@example.com/x",
        "https://token-canary@example.com/x",
        "https:///x",
        "https://-x.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com\\@evil.com/",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: evil",
        "https://example.com/a/../b",
        "https://example.com/a/%2e%2e/b",
        "https://example.com/%0d%0a",
        "https://localhost/x",
        "https://a.localhost/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://0.0.0.0/x",
        "https://127.1/x",
        "https://0x7f000001/x",
        "https://2130706433/x",
        "https://0177.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:a9fe:a9fe::1]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://metadata.google.internal./x",
        "https://" + "a" * 9000,
    ],
)
def test_a_dangerous_url_is_refused_without_showing_secrets(text: str) -> None:
    with pytest.raises(Denied) as caught:
        admit(text, RULES)
    assert "canary" not in str(caught.value)


def test_hosts_can_be_limited() -> None:
    rules = UrlRules(hosts=("*.example.com", "charts.io"))
    for host in ("a.example.com", "CHARTS.io"):
        assert admit(f"https://{host}/", rules).host == host.lower()
    for host in ("example.com.evil.com", "evilexample.com", "charts.io.evil.com"):
        with pytest.raises(Denied, match="settings do not allow"):
            admit(f"https://{host}/", rules)


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("a.tgz", "https://example.com/charts/a.tgz"),
        ("/a.tgz", "https://example.com/a.tgz"),
        ("https://other.com/a.tgz", "https://other.com/a.tgz"),
        ("../a.tgz", "https://example.com/a.tgz"),
        ("http://example.com/a.tgz", None),
        ("//169.254.169.254/x", None),
        ("file:///etc/passwd", None),
        ("https://[bad/x", None),
        ("https://u:p@example.com/x", None),
    ],
)
def test_a_reference_is_admitted_like_a_first_url(reference: str, found: str | None) -> None:
    base = admit("https://example.com/charts/", RULES)
    if found is None:
        with pytest.raises(Denied):
            follow(base, reference, RULES)
    else:
        assert str(follow(base, reference, RULES)) == found


@pytest.mark.parametrize(
    ("url", "prefix", "below"),
    [
        ("https://example.com/charts/index.yaml", "https://example.com/charts", True),
        ("https://example.com/charts/index.yaml", "https://example.com/charts/", True),
        ("https://example.com/charts", "https://example.com/charts/", True),
        ("https://example.com/charts-evil/x", "https://example.com/charts", False),
        ("https://example.com.evil.com/charts/x", "https://example.com", False),
        ("https://example.com:8443/x", "https://example.com", False),
        ("https://reg.io/v2/team/web/manifests/1", "oci://reg.io/team", True),
        ("https://reg.io/v2/team-evil/web/manifests/1", "oci://reg.io/team", False),
        ("https://reg.io/v2/team/web/manifests/1", "oci://reg.io", True),
        ("https://example.com/x", "nonsense", False),
    ],
)
def test_a_prefix_holds_whole_segments_of_one_origin(url: str, prefix: str, below: bool) -> None:
    assert is_below(admit(url, RULES), prefix) is below


def test_the_query_of_a_signed_link_is_not_shown() -> None:
    url = admit("https://store.example.com/blob?X-Signature=canary", RULES)
    assert "canary" not in url.shown


@given(st.text(max_size=40) | st.from_regex(r"https://[a-z0-9@:.\[\]%/?#-]{0,30}", fullmatch=True))
def test_whatever_is_admitted_stays_itself(text: str) -> None:
    try:
        url = admit(text, RULES)
    except Denied:
        return
    assert admit(str(url), RULES) == url
    assert "@" not in url.origin
