"""Which network addresses nobody may name in a URL: those that lend the machine's own identity.

Cloud metadata services answer on link-local addresses and a few fixed ones; a URL from a repository that points
there is an attempt to borrow the hub's rights (security.md row 37). The check is pure and takes an address or a
host name as text; whoever resolves a name checks every address of the answer again, at connect time.
"""

from __future__ import annotations

import ipaddress

_FORBIDDEN = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "100.100.100.200/32",
        "192.0.0.192/32",
        "::/128",
        "fe80::/10",
        "ff00::/8",
        "fd00:ec2::/32",
    )
)
_METADATA_NAMES = {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}
_NUMERIC = frozenset("0123456789abcdefx.")


def host_refusal(host: str, *, loopback: bool = False) -> str:
    """Say why a host may not be contacted, or return an empty text.

    ``host`` is a name, an address, or an address in brackets; ``loopback`` admits this machine itself.
    """
    name = host.lower().rstrip(".").strip("[]").partition("%")[0]
    if name in _METADATA_NAMES:
        return "names a metadata service"
    if name == "localhost" or name.endswith(".localhost"):
        return "" if loopback else "names this machine itself"
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        # 127.1, 0x7f000001 and 2130706433 are addresses to the C library, though not to a reader.
        odd = name[:1].isdigit() and set(name) <= _NUMERIC and name.rpartition(".")[2][:1].isdigit()
        return "has a host that is an address in disguise" if odd else ""
    return address_refusal(address, loopback=loopback)


def address_refusal(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, loopback: bool = False
) -> str:
    """Say why an address may not be contacted, or return an empty text."""
    plain = _unwrapped(address)
    if plain.is_loopback:
        return "" if loopback else "names this machine itself"
    if any(plain.version == network.version and plain in network for network in _FORBIDDEN):
        return "names a link-local, metadata or multicast address"
    return ""


def _unwrapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address inside the IPv6 forms that carry one (mapped, 6to4, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
