"""Carries the connections of a container's programs: model requests to the API, git's to one host, and nothing else.

The agent announces each connection; we answer with one Tunnel call, which carries its bytes. The key is added here
and never enters the container.
"""

import asyncio
from urllib.parse import urlsplit

import grpc
from claudecluster.agent.v1alpha1 import agent_service_pb2 as pb

CHUNK_BYTES = 64 * 1024  # the most that a message of Tunnel may hold
MAX_HEAD_BYTES = 64 * 1024
MODEL_PATHS = ("/v1/messages", "/v1/messages/count_tokens")


class Relay:
    """`endpoint` is the model's URL, `allowed` the one "host:port" that programs may reach by proxy."""

    def __init__(self, agent, endpoint, key, allowed):
        self.agent, self.endpoint, self.key, self.allowed = agent, urlsplit(endpoint), key, allowed

    async def serve(self):
        """Serves until it is cancelled. What waits while the connection to the agent is lost is announced again."""
        tunnels = set()
        try:
            while True:
                try:
                    async for announced in self.agent.AcceptConnections(pb.AcceptConnectionsRequest()):
                        if announced.connection_id == "":
                            continue  # the first message only says that the agent is listening
                        task = asyncio.create_task(self.carry(announced))
                        tunnels.add(task)
                        task.add_done_callback(tunnels.discard)
                except grpc.aio.AioRpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        raise
                await asyncio.sleep(0.2)
        finally:
            for task in tunnels:
                task.cancel()

    async def carry(self, announced):
        call = self.agent.Tunnel()
        try:
            await call.write(pb.TunnelRequest(connection_id=announced.connection_id))
            tunnel = Tunnel(call)
            if announced.listener == pb.AcceptConnectionsResponse.LISTENER_MODEL:
                await self.carry_model(tunnel)
            elif announced.listener == pb.AcceptConnectionsResponse.LISTENER_PROXY:
                await self.carry_proxy(tunnel)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, OSError, ValueError) as error:
            print(f"a connection failed: {error}")
        finally:
            call.cancel()  # what has not ended well by now is reset, so that its program sees a failure

    async def carry_model(self, tunnel):
        """One request for each connection, its head rewritten: our key, and no way to other parts of the API."""
        method, target, headers = await tunnel.read_head()
        if method == "HEAD":
            return await tunnel.refuse("200 OK")
        if method != "POST" or urlsplit(target).path not in MODEL_PATHS:
            return await tunnel.refuse("404 Not Found")
        dropped = ("host", "connection", "x-api-key", "authorization")
        kept = [(name, value) for name, value in headers if name.lower() not in dropped]
        ours = [("Host", self.endpoint.netloc), ("Connection", "close"), ("X-Api-Key", self.key)]
        secure = self.endpoint.scheme == "https"
        port = self.endpoint.port or (443 if secure else 80)
        reader, writer = await asyncio.open_connection(self.endpoint.hostname, port, ssl=secure or None)
        writer.write(http_head(f"POST {self.endpoint.path.rstrip('/')}{target} HTTP/1.1", ours + kept))
        await splice(tunnel, reader, writer)

    async def carry_proxy(self, tunnel):
        """CONNECT for https, absolute-form requests for plain http."""
        method, target, headers = await tunnel.read_head()
        url = urlsplit(target)
        authority = target if method == "CONNECT" else f"{url.hostname}:{url.port or 80}"
        if authority.lower() != self.allowed:
            return await tunnel.refuse("403 Forbidden")
        host, _, port = authority.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        if method == "CONNECT":
            await tunnel.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        else:
            kept = [(name, value) for name, value in headers if name.lower() not in ("connection", "proxy-connection")]
            path = url.path + (f"?{url.query}" if url.query else "")
            writer.write(http_head(f"{method} {path} HTTP/1.1", [*kept, ("Connection", "close")]))
        await splice(tunnel, reader, writer)


class Tunnel:
    """One relayed connection: bytes out of the container are read, bytes into it are written."""

    def __init__(self, call):
        self.call, self.pending = call, b""

    async def read(self):
        """Returns the next bytes; none at the end."""
        if self.pending:
            data, self.pending = self.pending, b""
            return data
        while True:
            message = await self.call.read()
            if message is grpc.aio.EOF or message.end:
                return b""
            if message.data:  # the first message is empty
                return message.data

    async def write(self, data):
        for start in range(0, len(data), CHUNK_BYTES):
            await self.call.write(pb.TunnelRequest(data=data[start : start + CHUNK_BYTES]))

    async def end(self):
        """Nothing more follows into the container."""
        await self.call.write(pb.TunnelRequest(end=True))
        await self.call.done_writing()

    async def read_head(self):
        """Reads an HTTP request's first line and headers. What follows stays to be read."""
        head = b""
        while b"\r\n\r\n" not in head:
            data = await self.read()
            if data == b"" or len(head) > MAX_HEAD_BYTES:
                raise ValueError("not an HTTP request")
            head += data
        head, _, self.pending = head.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        return method, target, [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]

    async def refuse(self, status):
        await self.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await self.end()
        while await self.read():
            pass


def http_head(first, headers):
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers), "", ""]).encode("latin-1")


async def splice(tunnel, reader, writer):
    """Carries both directions, each to its own end."""

    async def outwards():
        while data := await tunnel.read():
            writer.write(data)
            await writer.drain()

    going_out = asyncio.create_task(outwards())
    try:
        while data := await reader.read(CHUNK_BYTES):
            await tunnel.write(data)
        await tunnel.end()
        await going_out
    finally:
        going_out.cancel()
        writer.close()
