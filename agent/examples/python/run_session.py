"""Runs one session with an agent, without ClaudeCluster's host: container, events, a follow-up message, the patch.

    ./generate.sh
    ANTHROPIC_API_KEY=… python3 run_session.py --repository https://github.com/me/project --task "Add tests." \\
        --follow-up "Now document them." --patch changes.patch
"""

import argparse
import asyncio
import hashlib
import os
import signal
import sys
import uuid
from urllib.parse import urlsplit

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "generated"))

import grpc
from claudecluster.agent.v1alpha1 import agent_service_pb2 as pb
from claudecluster.agent.v1alpha1.agent_service_pb2_grpc import AgentServiceStub
from claudecluster.session.v1alpha1 import session_spec_pb2 as spec_pb
from claudecluster.session.v1alpha1.artifact_pb2 import Artifact
from claudecluster.session.v1alpha1.session_pb2 import Session

from agent_container import agent_container
from relay import Relay

# A connection that does not answer pings is lost; gRPC then opens another one.
CHANNEL_OPTIONS = [("grpc.keepalive_time_ms", 5000), ("grpc.keepalive_timeout_ms", 5000)]


async def run_session(arguments):
    session_id = f"ses_{uuid.uuid4().hex}"
    repository = spec_pb.RepositorySpec(uri=arguments.repository, ref=arguments.ref)
    spec = spec_pb.SessionSpec(task=arguments.task, repository=repository)
    container = agent_container(f"agent-{session_id}", arguments.image)
    async with container as target, grpc.aio.insecure_channel(target, CHANNEL_OPTIONS) as channel:
        agent = AgentServiceStub(channel)
        info = await agent.GetAgentInfo(pb.GetAgentInfoRequest(), wait_for_ready=True)
        print(f"agent {info.agent_version}, Claude Code {info.claude_version}, session {session_id}")
        key = os.environ.get("ANTHROPIC_API_KEY", "")
        relay = Relay(agent, arguments.endpoint, key, allowed=authority(arguments.repository))
        serving = asyncio.create_task(relay.serve())
        try:
            await agent.StartSession(pb.StartSessionRequest(session_id=session_id, spec=spec))
            await follow(agent, arguments.follow_up)
            session = (await agent.GetSession(pb.GetSessionRequest())).session
            patch = await read_patch(agent)
        finally:
            serving.cancel()
    with open(arguments.patch, "wb") as file:
        file.write(patch)
    print_result(session, arguments.patch)
    return 0 if session.state == Session.STATE_SUCCEEDED else 1


async def follow(agent, follow_up):
    """Prints every event, each once, to the last one. A lost connection loses nothing: it is read on where it broke."""
    last = 0
    while True:
        call = agent.Attach()
        try:
            attach = pb.AttachStart(role=pb.AttachStart.ROLE_OWNER, after_sequence=last)
            await call.write(pb.AttachRequest(attach=attach))
            if follow_up:
                # Queued until the first turn is over. Sent again after a loss: the same id counts once.
                message = pb.UserMessage(text=follow_up, message_id="follow-up")
                await call.write(pb.AttachRequest(user_message=message))
            while (response := await call.read()) is not grpc.aio.EOF:
                if response.HasField("request_refused"):
                    print(f"refused: {printable(response.request_refused.message)}")
                for event in response.events.events:
                    last = event.sequence
                    print(f"{event.sequence:5} {describe(event)}")
                    if event.HasField("session_finished"):
                        return
                if response.HasField("events"):
                    # An orchestrator that keeps events says so only once they are on its disk.
                    acknowledge = pb.Acknowledge(sequence=last)
                    await call.write(pb.AttachRequest(acknowledge=acknowledge))
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            print(f"connection lost: {error.details()}")
        finally:
            call.cancel()
        await asyncio.sleep(0.2)


async def read_patch(agent):
    """Reads the patch against the commit that was cloned, and checks that it is whole."""
    patch, sha256 = b"", b""
    async for message in agent.ReadArtifact(pb.ReadArtifactRequest(kind=Artifact.KIND_PATCH)):
        sha256 = sha256 or message.artifact.sha256
        patch += message.data
    if hashlib.sha256(patch).digest() != sha256:
        raise RuntimeError("the patch arrived broken")
    return patch


def describe(event):
    """One line for an event. Kinds that are not known, such as those of a newer agent, are just named."""
    kind = event.WhichOneof("event") or "unknown"
    value = getattr(event, kind, None)
    if kind == "state_changed":
        return f"{kind} {Session.State.Name(value.state)}"
    if kind in ("turn_started", "assistant_text"):
        return f"{kind} {printable(value.text)}"
    if kind == "tool_use_started":
        return f"{kind} {printable(value.name)} {printable(value.input_json)}"
    if kind == "file_patched":
        change = value.change
        return f"{kind} {printable(change.path)} +{change.added_line_count} -{change.deleted_line_count}"
    return kind


def print_result(session, patch_file):
    result = session.result
    print(f"{Session.State.Name(session.state)}: {printable(result.final_text or result.failure.message)}")
    print(f"{result.change_count} files changed, {result.usage.output_token_count} tokens out; patch in {patch_file}")


def printable(text, limit=120):
    """What was written in the container is hostile: no control characters reach the terminal."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= limit else line[:limit] + "…"


def authority(repository):
    url = urlsplit(repository)
    return f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}"


def read_arguments():
    parser = argparse.ArgumentParser(description="Runs one Claude Code session in a container of its own.")
    parser.add_argument("--repository", required=True, help="http(s) URL of a public repository")
    parser.add_argument("--ref", default="", help="branch, tag or commit (the remote's HEAD)")
    parser.add_argument("--task", required=True, help="what Claude is to do")
    parser.add_argument("--follow-up", default="", help="a second message, for after the first turn")
    parser.add_argument("--patch", default="changes.patch", help="where the changes go (changes.patch)")
    parser.add_argument("--image", default=os.environ.get("CLAUDECLUSTER_IMAGE", "claudecluster/agent:latest"))
    parser.add_argument("--endpoint", default=os.environ.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com"))
    return parser.parse_args()


async def main():
    # Ctrl-C does this by itself. Either way the container is removed.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    try:
        return await run_session(read_arguments())
    except asyncio.CancelledError:
        print("told to end before the session did")
        return 130


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
