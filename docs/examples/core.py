"""A core in Python: every ticket once in SQLite, however often this process is killed.

python -m docs.examples.core redis://127.0.0.1:6390 tickets.db core-1
"""

import asyncio
import logging
import os
import signal
import sqlite3
import sys

from gateway.queue.consumer import Consumer, Defer, Delivery

SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    id TEXT PRIMARY KEY, reference TEXT, conversation TEXT, tier TEXT, kind TEXT, subject TEXT, text TEXT
);
CREATE TABLE IF NOT EXISTS conversations (name TEXT PRIMARY KEY, messages INTEGER NOT NULL);
"""


class Tickets:
    """The database of this core. `store` may be called again and again with the same envelope."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        if self._db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":  # once and for all; asking needs no lock
            self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(SCHEMA)

    async def store(self, delivery: Delivery) -> None:
        """The id and all that follows from it in one transaction: that is what makes it happen once."""
        event, data = delivery.envelope, delivery.envelope["data"]
        conversation = f"{event['source']} {event['subject']}"
        row = (delivery.id, data["reference"], conversation, delivery.tier, data["kind"], data["subject"], data["text"])
        # A few milliseconds. What takes longer belongs in asyncio.to_thread, or nobody hears that we are alive.
        try:
            self._db.execute("BEGIN IMMEDIATE")
            with self._db:
                new = self._db.execute("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row)
                if new.rowcount:
                    self._db.execute(
                        "INSERT INTO conversations VALUES (?, 1) ON CONFLICT DO UPDATE SET messages = messages + 1",
                        (conversation,),
                    )
        except sqlite3.OperationalError as error:
            raise Defer from error  # locked, or the disk is full: no fault of the envelope


async def main(url: str, path: str, name: str) -> None:
    """Consume until SIGTERM or Ctrl-C."""
    consumer = Consumer(url, Tickets(path).store, name=name)
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, consumer.stop)
    logging.info("core.started pid=%d", os.getpid())
    await consumer.run()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m docs.examples.core REDIS_URL DATABASE NAME_OF_THIS_READER")
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(*sys.argv[1:4]))
