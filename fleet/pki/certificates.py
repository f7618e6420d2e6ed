"""X.509: the hub's own CA, its server certificate, and the agents' client certificates.

All keys are P-256. A CSR is asked for two things only, its public key and the proof that the private key exists;
names, usages and anything else in it are ignored, and the certificate is written from the hub's own record.
Never imported by the agent's long-running process (see `fleet.pki.enrol`).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet.errors import BadInput, Denied

BACKDATE = timedelta(minutes=5)
"""How far notBefore lies in the past: clocks differ."""

_SPIFFE = "spiffe://"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A P-256 public key."""

    key: ec.EllipticCurvePublicKey

    def digest(self) -> str:
        """Name the key: SHA-256 of its SubjectPublicKeyInfo, 64 hex digits; the pin of a CA."""
        return hashlib.sha256(
            self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()

    def verify(self, signature: bytes, payload: bytes) -> None:
        """Check an ECDSA-SHA256 signature; raises Denied."""
        try:
            self.key.verify(signature, payload, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise Denied("the signature does not match the key") from error


class PrivateKey:
    """A P-256 private key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self.key = key
        self.public = PublicKey(key.public_key())

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.digest()[:16]})"

    @classmethod
    def generate(cls) -> PrivateKey:
        """Make a new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def parse(cls, pem: bytes) -> PrivateKey:
        """Read PEM; raises BadInput."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadInput("not a private key in PEM form") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadInput("not a P-256 private key")
        return cls(key)

    def pem(self) -> bytes:
        """Return PKCS #8 PEM, unencrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, payload: bytes) -> bytes:
        """Sign with ECDSA-SHA256 (DER)."""
        return self.key.sign(payload, ec.ECDSA(hashes.SHA256()))


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as far as this project looks at it."""

    raw: x509.Certificate

    @classmethod
    def parse(cls, data: bytes) -> Certificate:
        """Read PEM (the first certificate) or DER; raises BadInput."""
        try:
            if data.lstrip().startswith(b"-----BEGIN"):
                return cls(x509.load_pem_x509_certificate(data))
            return cls(x509.load_der_x509_certificate(data))
        except ValueError as error:
            raise BadInput("not a certificate") from error

    @classmethod
    def parse_bundle(cls, pem: bytes) -> tuple[Certificate, ...]:
        """Read all certificates of a PEM text; raises BadInput where there is none."""
        try:
            return tuple(cls(found) for found in x509.load_pem_x509_certificates(pem))
        except ValueError as error:
            raise BadInput("not a bundle of certificates in PEM form") from error

    def pem(self) -> str:
        """Return PEM text."""
        return self.raw.public_bytes(Encoding.PEM).decode()

    def der(self) -> bytes:
        """Return the bytes a fingerprint is taken of."""
        return self.raw.public_bytes(Encoding.DER)

    def fingerprint(self) -> str:
        """Name the certificate."""
        return fingerprint(self.der())

    def public_key(self) -> PublicKey:
        """Return its key; raises BadInput for another kind than P-256."""
        return _p256(self.raw.public_key())

    @property
    def not_before(self) -> datetime:
        """Begin of validity."""
        return self.raw.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """End of validity."""
        return self.raw.not_valid_after_utc

    def uris(self) -> tuple[str, ...]:
        """Return the URI names."""
        return tuple(self._names().get_values_for_type(x509.UniformResourceIdentifier))

    def hosts(self) -> frozenset[str]:
        """Return DNS names and addresses, as text."""
        names = self._names()
        dns = names.get_values_for_type(x509.DNSName)
        addresses = names.get_values_for_type(x509.IPAddress)
        return frozenset(dns) | {str(address) for address in addresses}

    def _names(self) -> x509.SubjectAlternativeName:
        try:
            return self.raw.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return x509.SubjectAlternativeName([])


def fingerprint(der: bytes) -> str:
    """Name a certificate: SHA-256 of its DER bytes, 64 hex digits."""
    return hashlib.sha256(der).hexdigest()


@dataclass(frozen=True, slots=True)
class Ca:
    """A certificate authority."""

    key: PrivateKey
    certificate: Certificate

    def pin(self) -> str:
        """Return what a join token carries to recognise it."""
        return self.certificate.public_key().digest()


def create_ca(name: str, lifetime: timedelta, now: datetime) -> Ca:
    """Make a self-signed CA that may sign end certificates only."""
    key = PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    builder = (
        _builder(subject, key.public, lifetime, now)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public.key), critical=False
        )
    )
    return Ca(key, Certificate(builder.sign(key.key, hashes.SHA256())))


def issue_server(
    ca: Ca, public: PublicKey, hosts: Sequence[str], lifetime: timedelta, now: datetime
) -> Certificate:
    """Certify the hub's listener under DNS names and addresses; raises BadInput for what is neither."""
    if not hosts:
        raise BadInput("a server certificate needs at least one name")
    names = x509.SubjectAlternativeName([_host(host) for host in hosts])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gitops-fleet hub")])
    return _issue(ca, subject, public, names, ExtendedKeyUsageOID.SERVER_AUTH, lifetime, now)


def host_names(hosts: Sequence[str]) -> frozenset[str]:
    """Return names and addresses in the form certificates carry them; raises BadInput."""
    return frozenset(str(_host(host).value) for host in hosts)


def issue_client(
    ca: Ca, public: PublicKey, *, hub: str, cluster_id: str, lifetime: timedelta, now: datetime
) -> Certificate:
    """Certify a cluster's agent; everything in it comes from the hub."""
    names = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(spiffe_id(hub, cluster_id))]
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cluster_id)])
    return _issue(ca, subject, public, names, ExtendedKeyUsageOID.CLIENT_AUTH, lifetime, now)


def spiffe_id(hub: str, cluster_id: str) -> str:
    """Return the URI name of a cluster's agent."""
    return f"{_SPIFFE}{hub}/cluster/{cluster_id}"


def create_csr(key: PrivateKey) -> bytes:
    """Ask for a certificate: a public key and its proof, no names."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def key_from_csr(pem: bytes) -> PublicKey:
    """Take the public key out of a CSR after checking its self-signature; raises BadInput, Denied."""
    try:
        request = x509.load_pem_x509_csr(pem)
        is_signed = request.is_signature_valid
        public = request.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput("not a certificate signing request in PEM form") from error
    if not is_signed:
        raise Denied("the certificate request is not signed by its own key")
    return _p256(public)


def _p256(key: object) -> PublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput("not a P-256 key")
    return PublicKey(key)


def _issue(
    ca: Ca,
    subject: x509.Name,
    public: PublicKey,
    names: x509.SubjectAlternativeName,
    purpose: x509.ObjectIdentifier,
    lifetime: timedelta,
    now: datetime,
) -> Certificate:
    lifetime = min(lifetime, ca.certificate.not_after - now)
    if lifetime <= timedelta():
        raise Denied("the CA has expired")
    builder = (
        _builder(subject, public, lifetime, now)
        .issuer_name(ca.certificate.raw.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public.key), critical=False
        )
    )
    return Certificate(builder.sign(ca.key.key, hashes.SHA256()))


def _builder(
    subject: x509.Name, public: PublicKey, lifetime: timedelta, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public.key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - BACKDATE)
        .not_valid_after(now.astimezone(UTC) + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public.key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(name: str) -> x509.IPAddress | x509.DNSName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        if not name:
            raise ValueError("empty")
        return x509.DNSName(name.encode("idna").decode())
    except (UnicodeError, ValueError) as error:
        raise BadInput(f"not a host name: {name!r}") from error
