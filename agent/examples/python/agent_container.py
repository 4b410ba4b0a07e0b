"""Starts an agent in a sealed container and makes it reachable for gRPC."""

import asyncio
import os
import tempfile
from contextlib import asynccontextmanager

START_AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "start-agent.sh")
MAGIC = b"AGENT-DIAL/1\n"
CHUNK_BYTES = 64 * 1024


@asynccontextmanager
async def agent_container(name, image):
    """Yields a gRPC target. Removes the container at the end; --rm is for the case that we are killed."""
    container = await output(START_AGENT, "--rm", "--name", name, environment={"CLAUDECLUSTER_IMAGE": image})
    try:
        with tempfile.TemporaryDirectory() as directory:
            # The container has no network: every connection is a `docker exec` that carries bytes.
            path = os.path.join(directory, "agent.sock")
            server = await asyncio.start_unix_server(lambda *streams: forward(container, *streams), path)
            async with server:
                yield "unix:" + path
    finally:
        await output("docker", "rm", "--force", "--volumes", container)


async def forward(container, reader, writer):
    """Carries one local connection to the agent. The bridge waits ten seconds for an agent that is still starting."""
    bridge = await asyncio.create_subprocess_exec(
        "docker", "exec", "--interactive", container, "dial-stdio",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    directions = []
    try:
        # Anything else than the magic line is an error's text. gRPC sees a closed connection and tries again.
        if await bridge.stdout.readline() == MAGIC:
            both = pump(reader, bridge.stdin), pump(bridge.stdout, writer)
            directions = [asyncio.create_task(direction) for direction in both]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        writer.close()
        if bridge.returncode is None:
            bridge.kill()
        await bridge.wait()


async def pump(reader, writer):
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()


async def output(*command, environment={}):
    """Runs a command to its end and returns what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, **environment}
    )
    printed, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} failed with {process.returncode}")
    return printed.decode().strip()
