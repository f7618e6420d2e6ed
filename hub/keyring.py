"""The hub's own keys, as files of mode 0600 in one folder.

``ca-N.key`` and ``ca-N.crt``: the CAs; the newest signs agents' certificates, the oldest that lives long enough
signs the listener's, so that every agent has heard of a CA before it meets it (two overlap for `ca_overlap`).
``signing-N.key``: Ed25519 keys that sign assignments; with two, both sign and both are announced; the older is
retired by removing its file. ``server.key``, ``server.crt``: the listener's, made anew when it gets old.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fleet.errors import BadInput, NotReady, Transient
from fleet.pki.certificates import (
    Ca,
    Certificate,
    PrivateKey,
    create_ca,
    host_names,
    issue_server,
)
from fleet.pki.files import read_private, write_private
from fleet.pki.keys import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long the hub's own certificates are good."""

    ca: timedelta = timedelta(days=3650)
    ca_overlap: timedelta = timedelta(days=120)
    """A new CA is made this long before the old one ends; longer than any agent may be away."""
    server: timedelta = timedelta(days=30)


class Keyring:
    """Keys in memory, loaded or made by `open`; `refresh` makes what time asks for."""

    def __init__(self, folder: Path, hosts: Sequence[str], lifetimes: Lifetimes) -> None:
        self._folder = folder
        self._hosts = tuple(dict.fromkeys(hosts))
        self._lifetimes = lifetimes
        self._cas: list[Ca] = []
        self._signing: list[SigningKey] = []
        self._server: Certificate | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        hosts: Sequence[str],
        lifetimes: Lifetimes,
        now: datetime,
        *,
        create: bool = True,
    ) -> Keyring:
        """Load the keys, or make them; with ``create`` off their absence is NotReady. Raises BadInput, Transient."""
        keyring = cls(folder, hosts, lifetimes)
        keyring._load()
        if not create and not keyring._cas:
            raise NotReady(
                f"agents have joined, but the hub's keys are not in {folder.name}",
                hint="restore them from a backup; with new keys every agent would have to join again",
            )
        keyring.refresh(now)
        return keyring

    @property
    def signing_keys(self) -> tuple[SigningKey, ...]:
        """Keys that sign assignments, oldest first."""
        return tuple(self._signing)

    @property
    def client_ca(self) -> Ca:
        """Signs agents' certificates."""
        return self._cas[-1]

    @property
    def server_certificate_files(self) -> tuple[Path, Path]:
        """Certificate and key of the listener."""
        return self._folder / "server.crt", self._folder / "server.key"

    def server_ca(self, now: datetime) -> Ca:
        """Signs the listener's certificate; a join token's pin names it."""
        lasting = [
            ca for ca in self._cas if ca.certificate.not_after - now > self._lifetimes.server
        ]
        return (lasting or self._cas[-1:])[0]

    def bundle(self) -> str:
        """Return the CA certificates, PEM."""
        return "".join(ca.certificate.pem() for ca in self._cas)

    def secret(self, purpose: str) -> bytes:
        """Derive a secret that lasts as long as the CA."""
        return hashlib.sha256(purpose.encode() + b"\0" + self._cas[0].key.pem()).digest()

    def refresh(self, now: datetime) -> bool:
        """Make CA, signing key and listener's certificate where missing or old; True if any was made."""
        made = self._refresh_ca(now)
        if not self._signing:
            self.introduce_signing_key()
        if made or self._is_server_due(now):
            self._make_server(now)
            made = True
        return made

    def introduce_signing_key(self) -> SigningKey:
        """Add a key; from now on both sign, and agents learn of the new one from the old one."""
        number = _next(self._folder, "signing")
        key = SigningKey.generate()
        key.save(self._folder / f"signing-{number}.key")
        self._signing.append(key)
        return key

    def retire_signing_key(self, key_id: str) -> None:
        """Stop signing with a key; raises BadInput for the last one."""
        for path in _numbered(self._folder, "signing"):
            if SigningKey.load(path).id == key_id and len(self._signing) > 1:
                path.unlink()
                self._signing = [key for key in self._signing if key.id != key_id]
                return
        raise BadInput(f"no signing key {key_id} that could be retired")

    def _load(self) -> None:
        self._signing = [SigningKey.load(path) for path in _numbered(self._folder, "signing")]
        for path in _numbered(self._folder, "ca"):
            certificate = Certificate.parse(read_private(path.with_suffix(".crt")))
            self._cas.append(Ca(PrivateKey.parse(read_private(path)), certificate))
        certificate_file, _ = self.server_certificate_files
        if certificate_file.exists():
            self._server = Certificate.parse(read_private(certificate_file))

    def _refresh_ca(self, now: datetime) -> bool:
        alive = [ca for ca in self._cas if ca.certificate.not_after > now]
        dropped = len(alive) < len(self._cas)
        self._cas = alive
        if self._cas and self._cas[-1].certificate.not_after - now > self._lifetimes.ca_overlap:
            return dropped
        number = _next(self._folder, "ca")
        ca = create_ca(f"gitops-fleet CA {number}", self._lifetimes.ca, now)
        # the certificate first: a key file says that both are there
        write_private(self._folder / f"ca-{number}.crt", ca.certificate.pem().encode())
        write_private(self._folder / f"ca-{number}.key", ca.key.pem())
        self._cas.append(ca)
        return True

    def _is_server_due(self, now: datetime) -> bool:
        if self._server is None or not self.server_certificate_files[1].exists():
            return True
        left = self._server.not_after - now
        return self._server.hosts() != host_names(self._hosts) or left < self._lifetimes.server / 3

    def _make_server(self, now: datetime) -> None:
        key = PrivateKey.generate()
        ca = self.server_ca(now)
        made = issue_server(ca, key.public, self._hosts, self._lifetimes.server, now)
        certificate_file, key_file = self.server_certificate_files
        # a crash between the two leaves a pair that does not match; removing the first makes both anew
        self._server = None
        try:
            certificate_file.unlink(missing_ok=True)
        except OSError as error:
            raise Transient(
                f"{certificate_file.name} cannot be replaced: {error.strerror}"
            ) from error
        write_private(key_file, key.pem())
        write_private(certificate_file, made.pem().encode())
        self._server = made


def _numbered(folder: Path, stem: str) -> list[Path]:
    found = {path: path.stem.removeprefix(f"{stem}-") for path in folder.glob(f"{stem}-*.key")}
    return sorted((path for path, n in found.items() if n.isdigit()), key=lambda p: int(found[p]))


def _next(folder: Path, stem: str) -> int:
    numbered = _numbered(folder, stem)
    return 1 + (int(numbered[-1].stem.removeprefix(f"{stem}-")) if numbered else 0)
