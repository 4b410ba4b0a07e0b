import assert from "node:assert/strict";
import { create, createFileRegistry, type DescMethodUnary, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../../proto/gen/health/v1/health_pb.ts";
import { ServerReflection } from "../../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1alpha } from "../../../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { AgentService } from "../../../proto/index.ts";
import type { AgentClient } from "../agent-client.ts";
import { refused } from "../call-failed.ts";
import type { Check } from "../check.ts";

const { method } = AgentService;
/** What every agent of v1alpha1 has. */
const FIRST_METHODS = [
  "GetAgentInfo",
  "StartSession",
  "Attach",
  "WatchEvents",
  "GetSession",
  "ReadChanges",
  "AcceptConnections",
  "Tunnel",
];

/** What an agent says to whoever comes. */
export const CONTACT: readonly Check[] = [
  {
    rule: "GetAgentInfo answers as soon as the agent listens, with the same instance_id for the agent's whole life.",
    needs: "any",
    async run(bench) {
      const info = await bench.client.call(method.getAgentInfo);
      for (const name of ["agentVersion", "instanceId", "claudeVersion", "gitVersion"] as const) {
        assert.notEqual(info[name], "", name);
      }
      assert.ok((info.hostAbsenceTimeout?.seconds ?? 0n) > 0n, "host_absence_timeout");
      const again = await bench.connect().call(method.getAgentInfo);
      assert.equal(again.instanceId, info.instanceId, "instance_id over another connection");
    },
  },
  {
    rule: "grpc.health.v1 says SERVING for the whole agent and for AgentService.",
    needs: "any",
    async run({ client }) {
      for (const service of ["", AgentService.typeName]) {
        const { status } = await client.call(Health.method.check, { service });
        assert.equal(status, Status.SERVING, `status of "${service}"`);
      }
      await refused(client.call(Health.method.check, { service: "no.such.Service" }), "NOT_FOUND");
      for await (const { status } of client.stream(Health.method.watch, { service: "" })) {
        assert.equal(status, Status.SERVING, "the first message of Watch");
        break;
      }
    },
  },
  {
    rule: "grpc.reflection describes every service, in v1 and v1alpha, with all imports.",
    needs: "any",
    async run({ client }) {
      await checkReflection(client, ServerReflection);
      await checkReflection(client, ServerReflectionV1alpha as unknown as typeof ServerReflection);
    },
  },
  {
    rule: "A method that an agent does not have is UNIMPLEMENTED.",
    needs: "any",
    async run({ client }) {
      const unknown = { ...method.getAgentInfo, name: "NoSuchMethod" };
      await refused(
        client.call(unknown as DescMethodUnary<typeof unknown.input, typeof unknown.output>),
        "UNIMPLEMENTED",
      );
    },
  },
  {
    rule: "On TCP every call that does not show the token is UNAUTHENTICATED.",
    needs: "any",
    token: true,
    async run(bench) {
      const stranger = bench.connect({ token: "not-the-token-of-this-agent" });
      await refused(stranger.call(method.getAgentInfo), "UNAUTHENTICATED", "TOKEN_INVALID");
      await refused(stranger.call(Health.method.check), "UNAUTHENTICATED", "TOKEN_INVALID");
    },
  },
];

async function checkReflection(client: AgentClient, service: typeof ServerReflection): Promise<void> {
  const call = client.exchange(service.method.serverReflectionInfo);
  await call.send({ messageRequest: { case: "listServices", value: "" } });
  await call.send({ messageRequest: { case: "fileContainingSymbol", value: AgentService.typeName } });
  call.end();
  let seen = 0;
  for await (const { messageResponse: answer } of call) {
    seen++;
    if (answer.case === "listServicesResponse") {
      const names = answer.value.service.map(({ name }) => name);
      for (const name of [AgentService.typeName, Health.typeName, service.typeName]) {
        assert.ok(names.includes(name), `the list of services lacks ${name}: ${names.join(", ")}`);
      }
    } else if (answer.case === "fileDescriptorResponse") {
      const files = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
      const described = createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(files) }));
      const methods = described.getService(AgentService.typeName)?.methods.map(({ name }) => name) ?? [];
      for (const name of FIRST_METHODS) assert.ok(methods.includes(name), `reflection lacks ${name}`);
    } else {
      assert.fail(`reflection answered with ${answer.case}`);
    }
  }
  assert.equal(seen, 2, "answers of reflection");
}

/** The order that a registry wants. */
function importsFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const sorted = new Set<FileDescriptorProto>();
  const add = (name: string) => {
    const file = files.find((each) => each.name === name);
    assert.ok(file !== undefined, `${name} is imported and was not sent along`);
    if (sorted.has(file)) return;
    file.dependency.forEach(add);
    sorted.add(file);
  };
  for (const { name } of files) add(name);
  return [...sorted];
}
