"""The proxy that the environment names for an address, looked up once and not for every request."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def environment_proxy(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY give for a URL; None to go there directly.

    Proxies that are themselves spoken to over TLS are left out: the HTTP client does not support them.
    """
    parts = urlsplit(url)
    host, place = parts.hostname, parts.netloc.rpartition("@")[2]
    if not host or proxy_bypass(host) or proxy_bypass(place):
        return None
    proxy = getproxies().get(parts.scheme)
    return proxy if proxy and not proxy.startswith("https:") else None
