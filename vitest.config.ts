import { defineConfig } from "vitest/config";

// unit: beside the files, seconds. docker: real engine. e2e: real engine, real Claude Code,
// scripted model. The last two share one machine, so their files run one after the other.
export default defineConfig({
  test: {
    reporters: ["default", "./test/support/closing-line-reporter.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["{proto,agent,host}/**/*.test.ts", "test/{contract,load,model,support}/**/*.test.ts"],
          exclude: ["**/*docker*.test.ts", "**/claude-cli.test.ts"],
          globalSetup: ["test/support/leaves-nothing.ts"],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "docker",
          include: ["test/contract/*docker*.test.ts", "test/docker/**/*.test.ts"],
          globalSetup: ["test/support/leaves-nothing.ts", "test/support/require-rig.ts"],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/{agent,attack,conformance,e2e}/**/*.test.ts", "test/model/claude-cli.test.ts"],
          globalSetup: ["test/support/leaves-nothing.ts", "test/support/require-rig.ts"],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
