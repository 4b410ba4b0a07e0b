import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";

// What test/setup/newer-engine.mjs needs, and what it takes to start an engine.
const CAN_START_ENGINE = process.platform === "linux" && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");

/** Their files wait for git and other programs half of the time. */
const UNIT_WORKERS = 4;

/** Their files wait for containers most of the time, and two at once leave each other time enough. */
const WORKERS = 2;

/** What is waited for comes, or something is wrong: on a busy machine a second, which is the default, says neither. */
const expect = { poll: { timeout: 20_000 } };

/** The sealed container, attacked, and a session in it; the whole runtime's contract in `npm run soak`. */
const NEWER_ENGINE = {
  name: "newer-engine",
  include: [
    "test/newer-engine/*.test.ts",
    `test/contract/${process.env["NEWER_ENGINE"] === "whole" ? "*docker*" : "sealed-docker"}.test.ts`,
    "test/attack/attack.test.ts",
    "test/e2e/result.test.ts",
  ],
  globalSetup: ["test/support/leaves-nothing.ts", "test/support/require-rig.ts", "test/newer-engine/start.ts"],
  setupFiles: ["test/newer-engine/use.ts"],
  maxWorkers: WORKERS,
  testTimeout: 180_000,
  hookTimeout: 120_000,
  expect,
  sequence: { groupOrder: 3 },
};

// unit: beside the files, each seconds. docker: real engine. e2e: real engine, real Claude Code,
// scripted model. newer-engine: some of both on another engine.
export default defineConfig({
  test: {
    reporters: ["default", "./test/support/closing-line-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["{proto,agent,host}/**/*.test.ts", "test/{contract,load,model,support,trip}/**/*.test.ts"],
          exclude: ["**/*docker*.test.ts", "**/claude-cli.test.ts"],
          globalSetup: ["test/support/leaves-nothing.ts"],
          setupFiles: ["test/support/use-memory.ts"],
          maxWorkers: UNIT_WORKERS,
          testTimeout: 30_000,
          expect,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "docker",
          include: ["test/contract/*docker*.test.ts", "test/docker/**/*.test.ts"],
          globalSetup: ["test/support/leaves-nothing.ts", "test/support/require-rig.ts"],
          maxWorkers: WORKERS,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/{agent,attack,conformance,e2e,page}/**/*.test.ts", "test/model/claude-cli.test.ts"],
          globalSetup: ["test/support/leaves-nothing.ts", "test/support/require-rig.ts"],
          maxWorkers: WORKERS,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          expect,
          sequence: { groupOrder: 2 },
        },
      },
      ...(CAN_START_ENGINE ? [{ test: NEWER_ENGINE }] : []),
    ],
  },
});
