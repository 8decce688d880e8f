"""What waits in the spool, read beside the processes that write it."""

import sqlite3
from contextlib import closing

import pytest

from gateway.queue.entry import Entry
from gateway.queue.spool.file import SpoolFile
from gateway.queue.spool.totals import spooled


def entry(number):
    fields = ("event", "x" * 1_000)
    return Entry(
        stream="free", mark=number.to_bytes(16, "big"), keep_ms=1_000, conversation="one", fields=fields, size=1_000
    )


def test_no_folder_and_an_empty_one(tmp_path):
    assert spooled(tmp_path / "none") == (0, 0, None)
    assert spooled(tmp_path) == (0, 0, None)


def test_all_processes_while_they_write(tmp_path):
    with (
        closing(SpoolFile(tmp_path / "spool-0.sqlite3", 1)) as one,
        closing(SpoolFile(tmp_path / "spool-1.sqlite3", 1)) as two,
    ):
        one.append([entry(n) for n in range(30)])
        first = one.oldest_at()
        two.append([entry(n) for n in range(30, 50)])
        entries, size, oldest_at = spooled(tmp_path)
        assert entries == 50
        assert size > 50 * 1_000
        assert oldest_at == first
        one.remove([(row.seq, row.mark) for row in one.peek(0, after=0, most=30, most_bytes=10**9)])
        assert spooled(tmp_path).entries == 20
        assert spooled(tmp_path).bytes < size
        two.remove([(row.seq, row.mark) for row in two.peek(0, after=0, most=20, most_bytes=10**9)])
        assert spooled(tmp_path) == (0, 0, None)


def test_what_a_dead_process_left_counts(tmp_path):
    with closing(SpoolFile(tmp_path / "spool-0.sqlite3", 1)) as file:
        file.append([entry(1)])
    assert spooled(tmp_path).entries == 1


def test_a_file_that_was_just_made_has_no_table_yet(tmp_path):
    sqlite3.connect(tmp_path / "spool-0.sqlite3").close()
    (tmp_path / "spool-0.sqlite3").touch()
    assert spooled(tmp_path) == (0, 0, None)


def test_a_damaged_file_is_said(tmp_path):
    (tmp_path / "spool-0.sqlite3").write_bytes(b"no database, " * 1_000)
    with pytest.raises(sqlite3.DatabaseError):
        spooled(tmp_path)
