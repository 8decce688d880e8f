import socket
from contextlib import closing

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.com", 80)])
def test_no_test_reaches_the_network(address: tuple[str, int]) -> None:
    with closing(socket.socket()) as client:
        with pytest.raises(AssertionError, match="only loopback"):
            client.connect(address)
        with pytest.raises(AssertionError, match="only loopback"):
            client.connect_ex(address)


def test_loopback_is_open() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server, closing(socket.socket()) as client:
        client.connect(server.getsockname())
