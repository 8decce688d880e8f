"""Peers that are no Python: nginx with Lua running the gateway's own script, webdis doing a bare XADD."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from redis import Redis

from gateway.queue import publish_script
from tests.benchmarks.contenders import server
from tests.support import free_port

_LUA = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")


def natives(stack: ExitStack, folder: Path, redis: str, body: bytes) -> Iterator[tuple[str, str, int, int, bytes]]:
    """Name, what it does, port, pid and request of those installed (Debian: nginx, libnginx-mod-http-lua, webdis)."""
    redis_port = int(redis.rpartition(":")[2])
    if (nginx := shutil.which("nginx", path="/usr/sbin")) and _LUA.exists():
        port, conf = free_port(), folder / "nginx.conf"
        with Redis(port=redis_port) as client:
            sha = client.script_load(publish_script.SCRIPT)
        text = (Path(__file__).parent / "peers" / "nginx.conf").read_text(encoding="utf-8")
        conf.write_text(text.format(folder=folder, port=port, redis=redis_port, sha=sha), encoding="utf-8")
        command = (nginx, "-c", str(conf), "-e", str(folder / "nginx.error"))
        pid = stack.enter_context(server(*command, port=port))
        yield "nginx", "nginx + Lua, the same script, no envelope", port, pid, _request("POST", "/", body)
    if webdis := shutil.which("webdis"):
        port, conf = free_port(), folder / "webdis.json"
        settings = {"redis_host": "127.0.0.1", "redis_port": redis_port, "http_host": "127.0.0.1", "http_port": port}
        more = {"threads": 1, "daemonize": False, "verbosity": 0, "logfile": str(folder / "webdis.log"), "database": 0}
        conf.write_text(json.dumps(settings | more), encoding="utf-8")
        pid = stack.enter_context(server(webdis, str(conf), port=port))
        yield "webdis", "webdis, a bare XADD", port, pid, _request("PUT", "/XADD/webdis/*/event", body)


def _request(method: str, path: str, body: bytes) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
