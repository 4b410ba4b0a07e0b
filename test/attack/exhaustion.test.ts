import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { ContainerSpecSchema, RepositorySpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { containersGone } from "../support/containers-gone.ts";
import { startHostRig } from "../support/rig.ts";
import { eachEvent } from "../support/each-event.ts";

/** Every place that a session's user can write to. */
const PLACES = "/tmp /home/claude /workspace /scan /dev/shm";
const perl = (program: string) => `perl -e '${program}' 2>&1`;

/** Each takes all that there is of something, from Claude's own shell, and says how far it came. */
const BOMBS: readonly (readonly [command: string, says: RegExp])[] = [
  // Processes.
  [
    perl(
      'for (1..5000) { my $p = fork; last if !defined $p; if (!$p) { sleep 60; exit } push @p, $p } print "forked ", scalar @p, "\\n"; kill 9, @p',
    ),
    /forked [1-4]\d\d$/m,
  ],
  // Memory: the kernel ends the largest of those that are to go before the agent.
  [`${perl('push @x, "x" x 50_000_000 while 1')}; echo "memory $?"`, /memory 137$/m],
  // Disks, all of them at once, and with them nearly all of the memory. What a command prints has to be stored, too.
  [
    `said=$(for place in ${PLACES}; do head -c 9G /dev/zero > $place/fill; done 2>&1); for place in ${PLACES}; do rm $place/fill; done; echo "$said"; echo "disks $?"`,
    /(No space left on device[^]*){5}disks 0$/m,
  ],
  // Inodes.
  [
    perl(
      'mkdir "/tmp/n"; my $n = 0; while (open(my $f, ">", "/tmp/n/$n")) { $n++; close $f } print "inodes $n: $!\\n"; unlink glob "/tmp/n/*"',
    ),
    /inodes \d{4,6}: No space left on device$/m,
  ],
  // Descriptors.
  [perl('my $n = 0; while (open($f[$n], "<", "/dev/null")) { $n++ } print "files $n\\n"'), /files \d{1,4}$/m],
];
/** Takes all memory in pieces that are smaller than Claude, which is to go first. */
const LAST = `echo 1000 > /proc/\${CLAUDE_PID:-$PPID}/oom_score_adj; echo x > /workspace/repo/before.txt; ${perl('for (1..450) { fork or do { my $x = "x" x 8_000_000; sleep 60; exit } } sleep 60')}`;

test("a session that takes all processes, memory, disk, inodes and descriptors goes on; it ends with its Claude, and says why", async () => {
  await using rig = await startHostRig();
  const commands = [...BOMBS.map(([command]) => command), LAST];
  const calls = commands.map((command) => ({ name: "Bash", input: { command, timeout: 60_000 } }));
  const { id } = await rig.sessions.create({
    spec: create(SessionSpecSchema, {
      task: `[scenario: call-tools ${JSON.stringify(calls)}]`,
      repository: create(RepositorySpecSchema, { uri: rig.repository }),
      timeout: durationFromMs(150_000),
    }),
    container: create(ContainerSpecSchema),
  });
  const outputs: string[] = [];
  for await (const { event } of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(160_000) }),
  )) {
    if (event.case === "toolUseFinished") outputs.push(event.value.output);
  }
  expect(outputs).toHaveLength(BOMBS.length);
  for (const [index, [, says]] of BOMBS.entries()) expect(outputs[index]).toMatch(says);
  const { result } = await rig.sessions.get(id);
  expect(result?.outcome).toMatchObject({ case: "failure", value: { reason: "CLAUDE_EXITED" } });
  expect(result?.outcome.value).toMatchObject({ message: expect.stringContaining("out of memory") as string });
  expect(result?.changes.map(({ path }) => path)).toEqual(["before.txt"]);
  await containersGone(rig.place);
});
