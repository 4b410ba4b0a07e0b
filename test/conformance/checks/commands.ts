import assert from "node:assert/strict";
import { Session_State as State } from "../../../proto/index.ts";
import type { Check } from "../check.ts";

/** Commands of the spec that run before and after Claude. */
export const COMMANDS: readonly Check[] = [
  {
    rule: "The user_files are where Claude Code looks for its user's before it starts; user_files_copied says so before the first turn.",
    needs: "own",
    capability: "user-files",
    async run(bench) {
      const data = Buffer.from("#!/bin/sh\necho from a skill\n");
      const files = [
        { path: "CLAUDE.md", data: Buffer.from("A rule of the user.\n") },
        { path: "skills/größe/run.sh", data, executable: true },
      ];
      const command = "~/.claude/skills/größe/run.sh; head -n 1 ~/.claude/CLAUDE.md";
      const task = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
      await bench.start(task, { userFiles: { files } });
      bench.serve();
      const owner = bench.attach();
      await owner.done;
      const [copied] = owner.all("userFilesCopied");
      assert.deepEqual(
        copied?.paths,
        files.map(({ path }) => path),
      );
      const kinds = owner.events.map(({ event }) => event.case);
      assert.ok(kinds.indexOf("userFilesCopied") < kinds.indexOf("turnStarted"), kinds.join(" "));
      assert.match(
        owner
          .all("toolUseFinished")
          .map(({ output }) => output)
          .join(""),
        /from a skill\nA rule of the user\./,
      );
      const { spec } = await bench.getSession();
      assert.deepEqual(
        spec?.userFiles?.files.map(({ sizeBytes, data }) => [Number(sizeBytes), data.length]),
        [
          [20, 0],
          [data.length, 0],
        ],
      );
    },
  },
  {
    rule: "A setup runs before Claude; setup_finished says how it ended, and which files it changed: they are in the patch.",
    needs: "own",
    capability: "setup",
    async run(bench) {
      const command = "echo some words; echo made.o > .gitignore; touch made.o; echo made > made.txt";
      await bench.start("[scenario: small-edit] hello", { setup: { command } });
      bench.serve();
      const owner = bench.attach();
      await owner.done;
      const [finished] = owner.all("setupFinished");
      assert.equal(finished?.result?.exitCode, 0, "exit_code");
      assert.deepEqual(finished.changedPaths.toSorted(), [".gitignore", "made.txt"]);
      const kinds = owner.events.map(({ event }) => event.case);
      assert.ok(kinds.indexOf("setupFinished") < kinds.indexOf("turnStarted"), kinds.join(" "));
      const output = Buffer.concat(owner.all("commandOutput").map(({ data }) => data));
      assert.equal(output.toString(), "some words\n");
      const { result } = await bench.getSession();
      assert.deepEqual(result?.setup?.result?.exitCode, 0);
      const files = await bench.world.apply(await bench.readPatch(), "nothing");
      assert.deepEqual(Object.keys(files).toSorted(), [".gitignore", "NOTES.md", "made.txt"]);
    },
  },
  {
    rule: "A setup that fails or takes longer than its timeout fails the session, SETUP_FAILED, and Claude is not started.",
    needs: "own",
    capability: "setup",
    async run(bench, another) {
      const slow = { command: "sleep 100", timeout: { seconds: 1n } };
      for (const [next, setup] of [
        [bench, { command: "exit 3" }],
        [await another(), slow],
      ] as const) {
        await next.start("[scenario: small-edit] hello", { setup });
        next.serve();
        const owner = next.attach();
        await owner.done;
        const { state, result } = await next.getSession();
        assert.equal(state, State.FAILED);
        assert.equal(result?.outcome.case === "failure" && result.outcome.value.reason, "SETUP_FAILED");
        assert.equal(owner.all("turnStarted").length, 0, "turns");
      }
    },
  },
  {
    rule: "A check runs after Claude; check_finished and the result say how it ended, which decides nothing, and what it writes is not in the patch.",
    needs: "own",
    capability: "check",
    async run(bench) {
      const command = "echo more > more.txt; echo one test failed; exit 5";
      await bench.start("[scenario: small-edit] hello", { check: { command } });
      bench.serve();
      const owner = bench.attach();
      await owner.done;
      const { state, result } = await bench.getSession();
      assert.equal(state, State.SUCCEEDED);
      assert.equal(result?.check?.exitCode, 5);
      assert.equal(result.check.outputTail, "one test failed");
      assert.equal(owner.all("checkFinished").length, 1, "check_finished");
      const files = await bench.world.apply(await bench.readPatch(), "nothing");
      assert.deepEqual(Object.keys(files), ["NOTES.md"]);
    },
  },
];
