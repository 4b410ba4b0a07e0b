import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { DecisionPolicy, UserFilesSchema } from "../../proto/index.ts";
import { spawnInputSchema, toRepositoryWish, toSpawnRequest } from "./spawn-input.ts";

test("refuses unknown arguments by name", () => {
  const parsed = spawnInputSchema.safeParse({ task: "x", tmieout: 3 });
  expect(parsed.error?.message).toContain("tmieout");
});

test("leaves defaults to those who own them", () => {
  const { spec, container } = toSpawnRequest({ task: "x" }, { spec: undefined });
  expect(spec.timeout).toBeUndefined();
  expect(container.memoryBytes).toBe(0n);
  expect(durationMs(toSpawnRequest({ task: "x", timeout_seconds: 1.5 }, { spec: undefined }).spec.timeout!)).toBe(1500);
});

test("takes the user's own files and who decides", () => {
  expect(toRepositoryWish({ user_files: ["CLAUDE.md"] }).userFiles).toEqual(["CLAUDE.md"]);
  const userFiles = create(UserFilesSchema, { files: [{ path: "CLAUDE.md" }] });
  const { spec } = toSpawnRequest({ task: "x", decision_policy: "person" }, { spec: undefined, userFiles });
  expect(spec).toMatchObject({ decisionPolicy: DecisionPolicy.PERSON, userFiles: { files: [{ path: "CLAUDE.md" }] } });
});
