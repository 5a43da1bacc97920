"""Mirrors a service's stories into a file, as a customer's program does: `URL FOLDER`."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from dateline_client import Client, FilePlace, Retries

FILE = "mirror.sqlite"
PATIENT = Retries(attempts=10**6, first_s=0.1, longest_s=2.0)  # the service is killed meanwhile


def opened(folder: Path) -> sqlite3.Connection:
    """The mirror's database."""
    database = sqlite3.connect(folder / FILE, timeout=60, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE IF NOT EXISTS items (uri TEXT PRIMARY KEY, version, headline)")
    return database


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    database = opened(folder)
    client = Client(url, "demo-reader", retries=PATIENT)
    place = FilePlace(folder / "place.json")
    for entry in client.follow(place=place, page_size=20, wait=5):
        item = entry.item
        if entry.gone:
            database.execute("DELETE FROM items WHERE uri = ?", (item.uri,))
        else:
            row = (item.uri, item.version, item.headline)
            database.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", row)


if __name__ == "__main__":
    main()
