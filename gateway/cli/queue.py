"""How every command reaches the queue, and what it says where nothing answers."""

from contextlib import AbstractAsyncContextManager

from gateway.cli.config import queue_url
from gateway.queue.asking import advise, asking
from gateway.queue.connection.deployment import Deployment, mask
from gateway.queue.entry import QueueUnavailable
from gateway.queue.keys import partitions
from gateway.settings import Settings

TRIMMED = "what every group has acknowledged is trimmed after queue.trim"


def opened(settings: Settings) -> AbstractAsyncContextManager[Deployment]:
    """The queue, which has answered. Raises QueueUnavailable within seconds."""
    first, *_ = partitions(settings.queue.prefix, settings.queue.partitions)
    return asking(queue_url(settings), first)


def unanswered(settings: Settings, error: QueueUnavailable) -> str:
    """What is wrong, where, and what to do."""
    what, remedy, known = advise(str(error), mask(queue_url(settings)))
    return f"{what}: {remedy if known else 'is the gateway running?'}"
