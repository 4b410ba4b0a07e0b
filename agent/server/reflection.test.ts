import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AgentRig, startRig } from "../../test/agent/agent-rig.ts";
import { preparingPlace } from "../../test/agent/preparing-place.ts";

const BUF = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
let rig: AgentRig;

beforeAll(async () => {
  rig = await startRig({ place: preparingPlace() });
  await rig.agent.listen();
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

/** Calls the agent as a stranger does: everything is learned from reflection. */
async function bufCurl(...args: string[]): Promise<string> {
  const common = ["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--unix-socket", rig.config.socketPath];
  return (await promisify(execFile)(BUF, [...common, ...args])).stdout;
}

const agentMethod = (name: string) => `http://agent/claudecluster.agent.v1alpha1.AgentService/${name}`;

test("lists all services and methods", async () => {
  const methods = (await bufCurl("--list-methods", "http://agent")).trim().split("\n");
  expect(methods).toContain("claudecluster.agent.v1alpha1.AgentService/Attach");
  expect(methods).toContain("grpc.health.v1.Health/Watch");
  expect(methods).toContain("grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  expect(methods).toContain("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
});

test.each(["grpc-v1", "grpc-v1alpha"])("describes every type, also imported ones, over %s", async (protocol) => {
  const reflection = ["--reflect", "--reflect-protocol", protocol];
  const info = JSON.parse(await bufCurl(...reflection, agentMethod("GetAgentInfo"))) as Record<string, unknown>;
  expect(info).toMatchObject({ instanceId: rig.agent.instanceId, hostAbsenceTimeout: "60s" });
  const request = { session_id: `ses_1`, spec: { task: "wait", timeout: "20s", idle_timeout: "1.5s" } };
  const started = JSON.parse(
    await bufCurl(...reflection, "-d", JSON.stringify(request), agentMethod("StartSession")),
  ) as {
    session: Record<string, unknown>;
  };
  expect(started.session).toMatchObject({ state: "STATE_PREPARING", spec: { timeout: "20s", idleTimeout: "1.500s" } });
  expect(started.session["createTime"]).toMatch(/^\d{4}-/);
});

test("serves streams to strangers", async () => {
  const attach = JSON.stringify({ attach: { role: "ROLE_CONTROLLER" } });
  const stop = JSON.stringify({ stop: { reason: "by hand" } });
  const output = await bufCurl("-d", `${attach}${stop}`, agentMethod("Attach"));
  const responses = output
    .replaceAll("}\n{", "}\0{")
    .split("\0")
    .map((text) => JSON.parse(text) as Record<string, unknown>);
  expect(Object.keys(responses[0]!)).toEqual(["hello"]);
  expect(JSON.stringify(responses.at(-1))).toContain("by hand");
});

test("answers the standard health check", async () => {
  const check = (service: string) =>
    bufCurl("-d", JSON.stringify({ service }), "http://agent/grpc.health.v1.Health/Check");
  expect(await check("")).toContain("SERVING");
  expect(await check("claudecluster.agent.v1alpha1.AgentService")).toContain("SERVING");
  await expect(check("nonesuch")).rejects.toThrow(/not_found/);
});
