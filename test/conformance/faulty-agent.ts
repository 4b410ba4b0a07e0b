import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { AgentService } from "../../proto/index.ts";
import type { RunningAgent } from "./agent-source.ts";
import { openDoor } from "./door.ts";

/** Changes one message that an agent sends: returns those that are sent in its place. `index` counts in its stream. */
export type Fault = (message: Buffer, index: number) => readonly Buffer[];

/** Faults by the name of the method, such as "ReadArtifact". */
export type Faults = Readonly<Record<string, Fault>>;

const asItIs = (bytes: Buffer) => bytes;

/**
 * An agent behind a server that passes on every call of AgentService, but answers with faults, and
 * leaves out what the others call ErrorInfo where `bareErrors` says so. Disposing it ends the agent too.
 */
export async function faultyAgent(
  agent: RunningAgent,
  { faults, bareErrors }: { faults: Faults; bareErrors: boolean },
): Promise<RunningAgent> {
  const directory = await mkdtemp(join(tmpdir(), "faulty-agent-"));
  const path = join(directory, "agent.sock");
  const door = await openDoor(() => agent.dial());
  const client = new grpc.Client(door.target, grpc.credentials.createInsecure());
  const server = new grpc.Server();
  const definition: Record<string, grpc.MethodDefinition<Buffer, Buffer>> = {};
  const handlers: grpc.UntypedServiceImplementation = {};
  for (const { name } of AgentService.methods) {
    // To the wire, one message and a stream of one are the same.
    const method = `/${AgentService.typeName}/${name}`;
    definition[name] = {
      path: method,
      requestStream: true,
      responseStream: true,
      requestSerialize: asItIs,
      requestDeserialize: asItIs,
      responseSerialize: asItIs,
      responseDeserialize: asItIs,
    };
    handlers[name] = (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      const onward = client.makeBidiStreamRequest(method, asItIs, asItIs);
      call.on("data", (message: Buffer) => onward.write(message));
      call.on("end", () => onward.end());
      call.on("cancelled", () => onward.cancel());
      let index = 0;
      onward.on("data", (message: Buffer) => {
        for (const each of faults[name]?.(message, index++) ?? [message]) call.write(each);
      });
      onward.on("end", () => call.end());
      onward.on("error", ({ code, details, metadata }: grpc.ServiceError) =>
        call.emit("error", { code, details, metadata: bareErrors ? new grpc.Metadata() : metadata }),
      );
    };
  }
  server.addService(definition, handlers);
  await new Promise((resolve) => server.bindAsync(`unix:${path}`, grpc.ServerCredentials.createInsecure(), resolve));
  return {
    token: undefined,
    async dial() {
      const socket = connect(path);
      await once(socket, "connect");
      return socket;
    },
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      client.close();
      await door[Symbol.asyncDispose]();
      await agent[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}
