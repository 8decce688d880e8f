from channels.testing_host import FakeHost
from tests.channels.email_door import ACCEPTED, Listening
from tests.support import free_port


async def test_inboxes_of_several_processes_listen_on_one_address():
    listen, servers = f"127.0.0.1:{free_port()}", []
    for name in ("one", "other"):
        host = FakeHost(name)
        host.shared_port = True
        servers.append(Listening({"listen": listen}, host))
    one, other = servers
    try:
        await one.open()
        await other.open()
        await one.close()
        assert await (await other.client()).deliver() == ACCEPTED
        assert (len(one.contents), len(other.contents)) == (0, 1)
    finally:
        other.hang_up()
        await other.close()
