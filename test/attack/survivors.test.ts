import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, constants, openSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { processesOf } from "../../agent/process/kill-all.ts";
import { Artifact_Kind } from "../../proto/index.ts";
import { attach, serveModel, startRig } from "../agent/agent-rig.ts";
import { readArtifact } from "../agent/artifacts.ts";
import { startScriptedModel } from "../model/scripted-model.ts";

/**
 * Takes the name that it is given, and puts another one in place of honest.txt wherever the git that computes a diff
 * holds it in its memory.
 */
const FORGER = String.raw`
open my $name, ">", "/proc/self/comm"; syswrite $name, eval qq("$ARGV[0]"); close $name;
print STDERR ".";
while (1) {
  for my $process (glob "/proc/[0-9]*") {
    open my $command, "<", "$process/cmdline" or next;
    next unless (<$command> // "") =~ /diff-index/;
    open my $maps, "<", "$process/maps" or next;
    open my $memory, "+<:raw", "$process/mem" or next;
    while (<$maps>) {
      next unless /^([0-9a-f]+)-([0-9a-f]+) rw/;
      my ($start, $end) = (hex $1, hex $2);
      next if $end - $start > 50_000_000;
      sysseek $memory, $start, 0;
      sysread $memory, my $bytes, $end - $start or next;
      while ($bytes =~ /honest/g) { sysseek $memory, $start + $-[0], 0; syswrite $memory, "forged" }
    }
  }
}`;
const NAMES = [String.raw`\rState:\tZ`, String.raw`\rUid:\t0 0 0 0`, String.raw`\\\rState:\tX`];

/** Its first thread ends, another goes on. */
const HEADLESS = `import ctypes, sys, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
print(".", end="", file=sys.stderr, flush=True)
ctypes.CDLL(None).pthread_exit(None)`;

test("no process of a session outlives its last kill, and none gets at the patch", async () => {
  await using model = await startScriptedModel();
  await using rig = await startRig();
  const connection = rig.connect();
  await using _serving = serveModel(connection, model.url);
  const { home, sessionIdentity } = rig.config;
  const file = (name: string, content: string) => {
    writeFileSync(join(home, name), content, { mode: 0o644 });
    return join(home, name);
  };
  const programs = [
    ...NAMES.map((name) => `perl ${file("forger.pl", FORGER)} '${name}'`),
    `python3 ${file("headless.py", HEADLESS)}`,
  ];
  // Each says a dot, and keeps the pipe open for as long as it lives.
  const pipe = join(home, "alive");
  execFileSync("mkfifo", [pipe]);
  chmodSync(pipe, 0o666);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const script = programs.map((program) => `setsid ${program} >/dev/null 2>${pipe} </dev/null &\n`).join("");
  const command = `sh ${file("start.sh", script)}; echo honest > honest.txt`;
  const task = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
  const spec = { task, idleTimeout: durationFromMs(600_000) };
  await connection.client.startSession({ sessionId: "ses_1", spec });
  await using owner = attach(connection);
  await owner.event("turnFinished");
  let dots = "";
  await expect.poll(() => (dots += readPipe(reader)), { timeout: 20_000 }).toBe("....");
  owner.send({ case: "stop", value: { reason: "enough" } });
  await owner.event("sessionFinished");
  expect(readPipe(reader)).toBe("(closed)");
  closeSync(reader);
  expect(processesOf(sessionIdentity!.uid)).toEqual([]);
  const { session } = await connection.client.getSession({});
  expect(session?.result?.changes.map(({ path }) => path)).toEqual(["honest.txt"]);
  expect((await readArtifact(connection.client, Artifact_Kind.PATCH)).toString()).toMatch(
    /^diff --git a\/honest.txt b\/honest.txt\n/,
  );
});

/** What is in the pipe; the kernel also says whether anybody has it open for writing. */
function readPipe(fd: number): string {
  const bytes = Buffer.alloc(64);
  try {
    const count = readSync(fd, bytes);
    return count === 0 ? "(closed)" : bytes.toString("latin1", 0, count);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    return "";
  }
}
