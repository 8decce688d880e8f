"""What becomes of a source of the directory is a log line and a gauge."""

from structlog.testing import capture_logs

from gateway.events import DirectoryEvents
from gateway.metrics import Metrics


def test_a_file_that_cannot_be_used_is_down_until_it_can():
    metrics = Metrics()
    events = DirectoryEvents(metrics, ["file", "crm"])

    def up(source):
        return metrics.registry.get_sample_value("gateway_directory_up", {"source": source})

    with capture_logs() as lines:
        assert (up("file"), up("crm")) == (1, 1)
        events.refused("file", ["customers.csv: is missing"])
        assert (up("file"), up("crm")) == (0, 1)
        events.reloaded("file", 2, [])
        assert (up("file"), up("crm")) == (1, 1)
    assert [line["event"] for line in lines] == ["directory.refused", "directory.reloaded"]
