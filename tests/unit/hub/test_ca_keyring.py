"""The hub's key files: made once, kept private, renewed in time, overlapping."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.errors import BadInput, NotReady, Transient
from fleet.pki.certificates import Certificate
from fleet.pki.files import write_private
from hub.keyring import Keyring, Lifetimes

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LIFETIMES = Lifetimes(ca=100 * DAY, ca_overlap=20 * DAY, server=9 * DAY)
HOSTS = ("hub.example.com", "10.0.0.7")


def opened(folder: Path, now: datetime = NOW, hosts: tuple[str, ...] = HOSTS) -> Keyring:
    return Keyring.open(folder, hosts, LIFETIMES, now)


def server(folder: Path) -> Certificate:
    return Certificate.parse((folder / "server.crt").read_bytes())


def test_the_first_start_makes_private_files_and_the_next_reads_them(tmp_path: Path) -> None:
    first = opened(tmp_path / "pki")
    before = {path.name: path.read_bytes() for path in (tmp_path / "pki").iterdir()}
    second = opened(tmp_path / "pki")

    assert set(before) == {"ca-1.crt", "ca-1.key", "server.crt", "server.key", "signing-1.key"}
    assert {path.name: path.read_bytes() for path in (tmp_path / "pki").iterdir()} == before
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "pki").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    assert first.client_ca.pin() == second.client_ca.pin()
    assert first.secret("x") == second.secret("x")
    assert first.secret("x") != first.secret("y")


def test_without_leave_to_create_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(NotReady):
        Keyring.open(tmp_path, HOSTS, LIFETIMES, NOW, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("days", "is_new"), [(5, False), (7, True)])
def test_the_listeners_certificate_is_renewed_in_its_last_third(
    tmp_path: Path, days: int, is_new: bool
) -> None:
    keyring = opened(tmp_path)
    before = server(tmp_path)

    assert keyring.refresh(NOW + days * DAY) is is_new
    assert (server(tmp_path) != before) is is_new


@pytest.mark.parametrize("name", ["server.key", "server.crt"])
def test_a_renewal_that_the_disk_did_not_take_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    keyring = opened(tmp_path)
    before = server(tmp_path)

    def full(path: Path, data: bytes) -> None:
        if path.name == name:
            raise Transient(f"{name} cannot be written: no space left on device")
        write_private(path, data)

    monkeypatch.setattr("hub.keyring.write_private", full)
    with pytest.raises(Transient):
        keyring.refresh(NOW + 7 * DAY)
    monkeypatch.undo()
    assert keyring.refresh(NOW + 7 * DAY)
    assert server(tmp_path) != before


def test_other_hosts_ask_for_another_listeners_certificate(tmp_path: Path) -> None:
    opened(tmp_path)
    before = server(tmp_path)
    opened(tmp_path, hosts=("10.0.0.7", "hub.example.com"))
    assert server(tmp_path) == before
    opened(tmp_path, hosts=("other.example.com",))
    assert server(tmp_path).hosts() == {"other.example.com"}


@pytest.mark.parametrize("lost", ["server.crt", "server.key"])
def test_half_a_pair_is_made_anew(tmp_path: Path, lost: str) -> None:
    """As a crash between the two files leaves it."""
    opened(tmp_path)
    before = server(tmp_path)
    (tmp_path / lost).unlink()
    opened(tmp_path)

    assert server(tmp_path) != before


def test_cas_overlap_and_agents_hear_of_the_new_one_before_they_meet_it(tmp_path: Path) -> None:
    keyring = opened(tmp_path)
    old = keyring.client_ca
    later = NOW + 81 * DAY
    assert keyring.refresh(later)

    assert keyring.client_ca.pin() != old.pin(), "new certificates are signed by the new one"
    bundle = Certificate.parse_bundle(keyring.bundle().encode())
    assert {found.public_key().digest() for found in bundle} == {old.pin(), keyring.client_ca.pin()}
    assert keyring.server_ca(later).pin() == old.pin(), "the listener stays with the old one"
    server(tmp_path).raw.verify_directly_issued_by(old.certificate.raw)

    near_the_end = NOW + 95 * DAY
    keyring.refresh(near_the_end)
    assert keyring.server_ca(near_the_end).pin() == keyring.client_ca.pin()
    server(tmp_path).raw.verify_directly_issued_by(keyring.client_ca.certificate.raw)

    assert opened(tmp_path, now=NOW + 101 * DAY).bundle() == keyring.client_ca.certificate.pem()


def test_a_new_signing_key_signs_beside_the_old_until_that_is_retired(tmp_path: Path) -> None:
    keyring = opened(tmp_path)
    [old] = keyring.signing_keys
    new = keyring.introduce_signing_key()
    assert [key.id for key in keyring.signing_keys] == [old.id, new.id]
    assert [key.id for key in opened(tmp_path).signing_keys] == [old.id, new.id]

    keyring.retire_signing_key(old.id)
    assert [key.id for key in keyring.signing_keys] == [new.id]
    assert [key.id for key in opened(tmp_path).signing_keys] == [new.id]
    with pytest.raises(BadInput):
        keyring.retire_signing_key(new.id)


def test_broken_key_files_are_named(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "signing-1.key").write_text("x")
    with pytest.raises(BadInput, match=r"signing-1\.key"):
        opened(tmp_path)
