"""Which repository URLs are admitted, and which name the same repository."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Denied
from fleet.git import urls

ADMITTED = [
    (
        "https://example.com/org/repo.git",
        "https://example.com/org/repo.git",
        "https://example.com/org/repo",
    ),
    (
        "HTTPS://Example.COM:443/org/Repo/",
        "https://example.com/org/Repo/",
        "https://example.com/org/Repo",
    ),
    (
        "https://org@dev.azure.com/org/p/_git/r",
        "https://dev.azure.com/org/p/_git/r",
        "https://dev.azure.com/org/p/_git/r",
    ),
    (
        "https://example.com:8443/a%20b/c",
        "https://example.com:8443/a%20b/c",
        "https://example.com:8443/a%20b/c",
    ),
    (
        "ssh://git@example.com/org/repo.git",
        "ssh://git@example.com/org/repo.git",
        "ssh://git@example.com/org/repo",
    ),
    (
        "ssh://git@example.com:7999/o/r",
        "ssh://git@example.com:7999/o/r",
        "ssh://git@example.com:7999/o/r",
    ),
    (
        "git@example.com:org/repo.git",
        "git@example.com:org/repo.git",
        "ssh://git@example.com/~/org/repo",
    ),
    (
        "git@example.com:/srv/repo.git",
        "ssh://git@example.com/srv/repo.git",
        "ssh://git@example.com/srv/repo",
    ),
    (
        "ssh://git@[2001:db8::1]:22/o/r",
        "ssh://git@[2001:db8::1]/o/r",
        "ssh://git@[2001:db8::1]/o/r",
    ),
    ("file:///srv/repo.git", "file:///srv/repo.git", "file:///srv/repo"),
    ("http://example.com/o/r", "http://example.com/o/r", "http://example.com/o/r"),
]


@pytest.mark.parametrize(("text", "called", "key"), ADMITTED, ids=[row[0] for row in ADMITTED])
def test_an_admitted_url_is_called_and_named_in_one_way(text: str, called: str, key: str) -> None:
    url = urls.parse(text, allow_file=True, allow_http=True)
    assert (str(url), url.key) == (called, key)
    again = urls.parse(called, allow_file=True, allow_http=True)
    assert again == url


REFUSED = [
    "",
    "-u./x",
    "--upload-pack=touch /tmp/x",
    "ext::sh -c touch% /tmp/pwn",
    "ext::sh",
    "fd::17",
    "ext://x/y",
    "git://example.com/o/r",
    "ftp://example.com/o/r",
    "/srv/repo",
    "./repo",
    "../repo",
    "repo",
    "ssh://-oProxyCommand=x/y",
    "ssh://git@-oProxyCommand=x/y",
    "ssh://-oX@example.com/y",
    "-oX:y",
    "git@-oX:y",
    "git@example.com:-oX",
    "https:///host/x",
    "https://",
    "https://exa mple.com/x",
    "https://example.com/x\nhost=evil.com",
    "https://example.com/%0ahost=evil",
    "https://example.com%0a.evil.com/x",
    "https://example.com/a/../b",
    "https://example.com/a/%2e%2E/b",
    "https://example.com/a%2f..%2fb",
    "https://example.com/x?y",
    "https://example.com/x#y",
    "https://example.com\\@evil.com/x",
    "https://example.com/org/\u202egnp.repo",
    "https://example.com/org/%E2%80%AEgnp.repo",
    "https://example.com/org/\U00018d09",
    "https://user:secret-canary@example.com/x",
    "https://good.com:x@evil.com/x",
    "https://example.com:99999/x",
    "https://example.com:x/x",
    "https://169.254.169.254/latest",
    "https://[::ffff:169.254.169.254]/latest",
    "https://metadata.google.internal/x",
    "https://0xa9fea9fe/x",
    "https://2852039166/x",
    "file://host/srv/x",
    "file:///",
    "file:///srv/../etc",
    "https://example.com/" + "x" * 2050,
    "https://exämple.com/x",
]


@pytest.mark.parametrize("text", REFUSED, ids=[repr(text)[:40] for text in REFUSED])
def test_a_dangerous_url_is_refused(text: str) -> None:
    with pytest.raises(Denied) as caught:
        urls.parse(text, allow_file=True, allow_http=True)
    assert "secret-canary" not in str(caught.value)


@pytest.mark.parametrize("text", ["file:///srv/x", "http://example.com/x"])
def test_local_and_unencrypted_urls_need_a_setting(text: str) -> None:
    with pytest.raises(Denied, match=r"set git\.allow"):
        urls.parse(text)


BELOW = [
    ("https://example.com/org/repo", "https://example.com/org", True),
    ("https://example.com/org/repo", "https://example.com/org/", True),
    ("https://example.com/org/repo", "https://example.com", True),
    ("https://example.com/org/repo", "https://example.com/org/repo.git", True),
    ("https://example.com/org-evil/repo", "https://example.com/org", False),
    ("https://example.com.evil.com/org/repo", "https://example.com", False),
    ("https://example.com:8443/org/repo", "https://example.com", False),
    ("http://example.com/org/repo", "https://example.com", False),
    ("git@example.com:org/repo", "ssh://git@example.com/org", True),
    ("root@example.com:org/repo", "ssh://git@example.com/org", False),
    ("git@example.com:org/repo", "git@example.com:org", True),
    ("file:///srv/a/b", "file:///srv/a", True),
    ("https://example.com/org/repo", "not a url", False),
]


@pytest.mark.parametrize(
    ("text", "prefix", "below"), BELOW, ids=[f"{row[0]} < {row[1]}" for row in BELOW]
)
def test_a_prefix_holds_whole_segments_of_one_origin(text: str, prefix: str, below: bool) -> None:
    assert urls.is_below(urls.parse(text, allow_file=True, allow_http=True), prefix) is below


SAME = [
    ("https://github.com/Org/Repo.git", "https://github.com/org/repo", True),
    ("https://github.com/org/repo", "git@github.com:org/repo.git", True),
    ("https://github.com/org/repo", "ssh://git@github.com:22/org/repo", True),
    ("https://host:8443/o/r", "ssh://git@host:7999/o/r", True),
    ("https://host:8443/o/r", "https://host:9443/o/r", False),
    ("https://github.com/org/repo", "https://github.com/org/repo2", False),
    ("https://github.com/org/repo", "https://evil.com/org/repo", False),
    ("https://github.com/org/repo", ".*", False),
]


@pytest.mark.parametrize(("one", "two", "same"), SAME, ids=[f"{row[0]} ~ {row[1]}" for row in SAME])
def test_the_same_repository_is_seen_across_protocols(one: str, two: str, same: bool) -> None:
    assert urls.same_repository(one, two) is same
    assert urls.same_repository(two, one) is same


@given(
    st.text(max_size=60) | st.from_regex(r"(https|ssh|file)://[a-z@:.%/-]{0,30}", fullmatch=True)
)
def test_whatever_is_admitted_is_one_safe_argument(text: str) -> None:
    try:
        url = urls.parse(text, allow_file=True, allow_http=True)
    except Denied:
        return
    called = str(url)
    assert not called.startswith("-")
    assert "::" not in called.partition("://")[0]
    assert called.isprintable()
    assert urls.parse(called, allow_file=True, allow_http=True) == url
