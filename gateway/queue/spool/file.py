"""One spool file: SQLite, every transaction fsynced. Blocking: only the spool's own thread calls it."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway.queue.entry import Entry, Published
from gateway.queue.keys import conversation_hash
from gateway.queue.spool.rows import COLUMNS, SCHEMA, Damaged, Row, Spooled, is_sound, read

_INSERT = f"INSERT INTO entries(seq, {COLUMNS}) VALUES(?,?,?,?,?,?,?,?,?)"
_UNSOUND = """
SELECT 1 FROM entries WHERE typeof(partition)!='integer' OR typeof(conversation)!='integer' OR typeof(mark)!='blob'
    OR typeof(fingerprint)!='blob' OR typeof(spooled_at)!='real' OR typeof(sent)!='integer' OR typeof(size)!='integer'
    OR typeof(entry)!='blob' LIMIT 1"""
_KEPT_FREE = 8 * 2**20
"""A full disk refuses deletions too: this much is given up then, so that a spool can always be drained."""
_encode = msgspec.msgpack.Encoder().encode


class SpoolFile:
    """The entries of one process, in order of arrival, each once."""

    def __init__(self, path: Path, partitions: int) -> None:
        """Raises sqlite3.Error; DatabaseError where it is no such file, or a damaged one."""
        self._path, self._partitions = path, partitions
        self._ballast = path.with_suffix(".ballast")
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "fullfsync=1", "temp_store=MEMORY"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.executescript(SCHEMA)
            self._db.text_factory = bytes  # what a flipped bit has made text must not stop the reading
            check = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check not in ("ok", b"ok") or self._db.execute(_UNSOUND).fetchone() is not None:
                raise Damaged
            # The number of partitions may be another than when they came, and what became of them nobody remembers.
            self._db.execute(
                "UPDATE entries SET partition=conversation%?1, sent=1 WHERE partition!=conversation%?1 OR NOT sent",
                (partitions,),
            )
        except (sqlite3.Error, ValueError):
            self._db.close()
            raise
        # An index of random marks would be written page by page with every batch; this process is the only writer.
        self._marks: dict[bytes, bytes] = dict(self._db.execute("SELECT mark, fingerprint FROM entries"))
        self._last = self._db.execute("SELECT coalesce(max(seq), 0) FROM entries").fetchone()[0]
        self.refill()

    def append(self, entries: Sequence[Entry], sent: bool = False) -> tuple[list[Published], list[Spooled]]:
        """Each entry's answer, and those that are new here; durable when it returns. Raises sqlite3.Error."""
        answers: list[Published] = []
        added: list[Spooled] = []
        rows: list[tuple[object, ...]] = []
        marks: dict[bytes, bytes] = {}
        seq, now, partitions = self._last, time.time(), self._partitions
        for entry in entries:
            mark = entry.mark
            answer = self._again(mark, entry.fingerprint, marks)
            answers.append(answer)
            if answer is Published.NEW:
                seq += 1
                marks[mark] = entry.fingerprint
                conversation = conversation_hash(entry.conversation)
                content = _encode(entry)
                size, partition = len(content), conversation % partitions
                rows.append((seq, partition, conversation, mark, entry.fingerprint, now, sent, size, content))
                added.append(Spooled(seq, partition, conversation, mark, size, now, sent, entry, content))
        self._write(rows, marks, seq)
        return answers, added

    def _again(self, mark: bytes, fingerprint: bytes, beside: Mapping[bytes, bytes]) -> Published:
        kept = self._marks.get(mark)
        kept = beside.get(mark) if kept is None else kept
        if kept is None:
            return Published.NEW
        return Published.DUPLICATE if not fingerprint or fingerprint == kept else Published.CONFLICT

    def _write(self, rows: Sequence[tuple[object, ...]], marks: Mapping[bytes, bytes], last: int) -> None:
        if rows:
            with self._transaction():
                self._db.executemany(_INSERT, rows)
            self._marks.update(marks)
            self._last = last

    def peek(self, partition: int, *, after: int, most: int, most_bytes: int) -> list[Spooled]:
        """The oldest that wait behind the number `after`, at least one where there is one."""
        rows: list[Spooled] = []
        size = 0
        found = self._db.execute(
            f"SELECT seq, {COLUMNS} FROM entries WHERE partition=? AND seq>? ORDER BY seq LIMIT ?",
            (partition, after, most),
        )
        for columns in found:
            row = read(columns)
            size += row.size
            if rows and size > most_bytes:
                break
            rows.append(row)
        found.close()
        return rows

    def remove(self, rows: Sequence[tuple[int, bytes]]) -> set[int]:
        """Forget what has been published, by number and mark; the numbers that stood here. Raises sqlite3.Error."""
        try:
            gone = self._delete(rows)
        except sqlite3.OperationalError:
            self.give_up_ballast()
            gone = self._delete(rows)
        for _, mark in rows:
            self._marks.pop(mark, None)
        return gone

    def _delete(self, rows: Sequence[tuple[int, bytes]]) -> set[int]:
        with self._transaction():
            delete = "DELETE FROM entries WHERE seq=? AND mark=?"
            return {row[0] for row in rows if self._db.execute(delete, row).rowcount}

    def take(self, rows: Sequence[Row]) -> list[Spooled]:
        """Write down rows of another file, as `rows` gives them; those that are new here. Raises sqlite3.Error."""
        added: list[Spooled] = []
        ours: list[tuple[object, ...]] = []
        marks: dict[bytes, bytes] = {}
        seq = self._last
        for columns in rows:
            row, fingerprint = read(columns), columns[4]
            # Another content under the same key was accepted there: what becomes of it is the replay's to say.
            if self._again(row.mark, fingerprint, marks) is not Published.DUPLICATE:
                seq += 1
                row = row._replace(seq=seq, partition=row.conversation % self._partitions, sent=True)
                if row.mark not in self._marks:
                    marks.setdefault(row.mark, fingerprint)
                ours.append((seq, row.partition, *columns[2:6], True, *columns[7:]))
                added.append(row)
        self._write(ours, marks, seq)
        return added

    def rows(self, *, most: int, most_bytes: int) -> list[Row]:
        """The oldest, as they stand, at least one where there is one."""
        taken: list[Row] = []
        size = 0
        found = self._db.execute(f"SELECT seq, {COLUMNS} FROM entries ORDER BY seq LIMIT ?", (most,))
        for columns in found:
            if not is_sound(columns):
                raise Damaged
            size += columns[7]
            if taken and size > most_bytes:
                break
            taken.append(columns)
        found.close()
        return taken

    def sums(self) -> tuple[int, int, float | None]:
        """Entries, their bytes, and when the oldest came (Unix time)."""
        entries, size, oldest = self._db.execute(
            "SELECT count(*), total(size), min(spooled_at) FROM entries"
        ).fetchone()
        return entries, int(size), oldest

    def conversations(self) -> Iterator[tuple[int, int, int]]:
        """Partition, conversation and number of its entries."""
        yield from self._db.execute("SELECT partition, conversation, count(*) FROM entries GROUP BY 1, 2")

    def oldest_at(self) -> float | None:
        """When the oldest came (Unix time)."""
        row = self._db.execute("SELECT spooled_at FROM entries ORDER BY seq LIMIT 1").fetchone()
        return row[0] if row else None

    def give_up_ballast(self) -> None:
        """Make room on a full disk."""
        self._ballast.unlink(missing_ok=True)

    def refill(self) -> None:
        """Once it is empty: give the disk back, and set the ballast aside where there is room."""
        if self.sums()[0]:
            return
        try:
            if self._path.stat().st_size > _KEPT_FREE:
                self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if not self._ballast.exists():
                with self._ballast.open("wb") as ballast:
                    for _ in range(_KEPT_FREE // 2**20):
                        ballast.write(bytes(2**20))
        except (sqlite3.Error, OSError):
            self.give_up_ballast()  # half of it would be mistaken for all of it

    def close(self) -> None:
        """Close the file; the ballast goes with an empty one."""
        try:
            if not self.sums()[0]:
                self.give_up_ballast()
        finally:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # on a full disk SQLite has rolled back already, and ROLLBACK would hide why
                self._db.execute("ROLLBACK")
            raise
