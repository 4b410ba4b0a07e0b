import { expect, test } from "vitest";
import { makeHostDirectories } from "../../test/support/host-directories.ts";
import { Plain } from "../../test/support/screen.ts";
import { AppError } from "../../proto/index.ts";
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
    expect.objectContaining({ subject: "engine", ok: true }),
    { subject: "state", ok: true, message: place.directories.stateDirectory },
    expect.objectContaining({ subject: "disk", ok: true }),
  ]);
});
