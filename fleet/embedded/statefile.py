"""The objects of a server in a SQLite file, so that a cluster outlives its process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from fleet.codec import canonical
from fleet.embedded.crds import CRDS
from fleet.embedded.store import Store
from fleet.errors import BadInput, Where

_TABLE = (
    "CREATE TABLE IF NOT EXISTS objects (grp TEXT, plural TEXT, namespace TEXT, name TEXT, body BLOB, "
    "PRIMARY KEY (grp, plural, namespace, name)) WITHOUT ROWID"
)


def save(store: Store, path: Path) -> None:
    """Write all objects in one transaction: after a crash the file holds this moment or the one before."""
    rows = [
        (
            key[0],
            key[1],
            obj["metadata"].get("namespace") or "",
            obj["metadata"]["name"],
            msgspec.json.encode(obj),
        )
        for key, obj in store.all()
    ]
    try:
        path.touch(mode=0o600)  # there may be Secrets among the objects
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(_TABLE)
            connection.execute("DELETE FROM objects")
            connection.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError) as error:
        raise BadInput(
            f"the objects cannot be kept: {error}", where=Where(file=str(path))
        ) from error


def load(path: Path) -> Store:
    """A store with the objects of a file, empty where there is no file; raises BadInput for a file that is none."""
    try:
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(_TABLE)
            rows = connection.execute("SELECT grp, plural, body FROM objects").fetchall()
    except (sqlite3.Error, OSError) as error:
        raise BadInput(
            f"not a file of kept objects: {error}", where=Where(file=str(path))
        ) from error
    objects = [((group, plural), canonical.decode(body)) for group, plural, body in rows]
    versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in objects]
    store = Store(version=max(versions, default=1000))
    # definitions first, so that whoever reads the store in order knows the kinds
    for key, obj in sorted(objects, key=lambda item: item[0] != CRDS):
        store.restore(key, obj)
    return store
