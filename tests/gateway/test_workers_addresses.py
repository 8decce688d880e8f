import socket

import pytest

from channels.email.settings import EmailSettings
from gateway import http
from gateway.app import CannotStart, Misconfigured
from gateway.settings.sections import Http
from gateway.workers.addresses import held
from tests.support import free_port

HOST = "127.0.0.1"


def mailbox(port: int) -> EmailSettings:
    return EmailSettings(type="email", recipients=("support@example.com",), listen=f"{HOST}:{port}")


def test_a_held_address_is_taken_for_everybody_but_workers():
    port = free_port()
    with held(Http(host=HOST, port=port), {}) as held_port:
        assert held_port == port
        with pytest.raises(OSError, match=f"{HOST}:{port} is taken"):
            http.reserve(HOST, port)
        with pytest.raises(CannotStart, match="is taken"), held(Http(host=HOST, port=port), {}):
            pass
        with http.reserve(HOST, port, shared=True) as one, http.reserve(HOST, port, shared=True) as other:
            one.listen()
            other.listen()


def test_connections_come_to_workers_and_never_to_the_holder():
    port = free_port()
    with held(Http(host=HOST, port=port), {}):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), 5)
        with http.reserve(HOST, port, shared=True) as worker:
            worker.listen()
            for _ in range(20):
                with socket.create_connection((HOST, port), 5):
                    worker.accept()[0].close()


def test_an_address_is_free_again_when_it_is_let_go():
    port = free_port()
    with held(Http(host=HOST, port=port), {"support": mailbox(free_port())}):
        pass
    http.reserve(HOST, port).close()


def test_a_free_port_is_chosen_once_for_all_workers():
    with held(Http(host=HOST, port=0), {}) as port:
        assert port
        http.reserve(HOST, port, shared=True).close()
        with pytest.raises(OSError, match="is taken"):
            http.reserve(HOST, port)


def test_an_inbox_whose_address_is_taken_says_so():
    port = free_port()
    with (
        http.reserve(HOST, port),
        pytest.raises(CannotStart, match=f"inbox support: {HOST}:{port} is taken"),
        held(Http(host=HOST, port=0), {"support": mailbox(port)}),
    ):
        pass


def test_an_inbox_on_an_unknown_host_says_so():
    inbox = mailbox(free_port()).model_copy(update={"listen": "no-such-host.invalid:2525"})
    with pytest.raises(CannotStart, match=r"inbox support: no-such-host\.invalid:2525 cannot be listened on"):
        with held(Http(host=HOST, port=0), {"support": inbox}):
            pass


def test_an_inbox_on_any_free_port_cannot_be_shared():
    with pytest.raises(Misconfigured, match=r"inbox support: listen: .*name one"):
        with held(Http(host=HOST, port=0), {"support": mailbox(0)}):
            pass


def test_an_inbox_is_held_on_every_address_of_its_host():
    port = free_port()
    inbox = mailbox(port).model_copy(update={"listen": f"localhost:{port}"})
    with held(Http(host=HOST, port=0), {"support": inbox}):
        for family, kind, protocol, _, address in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as other, pytest.raises(OSError, match="in use"):
                other.bind(address)


def test_inboxes_that_share_a_listener_hold_it_once():
    port = free_port()
    with held(Http(host=HOST, port=0), {"support": mailbox(port), "billing": mailbox(port)}):
        with http.reserve(HOST, port, shared=True) as worker:
            worker.listen()
