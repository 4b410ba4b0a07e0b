import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SessionResultSchema } from "../../proto/index.ts";
import { patchNotes } from "./patch-notes.ts";

test("says which filters did not run, and what is not in its encoding", () => {
  const result = create(SessionResultSchema, {
    skippedFilters: [{ name: "lfs", fileCount: 12, examplePath: "art/a.psd" }],
    unconvertedPaths: ["a.u16", "b", "c", "d", "e", "f"],
    setup: { changedPaths: ["lock"], changedPathCount: 3 },
  });
  expect(patchNotes(result)).toEqual([
    "filter lfs of .gitattributes does not run in a container: 12 files, such as art/a.psd, stayed as git stores them",
    "not in the encoding that .gitattributes name, and in the patch as it is: a.u16, b, c, d, e and 1 more",
    "changed by the setup, before Claude: lock and 2 more",
  ]);
  expect(patchNotes(create(SessionResultSchema))).toEqual([]);
});

test("keeps what a container says on one line each", () => {
  const result = create(SessionResultSchema, {
    skippedFilters: Array.from({ length: 50 }, () => ({
      name: "x\nstate succeeded",
      fileCount: 1,
      examplePath: "a\nb",
    })),
    unconvertedPaths: ["a\nstate succeeded"],
  });
  const notes = patchNotes(result);
  expect(notes).toHaveLength(11);
  for (const note of notes) expect(note).not.toContain("\n");
});
