import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BundledHost, bundleHost } from "../../test/support/bundle-host.ts";
import { makeHostDirectories, type TestDirectories } from "../../test/support/host-directories.ts";

// File systems of their own, and another user: needs root, as the agent's tests do.

let host: BundledHost;
beforeAll(async () => {
  host = await bundleHost({ version: "1.2.0" });
  chmodSync(join(host.command[1]!, ".."), 0o755);
});
afterAll(() => host[Symbol.asyncDispose]());

/** Far above what any command takes, and below this test's own limit (ms). */
const ENDLESS_MS = 20_000;
/** A user that the machine's list of users does not have. */
const NOBODY = 54_321;

interface RunOptions {
  env?: Record<string, string>;
  uid?: number;
  input?: string;
}

/** Runs a command to its end. A signal instead of a code: it had to be killed. */
async function run({ env }: TestDirectories, args: string[], options: RunOptions = {}) {
  const [program, ...own] = host.command;
  const { uid, input = "" } = options;
  const child = spawn(program!, [...own, ...args], {
    env: { ...env, DOCKER_HOST: "unix:///nowhere/docker.sock", ...options.env },
    ...(uid !== undefined && { uid, gid: uid }),
    timeout: ENDLESS_MS,
    killSignal: "SIGKILL",
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null, string | null]>,
  ]);
  return { end: code ?? signal, stdout, stderr, all: stdout + stderr };
}

test.each(["status", "shutdown", "list", "doctor"])("%s says that the socket's path is too long", async (command) => {
  await using place = await makeHostDirectories();
  askNobody(place);
  const long = `${place.directories.runtimeDirectory}/${"x".repeat(120)}`;
  const { end, all } = await run(place, [command], { env: { CLAUDECLUSTER_RUNTIME_DIR: long } });
  expect(all).toContain(`${long} has too long a path for a socket`);
  expect(all).toContain("Set CLAUDECLUSTER_RUNTIME_DIR to a shorter one.");
  expect(end).toBe(3);
});

/** What is wrong, and what every command has to say of it: path and reason in one line, then the cure. */
interface Fault {
  /** Returns what else the command is run with, and what undoes it. */
  make(place: TestDirectories): RunOptions & { undo?: () => void };
  /** The doctor's line. */
  subject: string;
  path(place: TestDirectories): string;
  reason: string;
  cure: string;
}

const mount = (path: string, options: string) => {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path]);
  return () => execFileSync("umount", ["--lazy", path]);
};
const stateOf = ({ directories }: TestDirectories) => directories.stateDirectory;
const runtimeOf = ({ directories }: TestDirectories) => directories.runtimeDirectory;
const configOf = ({ directories }: TestDirectories) => join(directories.configDirectory, "config.json");
const socketOf = (place: TestDirectories) => join(runtimeOf(place), "host.sock");

const STATE: [what: string, fault: Omit<Fault, "subject">][] = [
  [
    "in a directory of somebody else",
    {
      make: (place) => {
        chmodSync(join(stateOf(place), ".."), 0o755);
        chownSync(place.directories.configDirectory, NOBODY, NOBODY);
        mkdirSync(runtimeOf(place), { mode: 0o700 });
        chownSync(runtimeOf(place), NOBODY, NOBODY);
        return { uid: NOBODY };
      },
      path: stateOf,
      reason: "this user may not",
      cure: "CLAUDECLUSTER_STATE_DIR",
    },
  ],
  [
    "that belongs to somebody else",
    {
      make: (place) => {
        mkdirSync(stateOf(place), { mode: 0o700 });
        chownSync(stateOf(place), NOBODY, NOBODY);
        return {};
      },
      path: stateOf,
      reason: `belongs to another user (uid ${NOBODY}, this is uid 0)`,
      cure: "sudo chown 0",
    },
  ],
  [
    "that everybody can write to",
    {
      make: (place) => {
        mkdirSync(stateOf(place));
        chmodSync(stateOf(place), 0o777);
        return {};
      },
      path: stateOf,
      reason: "can be written by other users",
      cure: "chmod go-w",
    },
  ],
  [
    "on a read-only file system",
    {
      make: (place) => ({ undo: mount(stateOf(place), "ro,mode=700") }),
      path: stateOf,
      reason: "its file system is read-only",
      cure: "Make the file system writable",
    },
  ],
  [
    "on a full disk",
    {
      make: (place) => {
        const undo = mount(stateOf(place), "size=64k,mode=700");
        writeFileSync(join(stateOf(place), "ballast"), Buffer.alloc(64 * 1024));
        return { undo };
      },
      path: stateOf,
      reason: "the disk is full",
      cure: "Free some space there",
    },
  ],
  [
    "without room for another file",
    {
      make: (place) => ({ undo: mount(stateOf(place), "nr_inodes=1,mode=700") }),
      path: stateOf,
      reason: "the disk is full",
      cure: "Free some space there",
    },
  ],
  [
    "that is a dangling link",
    {
      make: (place) => (symlinkSync("/nowhere/at/all", stateOf(place)), {}),
      path: stateOf,
      reason: "it is a link to something that is not there",
      cure: "remove the link",
    },
  ],
  [
    "that is a circle of links",
    {
      make: (place) => (symlinkSync(stateOf(place), stateOf(place)), {}),
      path: stateOf,
      reason: "its links lead in a circle",
      cure: "remove the link",
    },
  ],
  [
    "where the system takes none",
    {
      make: () => ({ env: { CLAUDECLUSTER_STATE_DIR: "/proc/claudecluster" } }),
      path: () => "/proc/claudecluster",
      reason: "a directory on the way is missing",
      cure: "CLAUDECLUSTER_STATE_DIR",
    },
  ],
  [
    "that is a file",
    {
      make: (place) => (writeFileSync(stateOf(place), ""), {}),
      path: stateOf,
      reason: "something else is there",
      cure: "Move away what is in the way",
    },
  ],
  [
    "below a file",
    {
      make: (place) => {
        writeFileSync(stateOf(place), "");
        return { env: { CLAUDECLUSTER_STATE_DIR: join(stateOf(place), "below") } };
      },
      path: (place) => join(stateOf(place), "below"),
      reason: "something on the way is not a directory",
      cure: "Move away what is in the way",
    },
  ],
];

const OTHERS: [what: string, fault: Fault][] = [
  [
    "a config.json that is a directory",
    {
      make: (place) => (mkdirSync(configOf(place)), {}),
      subject: "configuration",
      path: configOf,
      reason: "it is a directory",
      cure: "Move it away",
    },
  ],
  [
    "a config.json that is a pipe",
    {
      make: (place) => (execFileSync("mkfifo", ["-m", "600", configOf(place)]), {}),
      subject: "configuration",
      path: configOf,
      reason: "it is not a file",
      cure: "Move it away",
    },
  ],
  [
    "a config.json that is a dangling link",
    {
      make: (place) => (symlinkSync("/nowhere/at/all", configOf(place)), {}),
      subject: "configuration",
      path: configOf,
      reason: "it is a link to something that is not there",
      cure: "remove the link",
    },
  ],
  [
    "a config.json of somebody else",
    {
      make: (place) => {
        writeFileSync(configOf(place), "{}");
        chownSync(configOf(place), NOBODY, NOBODY);
        return {};
      },
      subject: "configuration",
      path: configOf,
      reason: `belongs to another user (uid ${NOBODY}, this is uid 0)`,
      cure: "sudo chown 0",
    },
  ],
  [
    "a config.json that this user may not read",
    {
      make: (place) => {
        writeFileSync(configOf(place), "{}", { mode: 0o600 });
        chmodSync(join(configOf(place), "..", ".."), 0o777);
        chmodSync(join(configOf(place), ".."), 0o755);
        return { uid: NOBODY };
      },
      subject: "configuration",
      path: configOf,
      reason: "this user may not",
      cure: "CLAUDECLUSTER_CONFIG_DIR",
    },
  ],
  [
    "a configuration directory that is a file",
    {
      make: (place) => {
        const file = join(place.directories.configDirectory, "file");
        writeFileSync(file, "");
        return { env: { CLAUDECLUSTER_CONFIG_DIR: file } };
      },
      subject: "configuration",
      path: (place) => join(place.directories.configDirectory, "file", "config.json"),
      reason: "something on the way is not a directory",
      cure: "CLAUDECLUSTER_CONFIG_DIR",
    },
  ],
  [
    "a runtime directory that is a dangling link",
    {
      make: (place) => (symlinkSync("/nowhere/at/all", runtimeOf(place)), {}),
      subject: "host",
      path: runtimeOf,
      reason: "it is a link to something that is not there",
      cure: "CLAUDECLUSTER_RUNTIME_DIR",
    },
  ],
  [
    "a runtime directory that cannot be made",
    {
      make: (place) => {
        writeFileSync(runtimeOf(place), "");
        return { env: { CLAUDECLUSTER_RUNTIME_DIR: join(runtimeOf(place), "below") } };
      },
      subject: "host",
      path: (place) => join(runtimeOf(place), "below"),
      reason: "something on the way is not a directory",
      cure: "CLAUDECLUSTER_RUNTIME_DIR",
    },
  ],
  [
    "a runtime directory on a read-only file system",
    {
      make: (place) => ({ undo: mount(runtimeOf(place), "ro,mode=700") }),
      subject: "host",
      path: runtimeOf,
      reason: "its file system is read-only",
      cure: "CLAUDECLUSTER_RUNTIME_DIR",
    },
  ],
  [
    "a socket that is a directory",
    {
      make: (place) => (mkdirSync(socketOf(place), { recursive: true, mode: 0o700 }), {}),
      subject: "host",
      path: socketOf,
      reason: "it is a directory",
      cure: "Move it away",
    },
  ],
  [
    "no home",
    {
      make: (place) => {
        chmodSync(join(stateOf(place), ".."), 0o777);
        const none = ["CLAUDECLUSTER_CONFIG_DIR", "CLAUDECLUSTER_STATE_DIR", "CLAUDECLUSTER_RUNTIME_DIR", "HOME"];
        return { uid: NOBODY, env: Object.fromEntries(none.map((name) => [name, ""])) };
      },
      subject: "directories",
      path: () => "HOME",
      reason: "This user has no home directory",
      cure: "Set HOME, or all of",
    },
  ],
];

/** Keeps the doctor from asking the real model's endpoint. */
function askNobody(place: TestDirectories, uid = 0): void {
  writeFileSync(configOf(place), JSON.stringify({ base_url: "http://127.0.0.1:9" }), { mode: 0o600 });
  chownSync(configOf(place), uid, uid);
}

/** Leaves directories that the host of a test can be looked for in. */
function repair(place: TestDirectories): void {
  rmSync(socketOf(place), { recursive: true, force: true });
  for (const path of [stateOf(place), runtimeOf(place)]) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false) rmSync(path);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chownSync(path, 0, 0);
    chmodSync(path, 0o700);
  }
}

/** Nothing that only a programmer understands; the random part of a directory's name may look like it. */
const ERRNO = /(?<!-)\b(INTERNAL|CONNECTION_LOST|E[A-Z]{3,}\b(?<!E(NGINE|GRESS|XIT)))/;

describe.each<[string, Fault]>([
  ...STATE.map(([what, fault]): [string, Fault] => [`a state directory ${what}`, { ...fault, subject: "state" }]),
  ...OTHERS,
])("%s", (_what, fault) => {
  test.each(["doctor", "list"])("%s says which path, why, and what to do", async (command) => {
    await using place = await makeHostDirectories();
    const { undo = () => {}, ...options } = fault.make(place);
    if (fault.subject !== "configuration") askNobody(place, options.uid);
    try {
      const { end, stdout, all } = await run(place, [command], options);
      const lines = all.split("\n");
      const at = lines.findIndex((line) => line.includes(fault.path(place)) && line.includes(fault.reason));
      expect(lines[at], all).toBeDefined();
      expect(lines[at + 1]).toContain(fault.cure);
      expect(all).not.toMatch(ERRNO);
      expect(end).toBe(3);
      if (command === "list") return;
      expect(lines[at]).toMatch(new RegExp(`^PROBLEM {2}${fault.subject} `));
      // It looks at the rest.
      expect(stdout).toMatch(/^PROBLEM {2}engine .*not running/m);
    } finally {
      undo();
      repair(place);
    }
  });
});

const at = (name: string) => (place: TestDirectories) => join(place.directories.configDirectory, name);

/** Commands with something of their own that is not as it must be: the whole of what they say. */
const COMMANDS: [what: string, args: (place: TestDirectories) => string[], options: RunOptions, says: RegExp][] = [
  [
    "a socket in a directory that is missing",
    (place) => ["engine-filter", "--listen", at("missing/engine.sock")(place)],
    {},
    /^LISTEN_FAILED: Cannot listen on \S+engine\.sock: its directory is missing\.\nMake the directory\.\n$/,
  ],
  [
    "a socket with too long a path",
    (place) => ["engine-filter", "--listen", at("x".repeat(120))(place)],
    {},
    /^LISTEN_FAILED: Cannot listen on \S+: no socket can have that path; it may be too long\.\nTake a path /,
  ],
  [
    "an address that this machine does not have",
    (place) => ["serve", "--listen", "192.0.2.1:1", "--listen-anywhere", "--token-file", at("token")(place)],
    {},
    /^LISTEN_FAILED: Cannot listen on 192\.0\.2\.1:1: this machine does not have that address\.\nTake one /,
  ],
  [
    "a port of the system, as another user",
    (place) => ["serve", "--listen", "127.0.0.1:1", "--token-file", at("token")(place)],
    { uid: NOBODY },
    /^LISTEN_FAILED: Cannot listen on 127\.0\.0\.1:1: this user may not\.\nTake a port from 1024 on/,
  ],
  [
    "a token file that is missing",
    (place) => ["serve", "--listen", "127.0.0.1:0", "--token-file", at("missing")(place)],
    {},
    /^TOKEN_FILE_UNREADABLE: The token file \S+missing cannot be read: there is no such file\.\nMake one /,
  ],
  [
    "a token file that is a directory",
    (place) => ["serve", "--listen", "127.0.0.1:0", "--token-file", place.directories.configDirectory],
    {},
    /^TOKEN_FILE_UNREADABLE: The token file \S+ cannot be read: it is a directory\.\nMake one /,
  ],
  [
    "a credential for a directory that cannot be made",
    () => ["credential", "set"],
    { input: "sk-ant-key", env: { CLAUDECLUSTER_CONFIG_DIR: "/proc/claudecluster" } },
    /^CONFIG_NOT_WRITABLE: \/proc\/claudecluster\/config\.json cannot be written: a directory on the way is missing\.\nMake /,
  ],
];

test.each(COMMANDS)("%s is said to be what it is", async (_what, args, options, says) => {
  await using place = await makeHostDirectories();
  const { configDirectory, stateDirectory, runtimeDirectory } = place.directories;
  writeFileSync(at("token")(place), "0123456789abcdef0123456789abcdef", { mode: 0o600 });
  const { uid = 0 } = options;
  chmodSync(join(stateDirectory, ".."), 0o755);
  for (const path of [stateDirectory, runtimeDirectory]) mkdirSync(path, { mode: 0o700 });
  for (const path of [configDirectory, stateDirectory, runtimeDirectory, at("token")(place)]) chownSync(path, uid, uid);
  const { end, stderr } = await run(place, args(place), options);
  repair(place);
  expect(stderr).toMatch(says);
  expect(stderr).not.toMatch(ERRNO);
  expect(end).toBe(3);
});

test.each([
  [
    "/var/run/docker.sock",
    /DOCKER_HOST is a path without a scheme.*\n +Write it as unix:\/\/\/var\/run\/docker\.sock\./,
  ],
  ["unix://docker.sock", /DOCKER_HOST is not an address of an engine.*\n +Write it as unix:\/\/\/path/],
  [`unix:///${"x".repeat(120)}`, /too long for a socket.*\n +Use a shorter one/],
  ["unix:///", /nothing listens at \/\.\n +Start it/],
  ["tcp://127.0.0.1:1", /nothing listens at 127\.0\.0\.1:1\.\n +Start it/],
  ["tcp://no-such-host.invalid:2375", /the name no-such-host\.invalid is not resolved\.\n +Start it/],
])("the doctor says what is wrong with the engine at %s", async (engine, says) => {
  await using place = await makeHostDirectories();
  askNobody(place);
  const { end, stdout } = await run(place, ["doctor"], { env: { DOCKER_HOST: engine } });
  expect(stdout).toMatch(says);
  expect(stdout).not.toMatch(ERRNO);
  expect(end).toBe(3);
});

test("a user that the machine does not know is one like any other, with a home", async () => {
  await using place = await makeHostDirectories();
  const home = join(place.directories.configDirectory, "..");
  chownSync(home, NOBODY, NOBODY);
  const env = { HOME: home, TMPDIR: home, CLAUDECLUSTER_CONFIG_DIR: "", CLAUDECLUSTER_RUNTIME_DIR: "" };
  const options = { uid: NOBODY, env: { ...env, CLAUDECLUSTER_STATE_DIR: "" } };
  expect(await run(place, ["list"], options)).toMatchObject({ end: 0, stderr: "" });
  expect(await run(place, ["shutdown"], options)).toMatchObject({ end: 0 });
});

test("a host that was stopped is said not to answer, and which process it is", async () => {
  await using place = await makeHostDirectories();
  askNobody(place);
  expect(await run(place, ["list"])).toMatchObject({ end: 0 });
  const { process_id: pid } = JSON.parse((await run(place, ["status", "--json"])).stdout) as { process_id: number };
  process.kill(pid, "SIGSTOP");
  try {
    for (const { end, all } of await Promise.all(["status", "shutdown", "doctor"].map((name) => run(place, [name])))) {
      expect(all).toContain("A host is running, but it does not answer.");
      expect(all).toContain(`end its process: kill ${pid}`);
      expect(end).toBe(3);
    }
  } finally {
    process.kill(pid, "SIGCONT");
  }
  expect(await run(place, ["shutdown"])).toMatchObject({ end: 0 });
});
