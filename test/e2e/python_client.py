"""Talks to an agent with grpcio and descriptors alone: no generated code, nothing of ours."""

import queue
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "claudecluster.agent.v1alpha1."
image, socket = sys.argv[1:]

pool = descriptor_pool.DescriptorPool()
files = descriptor_pb2.FileDescriptorSet()
with open(image, "rb") as file:
    files.ParseFromString(file.read())
for file in files.file:
    pool.Add(file)
factory = message_factory.MessageFactory(pool)


def message(name):
    return factory.GetPrototype(pool.FindMessageTypeByName(PACKAGE + name))


AttachRequest, AttachResponse = message("AttachRequest"), message("AttachResponse")
requests = queue.Queue()


def attach(role):
    request = AttachRequest()
    request.attach.role = role
    return request


with grpc.insecure_channel("unix:" + socket) as channel:
    call = channel.stream_stream(
        "/" + PACKAGE + "AgentService/Attach",
        request_serializer=AttachRequest.SerializeToString,
        response_deserializer=AttachResponse.FromString,
    )
    requests.put(attach(2))
    stream = call(iter(requests.get, None), timeout=80)
    second = False
    for response in stream:
        kind = response.WhichOneof("response")
        if kind == "hello":
            print("hello")
            # Only the owner may let events be forgotten.
            acknowledge = AttachRequest()
            acknowledge.acknowledge.sequence = 1
            requests.put(acknowledge)
        if kind == "request_refused":
            print("refused " + response.request_refused.reason)
        for event in response.events.events:
            name = event.WhichOneof("event")
            print(name)
            if name == "file_patched" and not second:
                second = True
                message_to_claude = AttachRequest()
                message_to_claude.user_message.text = "[scenario: small-edit] And one more thing."
                requests.put(message_to_claude)
                interrupt = AttachRequest()
                interrupt.interrupt.SetInParent()
                requests.put(interrupt)
            if name == "turn_finished" and event.turn_finished.interrupted:
                print("interrupted")
            if name == "turn_finished" and event.turn_finished.turn == 2:
                print("second turn")
    requests.put(None)
