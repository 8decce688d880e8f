"""Numbers of several workers: each `share` here stands for the start of a worker's process."""

import pytest
from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families

from gateway import metrics
from gateway.metrics import Metrics


@pytest.fixture
def worker(tmp_path, monkeypatch):
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)  # put back when the test ends
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    def start(number: int) -> Metrics:
        metrics.share(tmp_path, number)
        return Metrics()

    yield start
    values.ValueClass.close_all_files()


def read(page: bytes, sample: str, **labels: str) -> float:
    (found,) = (
        one.value
        for family in text_string_to_metric_families(page.decode())
        for one in family.samples
        if one.name == sample and one.labels == labels
    )
    return found


def accepted(page: bytes) -> float:
    return read(page, "gateway_messages_total", channel="email", outcome="accepted")


def test_any_worker_shows_the_sum_of_all(worker):
    first, second = worker(1), worker(2)
    first.messages.labels("email", "accepted").inc(3)
    second.messages.labels("email", "accepted").inc(4)
    first.publish_seconds.observe(0.01)
    second.publish_seconds.observe(0.02)
    assert accepted(first.render()) == accepted(second.render()) == 7
    assert read(first.render(), "gateway_publish_seconds_count") == 2


def test_a_worker_that_is_started_again_counts_on(worker, tmp_path):
    worker(1).messages.labels("email", "accepted").inc(3)
    metrics.forget(tmp_path, 1)
    again = worker(1)
    assert accepted(again.render()) == 3
    again.messages.labels("email", "accepted").inc()
    assert accepted(again.render()) == 4
    assert len([*tmp_path.glob("counter_*.db")]) == 1


def test_zeros_are_shown_before_anything_is_counted(worker):
    one = worker(1)
    one.declare("email")
    assert accepted(one.render()) == 0


def test_a_process_alone_shows_its_own_numbers(monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    one, other = Metrics(), Metrics()
    one.messages.labels("email", "accepted").inc()
    other.messages.labels("email", "accepted").inc(5)
    assert accepted(one.render()) == 1


def test_no_gauge_is_left_apart_by_worker(worker):
    worker(1)
    page = worker(2).render().decode()
    assert 'pid="' not in page


def test_what_a_dead_worker_measured_goes_with_it(worker, tmp_path):
    worker(1).queue_up.set(0)
    other = worker(2)
    other.queue_up.set(1)
    assert read(other.render(), "gateway_queue_up") == 0
    metrics.forget(tmp_path, 1)
    assert read(other.render(), "gateway_queue_up") == 1
    assert not [*tmp_path.glob("gauge_*_1.db")], "a gauge that is not live… outlives its worker"
