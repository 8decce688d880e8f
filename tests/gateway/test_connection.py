import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest
import trustme
from redis.exceptions import RedisError

from gateway.queue.connection.deployment import QueueUnavailable, check_url, deployment, mask
from gateway.queue.connection.link import Link
from tests.gateway.servers import HOST, MASTER, eventually
from tests.support import free_port

KEY = "{tickets}:seen"
SECRET = "hunter2"
FORMS = [
    "redis://{login}h:1/0",
    "rediss://{login}h/2?ssl_cert_reqs=none",
    "unix://{login}/run/valkey.sock?db=1",
    "redis+sentinel://{login}a,b:2/mymaster/3?sentinel_username=u&sentinel_password=" + SECRET,
    "rediss+cluster://{login}a:1,[::1]:2",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("login", ["", f":{SECRET}@", f"user:{SECRET}@", f"user:{SECRET}%40%2F@"])
def test_every_form_is_known_and_shown_without_its_secrets(form, login):
    url = form.format(login=login)
    check_url(url)
    assert SECRET not in mask(url)
    assert mask(url) == form.format(login="").partition("?")[0]


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:a?{SECRET}@h",
        f"redis://:{SECRET}?a@h",
        f"redis://:12?{SECRET}@h",
        f"redis://:{SECRET}/a@h",
        f"redis://:a/{SECRET}@h",
        f"redis://:a#{SECRET}@h",
        f"redis://user:{SECRET}",
        f"redis://:{SECRET}@h:port",
        f"redis://h:{SECRET}",
        f"unix://:{SECRET}",
        f"unix://user:{SECRET}/run/valkey.sock",
        f"redis+sentinel://:{SECRET}/mymaster",
        f"redis://h?retry_on_timeout={SECRET}",
        f"redis://h?{SECRET}=1",
        f"redis://h?db={SECRET}",
        f"redis://h?ssl_ca_certs={SECRET}",
        f"rediss://h?ssl_ca_certs=/nowhere/{SECRET}",
        f"redis://h?password={SECRET}&password=b",
        f"{SECRET}://h",
        SECRET,
    ],
)
def test_what_is_not_understood_is_refused_and_never_quoted(url):
    with pytest.raises(ValueError, match=r"\w") as caught:
        check_url(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert SECRET not in mask(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis:///0", "host"),
        ("redis://h/tickets", "number of a database"),
        ("redis://a,b", "one host"),
        ("redis://::1", "brackets"),
        ("redis://h:99999", "port"),
        ("redis+sentinel://h", "name the master"),
        ("redis+sentinel:///mymaster", "host"),
        ("redis+cluster://h/1", "no databases"),
        ("redis+cluster://h?db=1", "no databases"),
        ("redis://h?retry_on_timeout=1", "option"),
        ("redis://h?sentinel_password=x", "option"),
        ("unix://run/valkey.sock", "absolute"),
    ],
)
def test_what_would_be_taken_for_something_else_is_refused(url, why):
    with pytest.raises(ValueError, match=why):
        check_url(url)


def test_the_embedded_server_needs_no_url():
    check_url("embedded")
    assert mask("embedded") == "embedded"


async def say(url, timeout=2.0):
    """Write through a link, as the publisher does, and through a client, as consumers do."""
    redis = deployment(url, timeout=timeout)
    link = Link(redis, KEY, timeout=timeout)
    try:
        (reply,) = await link.exchange(("HINCRBY", "{tickets}:stats", "said", 1))
        client = await redis.server(KEY)
        return reply, await client.hincrby("{tickets}:stats", "said", 0)
    finally:
        await link.close()
        await redis.close()


async def test_a_unix_socket(servers, tmp_path):
    path = tmp_path / "s"
    servers.single(unixsocket=path)
    assert await say(f"unix://{path}?db=3") == (1, 1)
    assert await say(f"unix://{path}?db=4") == (1, 1)


async def test_a_user_with_a_password_of_odd_letters(servers):
    server = servers.single()
    server.do("ACL", "SETUSER", "us@er", "on", ">p/w?#%:@", "~*", "+@all")
    server.do("ACL", "SETUSER", "default", "off")
    assert await say(f"redis://us%40er:p%2Fw%3F%23%25%3A%40@{HOST}:{server.port}/1") == (1, 1)
    with pytest.raises(QueueUnavailable, match="WRONGPASS"):
        await say(f"redis://us%40er:wrong@{HOST}:{server.port}")
    with pytest.raises(QueueUnavailable, match="NOAUTH"):
        await say(server.url)


@pytest.fixture
async def tls(servers, tmp_path):
    """A server behind TLS that wants to see a client's certificate: its port, and the options for the URL."""
    server, authority = servers.single(), trustme.CA()
    ours, theirs = authority.issue_cert("gateway.example"), authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    ours.private_key_pem.write_to_path(tmp_path / "client.key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    theirs.configure_cert(context)
    pumps: set[asyncio.Task[None] | None] = set()

    async def relay(reader, writer):
        pumps.add(asyncio.current_task())
        upstream, downstream = await asyncio.open_connection(HOST, server.port)
        await asyncio.gather(pump(reader, downstream), pump(upstream, writer), return_exceptions=True)

    front = await asyncio.start_server(relay, HOST, free_port(), ssl=context)
    yield front.sockets[0].getsockname()[1], tmp_path
    front.close()
    await asyncio.gather(*filter(None, pumps), return_exceptions=True)


async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_tls_with_a_private_authority_and_a_client_certificate(tls):
    port, files = tls
    trust = f"ssl_ca_certs={files}/ca.pem"
    mutual = f"{trust}&ssl_certfile={files}/client.pem&ssl_keyfile={files}/client.key"
    url = f"rediss://{HOST}:{port}"
    check_url(f"{url}?{mutual}")
    assert await say(f"{url}?{mutual}") == (1, 1)
    for wrong in (url, f"{url}?{trust}", f"rediss://localhost:{port}?{mutual}"):
        with pytest.raises(QueueUnavailable):  # no trust; no certificate of ours; another name than the certificate's
            await say(wrong)
    assert await say(f"rediss://localhost:{port}?{mutual}&ssl_check_hostname=false") == (2, 2)


async def test_sentinels_with_a_login_of_their_own_name_a_master_with_another(servers):
    master = servers.single(requirepass="data")
    sentinels = servers.sentinels(master, replicas=0, lines=[f"sentinel auth-pass {MASTER} data"])
    for sentinel in sentinels:
        sentinel.do("ACL", "SETUSER", "asker", "on", ">ask", "+sentinel|get-master-addr-by-name")
        sentinel.do("ACL", "SETUSER", "default", "off")
    places = ",".join(f"{HOST}:{sentinel.port}" for sentinel in sentinels)
    url = f"redis+sentinel://:data@{places}/{MASTER}/2?sentinel_username=asker&sentinel_password="
    assert await say(f"{url}ask") == (1, 1)
    assert master.client(password="data", db=2).hget("{tickets}:stats", "said") == b"1"
    with pytest.raises(QueueUnavailable, match="WRONGPASS"):
        await say(f"{url}wrong")


async def test_silent_and_dead_sentinels_hold_nobody_up(servers):
    sentinels = servers.sentinels(servers.single(), 4, replicas=0)
    places = ",".join(f"{HOST}:{port}" for port in (free_port(), *(sentinel.port for sentinel in sentinels)))
    with sentinels[0].stalled():
        assert await say(f"redis+sentinel://{places}/{MASTER}", timeout=1.0) == (1, 1)


async def test_a_minority_of_the_sentinels_is_not_believed(servers):
    sentinels = servers.sentinels(servers.single(), replicas=0)
    places = ",".join(f"{HOST}:{port}" for port in (free_port(), free_port(), sentinels[0].port))
    with pytest.raises(QueueUnavailable, match="1 of 3 sentinels agree on the master, 2 are needed"):
        await say(f"redis+sentinel://{places}/{MASTER}", timeout=1.0)
    places = ",".join(f"{HOST}:{port}" for port in (free_port(), *(sentinel.port for sentinel in sentinels[:2])))
    assert await say(f"redis+sentinel://{places}/{MASTER}") == (1, 1)


async def test_a_master_nobody_knows_is_away(servers):
    sentinels = servers.sentinels(servers.single(), replicas=0)
    with pytest.raises(QueueUnavailable, match="no sentinel knows"):
        await say(f"redis+sentinel://{HOST}:{sentinels[0].port}/other")


@asynccontextmanager
async def saying(*replies):
    """Servers that give one answer each to whatever they are asked: their places."""
    fronts = []
    for reply in replies:

        async def answer(reader, writer, reply=reply):
            while asked := await reader.read(65536):
                writer.write(b"+OK\r\n" if b"SETNAME" in asked else reply)
            writer.close()

        fronts.append(await asyncio.start_server(answer, HOST, 0))
    yield [f"{HOST}:{front.sockets[0].getsockname()[1]}" for front in fronts]
    for front in fronts:
        front.close()


async def place_of(url, key=KEY):
    redis = deployment(url, timeout=1.0)
    try:
        where = (await redis.server(key)).connection_pool.connection_kwargs
        return where["host"], where["port"]
    finally:
        await redis.close()


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
async def test_a_sentinel_cut_off_with_the_old_master_misleads_nobody(order):
    old, new, same = b"*2\r\n$3\r\nold\r\n$1\r\n1\r\n", *[b"*2\r\n$3\r\nnew\r\n$1\r\n2\r\n"] * 2
    async with saying(*((old, new, same)[number] for number in order)) as places:
        assert await place_of(f"redis+sentinel://{','.join(places)}/{MASTER}") == ("new", 2)


async def test_sentinels_that_are_split_name_nobody():
    said = [b"*2\r\n$3\r\nold\r\n$1\r\n1\r\n", b"*2\r\n$3\r\nnew\r\n$1\r\n2\r\n"]
    async with saying(*said) as places:
        with pytest.raises(QueueUnavailable, match="1 of 2 sentinels agree on the master, 2 are needed"):
            await place_of(f"redis+sentinel://{','.join(places)}/{MASTER}")


@pytest.mark.parametrize(
    ("name", "found"),
    [(b"$2\r\nh1\r\n", "h1"), (b"$0\r\n\r\n", HOST), (b"$-1\r\n", HOST)],
    ids=["named", "empty", "null"],
)
async def test_a_node_without_a_name_is_the_one_that_was_asked(name, found):
    slots = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n" + name + b":7001\r\n$2\r\nid\r\n"
    async with saying(slots) as (place,):
        assert await place_of(f"redis+cluster://{place}") == (found, 7001)


async def test_a_node_that_does_not_know_its_own_name_is_nobody():
    slots = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$1\r\n?\r\n:7001\r\n$2\r\nid\r\n"
    async with saying(slots) as (place,):
        with pytest.raises(QueueUnavailable, match="slot"):
            await place_of(f"redis+cluster://{place}")


async def test_each_partition_of_a_cluster_has_its_server_and_silent_nodes_hold_nobody_up(servers):
    cluster = servers.cluster()
    redis = deployment(f"redis+cluster://{HOST}:{free_port()},{HOST}:{cluster[0].port}", timeout=1.0)
    try:
        asked = {}
        for key in ("{tickets:0}:seen", "{tickets:1}:seen", "{tickets:2}:seen"):
            client = await redis.server(key)
            assert await client.zadd(key, {"mark": 1}) == 1  # any other node would say MOVED
            asked[key] = client.connection_pool.connection_kwargs["port"]
        assert len(set(asked.values())) > 1
        with cluster[0].stalled():
            for key, port in asked.items():
                await redis.moved()  # and ask again: the silent one among others
                assert (await redis.server(key)).connection_pool.connection_kwargs["port"] == port
    finally:
        await redis.close()


async def test_a_slot_that_nobody_serves_is_away_and_the_others_are_not(servers):
    node = servers.single(cluster_enabled="yes", cluster_require_full_coverage="no")
    node.do("CLUSTER", "ADDSLOTS", node.do("CLUSTER", "KEYSLOT", "{tickets:1}"))
    redis = deployment(f"redis+cluster://{HOST}:{node.port}")
    try:
        with pytest.raises(QueueUnavailable, match="slot"):
            await redis.server("{tickets:0}:seen")
        client = await redis.server("{tickets:1}:seen")
        assert eventually(lambda: "cluster_state:ok" in node.do("CLUSTER", "INFO"))
        assert await client.zadd("{tickets:1}:seen", {"mark": 1}) == 1
    finally:
        await redis.close()


async def test_nothing_is_sent_again_unasked(servers):
    server = servers.single()
    redis = deployment(server.url, timeout=0.1)
    client = await redis.server(KEY)
    assert await client.incr("sent") == 1
    with server.stalled(), pytest.raises(RedisError):
        await client.incr("sent")
    await redis.close()
    assert eventually(lambda: server.do("PING"))
    assert server.do("GET", "sent") in ("1", "2")


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"])
def test_a_file_that_is_not_there_is_named_by_its_option(option):
    with pytest.raises(ValueError, match=f"the TLS option {option} names is not there") as caught:
        check_url(f"rediss://h?{option}=/nowhere/{SECRET}")
    assert SECRET not in str(caught.value)


def test_an_option_that_may_be_the_end_of_a_password_is_not_named():
    with pytest.raises(ValueError, match="an option of the URL is not known") as caught:
        check_url(f"redis://:pa?{SECRET}=x@h")
    assert SECRET not in str(caught.value)
