"""The scratch disk: a directory for each process, and none for the dead."""

import os
from contextlib import ExitStack

import pytest

from gateway import scratch as module
from gateway.queue import locks
from gateway.scratch import scratch


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not(tmp_path):
    (tmp_path / "scratch-dead").mkdir()
    (tmp_path / "scratch-dead" / "mail.eml").write_bytes(b"half a mail")
    with scratch(tmp_path) as ours:
        (ours / "mail.eml").write_bytes(b"mine")
        with scratch(tmp_path) as others:
            assert sorted(tmp_path.iterdir()) == sorted([ours, others])
            assert (ours / "mail.eml").read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["before it is locked", "while it is looked at"])
def test_one_who_starts_at_the_same_moment_takes_nothing_away(tmp_path, monkeypatch, moment):
    real, meanwhile = locks.try_exclusive, ExitStack()

    def interrupted(path):
        monkeypatch.setattr(module, "try_exclusive", real)
        if moment == "before it is locked":
            meanwhile.enter_context(scratch(tmp_path))
        else:
            looking = real(path)
            assert looking is not None
            meanwhile.callback(os.close, looking)
        return real(path)

    monkeypatch.setattr(module, "try_exclusive", interrupted)
    with meanwhile, scratch(tmp_path) as ours:
        assert ours.is_dir()
        assert real(ours / "lock") is None
        with scratch(tmp_path):
            assert ours.is_dir()
