"""Certificates: what is in them, and that a CSR can ask for nothing."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet.errors import BadInput, Denied
from fleet.pki import certificates
from fleet.pki.certificates import Certificate, PrivateKey

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CA = certificates.create_ca("test CA", 100 * DAY, NOW)
KEY = PrivateKey.generate()
HUB, CLUSTER = "hub-id", "0d9c1bb1-5ab0-4b39-8b5f-0d8f8a7e0001"


def client(key: PrivateKey = KEY, lifetime: timedelta = DAY) -> Certificate:
    return certificates.issue_client(
        CA, key.public, hub=HUB, cluster_id=CLUSTER, lifetime=lifetime, now=NOW
    )


def csr(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    names: list[x509.NameAttribute[str]],
    *extensions: x509.ExtensionType,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def common(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, text)


def organization(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)


def uri(text: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(text)])


@pytest.mark.parametrize(
    "request_pem",
    [
        pytest.param(csr(KEY.key, [common("prod10")]), id="a longer name"),
        pytest.param(csr(KEY.key, [common("prod1:x")]), id="a name with a suffix"),
        pytest.param(csr(KEY.key, [common("PROD1")]), id="another case"),
        pytest.param(csr(KEY.key, [organization("prod10")]), id="organization"),
        pytest.param(
            csr(KEY.key, [common("prod10"), organization("prod10")]), id="consistently wrong"
        ),
        pytest.param(csr(KEY.key, [], uri("spiffe://hub-id/cluster/other")), id="other URI"),
        pytest.param(
            csr(KEY.key, [], x509.SubjectAlternativeName([x509.DNSName("hub.example.com")])),
            id="the hub's name",
        ),
        pytest.param(
            csr(KEY.key, [], x509.BasicConstraints(ca=True, path_length=None)),
            id="wants to be a CA",
        ),
        pytest.param(
            csr(KEY.key, [], x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
            id="wants to be a server",
        ),
        pytest.param(certificates.create_csr(KEY), id="ours"),
    ],
)
def test_of_a_csr_only_the_key_is_taken(request_pem: bytes) -> None:
    """Row 94 of the security table."""
    public = certificates.key_from_csr(request_pem)
    issued = certificates.issue_client(
        CA, public, hub=HUB, cluster_id=CLUSTER, lifetime=DAY, now=NOW
    ).raw

    assert public.digest() == KEY.public.digest()
    assert issued.subject.rfc4514_string() == f"CN={CLUSTER}"
    extensions = issued.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(f"spiffe://{HUB}/cluster/{CLUSTER}")]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    key_usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert key_usage.digital_signature
    assert not key_usage.key_cert_sign


def forged() -> bytes:
    """Somebody else's public key, under a signature of one's own."""
    ours = PrivateKey.generate()
    honest = x509.load_pem_x509_csr(certificates.create_csr(ours))
    point, theirs = (key.public.key.public_numbers() for key in (ours, KEY))
    der = honest.public_bytes(Encoding.DER)
    for mine, wanted in ((point.x, theirs.x), (point.y, theirs.y)):
        der = der.replace(mine.to_bytes(32, "big"), wanted.to_bytes(32, "big"))
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("pem", "error"),
    [
        pytest.param(b"", BadInput, id="empty"),
        pytest.param(
            b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            BadInput,
            id="not DER",
        ),
        pytest.param(client().pem().encode(), BadInput, id="a certificate"),
        pytest.param(csr(ec.generate_private_key(ec.SECP384R1()), []), BadInput, id="P-384"),
        pytest.param(csr(ed25519.Ed25519PrivateKey.generate(), []), BadInput, id="Ed25519"),
        pytest.param(csr(rsa.generate_private_key(65537, 1024), []), BadInput, id="RSA"),
        pytest.param(forged(), Denied, id="the key of somebody else"),
    ],
)
def test_what_is_no_request_of_the_keys_owner_is_refused(
    pem: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        certificates.key_from_csr(pem)


def test_times() -> None:
    issued = client(lifetime=timedelta(seconds=60))

    assert issued.not_before == NOW - timedelta(minutes=5)
    assert issued.not_after == NOW + timedelta(seconds=60)


def test_nothing_outlives_its_ca() -> None:
    assert client(lifetime=1000 * DAY).not_after == CA.certificate.not_after
    with pytest.raises(Denied, match="expired"):
        certificates.issue_client(
            CA, KEY.public, hub=HUB, cluster_id=CLUSTER, lifetime=DAY, now=NOW + 101 * DAY
        )


def test_the_chain_holds_and_serials_differ() -> None:
    first, second = client(), client()
    first.raw.verify_directly_issued_by(CA.certificate.raw)

    assert first.raw.serial_number != second.raw.serial_number
    assert first.fingerprint() != second.fingerprint()
    assert Certificate.parse(first.pem().encode()) == Certificate.parse(first.der())


def test_the_server_certificate_names_hosts_and_addresses() -> None:
    hosts = ["hub.example.com", "10.0.0.7", "::1", "bücher.example"]
    issued = certificates.issue_server(CA, KEY.public, hosts, DAY, NOW)

    assert issued.hosts() == {"hub.example.com", "10.0.0.7", "::1", "xn--bcher-kva.example"}
    assert issued.hosts() == certificates.host_names(hosts)
    names = issued.raw.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ipaddress.ip_address("10.0.0.7") in names.get_values_for_type(x509.IPAddress)
    usage = issued.raw.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


@pytest.mark.parametrize("hosts", [[], [""], ["a..b"], ["x" * 300]])
def test_hosts_that_are_none(hosts: list[str]) -> None:
    with pytest.raises(BadInput):
        certificates.issue_server(CA, KEY.public, hosts, DAY, NOW)


def test_the_pin_is_of_the_public_key_and_survives_a_new_certificate() -> None:
    again = Certificate.parse_bundle((CA.certificate.pem() + client().pem()).encode())

    assert again[0].public_key().digest() == CA.pin()
    assert len(again) == 2


@pytest.mark.parametrize(
    "data", [b"", b"x", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(BadInput):
        Certificate.parse(data)
    with pytest.raises(BadInput):
        Certificate.parse_bundle(data)


@pytest.mark.parametrize(
    "pem",
    [b"", b"x", client().pem().encode()],
)
def test_what_is_no_private_key(pem: bytes) -> None:
    with pytest.raises(BadInput):
        PrivateKey.parse(pem)
