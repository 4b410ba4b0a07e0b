import { expect, test } from "vitest";
import { makeHostDirectories } from "../../test/support/host-directories.ts";
import { Plain } from "../../test/support/screen.ts";
import { create } from "@bufbuild/protobuf";
import { GetHostInfoResponseSchema } from "../../proto/control.ts";
import { AppError } from "../../proto/index.ts";
import { readConfig } from "../config/config.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../runtime/fake/fake-runtime.ts";
import { doctorCommand } from "./doctor.ts";

test("finds a configuration that cannot be read, and looks at the rest", async () => {
  const machine = new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
  });
  await using runtime = new FakeRuntime({ machine });
  const invalid = new AppError("CONFIG_INVALID", 'config.json: "egres" is not known.', {
    help: "host/README.md lists its entries.",
  });
  await using place = await makeHostDirectories();
  const noHost = { directories: place.directories, link: { find: () => Promise.resolve(undefined) } };
  const stdout = new Plain();
  const { signal } = new AbortController();
  const io = { stdin: process.stdin, stdout, stderr: new Plain(), env: {}, signal };
  expect(await doctorCommand({ runtime, place: noHost, config: invalid }, { json: true }, io)).toBe(3);
  expect(JSON.parse(stdout.text)).toEqual([
    expect.objectContaining({ subject: "claudecluster", ok: true }),
    { subject: "configuration", ok: false, message: invalid.message, help: invalid.help },
    { subject: "engine", ok: true, message: "fake; containers have no network interface" },
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
  const findings = async (env: NodeJS.ProcessEnv, credentialKind?: string) => {
    const info =
      credentialKind === undefined
        ? undefined
        : create(GetHostInfoResponseSchema, {
            hostVersion: "1",
            credentialKind,
            modelEndpoint: "https://model.example",
          });
    const stdout = new Plain();
    const { signal } = new AbortController();
    const io = { stdin: process.stdin, stdout, stderr: new Plain(), env, signal };
    const there = { directories: place.directories, link: { find: () => Promise.resolve(info) } };
    await doctorCommand({ runtime, place: there, config }, { json: true }, io);
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
  // One that has none says so itself, in a session too.
  expect(await findings({}, "")).toMatchObject({ credential: { ok: false } });
});
