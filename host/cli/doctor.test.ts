import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeHostDirectories } from "../../test/support/host-directories.ts";
import { Plain } from "../../test/support/screen.ts";
import { create } from "@bufbuild/protobuf";
import { type GetHostInfoResponse, GetHostInfoResponseSchema } from "../../proto/control.ts";
import { AppError } from "../../proto/index.ts";
import { readConfig } from "../config/config.ts";
import { checkRuntime } from "../control/check-runtime.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime, HEALTHY } from "../runtime/fake/fake-runtime.ts";
import { type DoctorOptions, doctorCommand } from "./doctor.ts";

type DoctorLink = Exclude<DoctorOptions["place"], AppError>["link"];

const NOT_ASKED = new AppError("HOST_OUTDATED", "The running host is too old for this call.");

/** A way to a host, or to none for a reason, which looks at this runtime; without one it does not know how. */
function linkTo(host: GetHostInfoResponse | AppError, runtime?: FakeRuntime): DoctorLink {
  return {
    find: () => Promise.resolve(undefined),
    connect: () => (host instanceof AppError ? Promise.reject(host) : Promise.resolve(host)),
    checkRuntime: runtime === undefined ? () => Promise.reject(NOT_ASKED) : lookAt(runtime),
  };
}

function lookAt(runtime: FakeRuntime): DoctorOptions["checkRuntime"] {
  return ({ signal }) => checkRuntime(runtime, { image: "agent:test", signal });
}

test("finds a configuration that cannot be read, and looks at the rest", async () => {
  const machine = new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
  });
  await using runtime = new FakeRuntime({ machine });
  const invalid = new AppError("CONFIG_INVALID", 'config.json: "egres" is not known.', {
    help: "host/README.md lists its entries.",
  });
  await using place = await makeHostDirectories();
  const noHost = { directories: place.directories, link: linkTo(invalid) };
  const stdout = new Plain();
  const { signal } = new AbortController();
  const io = { stdin: process.stdin, stdout, stderr: new Plain(), env: {}, signal };
  const options = { place: noHost, config: invalid, checkRuntime: lookAt(runtime) };
  expect(await doctorCommand(options, { json: true }, io)).toBe(3);
  expect(JSON.parse(stdout.text)).toEqual([
    expect.objectContaining({ subject: "claudecluster", ok: true }),
    { subject: "configuration", ok: false, message: invalid.message, help: invalid.help },
    { subject: "engine", ok: true, message: "fake; containers have no network interface" },
    expect.objectContaining({ subject: "image", ok: true }),
    { subject: "state", ok: true, message: place.directories.stateDirectory },
    expect.objectContaining({ subject: "disk", ok: true }),
  ]);
});

test("says why a credential of the caller's environment does not count, and knows the one that a running host has", async () => {
  const machine = new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
  });
  await using runtime = new FakeRuntime({ machine });
  await using place = await makeHostDirectories();
  // Nothing listens there.
  const config = { ...readConfig(place.env), modelEndpoint: new URL("http://127.0.0.1:1") };
  const findings = async (env: NodeJS.ProcessEnv, credentialKind = "") => {
    const modelEndpoint = "https://model.example";
    const info = create(GetHostInfoResponseSchema, { hostVersion: "1", credentialKind, modelEndpoint });
    const stdout = new Plain();
    const { signal } = new AbortController();
    const io = { stdin: process.stdin, stdout, stderr: new Plain(), env, signal };
    const there = { directories: place.directories, link: linkTo(info) };
    await doctorCommand({ place: there, config, checkRuntime: lookAt(runtime) }, { json: true }, io);
    const all = JSON.parse(stdout.text) as { subject: string; ok: boolean; message: string; help?: string }[];
    return Object.fromEntries(all.map(({ subject, ...rest }) => [subject, rest]));
  };
  const help = expect.stringContaining("printenv ANTHROPIC_API_KEY | claudecluster credential set") as string;
  expect(await findings({ ANTHROPIC_API_KEY: "sk-ant-x" })).toMatchObject({ credential: { ok: false, help } });
  expect(await findings({})).toMatchObject({
    credential: { ok: false, help: expect.stringContaining("Store an API key") as string },
  });
  const running = await findings({ ANTHROPIC_API_KEY: "sk-ant-x" }, "auth-token");
  expect(running["credential"]).toEqual({
    ok: true,
    message: "auth-token of the host that is running, for model.example",
  });
  expect(running["host"]).toMatchObject({ ok: true, message: "1 is running" });
});

test("has the host look at its runtime, and looks itself where none starts or it is one of before", async () => {
  const createAgent = () => ({ serve: () => {}, exited: new Promise<never>(() => {}), kill: () => {} });
  await using hosts = new FakeRuntime({ machine: new FakeMachine({ createAgent, findImage: () => undefined }) });
  await using own = new FakeRuntime({ machine: new FakeMachine({ createAgent }) });
  const capacity = { cpuCount: 2, memoryBytes: 2 ** 33 };
  hosts.health = { ...HEALTHY, description: "the host's", capacity, networkSeal: "policy", enforcedLimits: ["memory"] };
  own.health = { healthy: false, reason: "RUNTIME_UNAVAILABLE", message: "No engine here.", help: "Start one." };
  await using place = await makeHostDirectories();
  const config = { ...readConfig(place.env), modelEndpoint: new URL("http://127.0.0.1:1") };
  const findings = async (link: DoctorLink) => {
    const stdout = new Plain();
    const { signal } = new AbortController();
    const io = { stdin: process.stdin, stdout, stderr: new Plain(), env: {}, signal };
    const options = { place: { directories: place.directories, link }, config, checkRuntime: lookAt(own) };
    await doctorCommand(options, { json: true }, io);
    return JSON.parse(stdout.text) as unknown[];
  };
  const info = create(GetHostInfoResponseSchema, { hostVersion: "1" });
  const running = { subject: "host", ok: true, message: "1 is running" };
  const asked = await findings(linkTo(info, hosts));
  expect(asked).toContainEqual(running);
  expect(asked).toContainEqual({
    subject: "engine",
    ok: true,
    message: "the host's; a policy of the network keeps containers from it; held to limits of memory",
  });
  expect(asked).toContainEqual({
    subject: "image",
    ok: false,
    message: "agent:test is not there.",
    help: "Build it: claudecluster image --tag agent:test",
  });
  const looked = { subject: "engine", ok: false, message: "No engine here.", help: "Start one." };
  const older = await findings(linkTo(info));
  expect(older).toContainEqual(running);
  expect(older).toContainEqual(looked);
  const differs = new AppError("HOST_STATE_DIFFERS", "The running host keeps its sessions elsewhere.");
  const none = await findings(linkTo(differs));
  expect(none).toContainEqual({ subject: "host", ok: false, message: differs.message });
  expect(none).toContainEqual(looked);
});

test("says what is old, and what to type for it", async () => {
  const createAgent = () => ({ serve: () => {}, exited: new Promise<never>(() => {}), kill: () => {} });
  await using place = await makeHostDirectories();
  await writeFile(join(place.root, "claude"), "#!/bin/sh\necho '2.1.100 (Claude Code)'\n", { mode: 0o755 });
  const config = { ...readConfig(place.env), modelEndpoint: new URL("http://127.0.0.1:1") };
  const findings = async (image: string, agentVersion: string, ageDays: number, claudeVersion = "2.1.332") => {
    const labels = {
      "dev.claudecluster.agent-version": agentVersion,
      "dev.claudecluster.claude-version": claudeVersion,
    };
    const findImage = () => ({ id: "sha256:1", createTimeMs: Date.now() - ageDays * 86_400_000, labels });
    await using runtime = new FakeRuntime({ machine: new FakeMachine({ createAgent, findImage }) });
    const checkThere: DoctorOptions["checkRuntime"] = ({ signal }) => checkRuntime(runtime, { image, signal });
    const link = { ...linkTo(create(GetHostInfoResponseSchema, { hostVersion: "1" })), checkRuntime: checkThere };
    const stdout = new Plain();
    const { signal } = new AbortController();
    const env = { PATH: `${place.root}:${process.env["PATH"]}` };
    const io = { stdin: process.stdin, stdout, stderr: new Plain(), env, signal };
    const options = { place: { directories: place.directories, link }, config, checkRuntime: checkThere };
    await doctorCommand(options, { json: true }, io);
    const all = JSON.parse(stdout.text) as { subject: string; help?: string }[];
    return Object.fromEntries(all.map(({ subject, ...rest }) => [subject, rest]));
  };
  const own = "claudecluster/agent:latest";
  expect(await findings(own, "0.0.0-a", 1)).toMatchObject({
    claude: {
      ok: true,
      message: expect.stringContaining("older than 2.1.332") as string,
      help: "Update it: claude update",
    },
    image: {
      ok: true,
      help: "It is of version 0.0.0-a; the next session builds it anew, and so does: claudecluster image",
    },
  });
  expect((await findings("my/agent:1", "0.0.0-a", 1))["image"]).toMatchObject({
    help: "It is of version 0.0.0-a. Build it anew: claudecluster image --tag my/agent:1",
  });
  const fine = await findings(own, "0.0.0-source", 1, "2.1.100");
  expect([fine["claude"], fine["image"]].map((finding) => (finding as { help?: string }).help)).toEqual([
    undefined,
    undefined,
  ]);
  expect((await findings(own, "0.0.0-source", 40))["image"]).toMatchObject({
    help: "Rebuild it with a newer Claude Code: claudecluster image --claude-version latest",
  });
});
