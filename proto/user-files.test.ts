import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  SessionSpecSchema,
  UserFileSchema,
  UserFilesSchema,
} from "./gen/claudecluster/session/v1alpha1/session_spec_pb.ts";
import { completeSpec } from "./session-rules.ts";
import { takeUserFiles, USER_FILES } from "./user-files.ts";

const file = (path: string, size = 1) => create(UserFileSchema, { path, data: new Uint8Array(size) });
const specOf = (...files: ReturnType<typeof file>[]) => create(SessionSpecSchema, { task: "x", userFiles: { files } });

test.each([
  "CLAUDE.md",
  "RULES.md",
  "settings.json",
  "hooks/x.sh",
  "skills/a/b c/é.txt",
  "agents/a.md",
  "output-styles/a.md",
])("takes %s", (path) => {
  expect(completeSpec(specOf(file(path))).userFiles?.files).toHaveLength(1);
});

test.each([
  ".credentials.json",
  ".claude.json",
  "settings.local.json",
  "projects/x.jsonl",
  "skills",
  "skills/../x",
  "skills//x",
  "/skills/x",
  "skills/a\nb",
  "skills\\x",
  `skills/${"x".repeat(101)}`,
  ".x.md",
])("refuses %j", (path) => {
  expect(() => completeSpec(specOf(file(path)))).toThrow(expect.objectContaining({ reason: "USER_FILE_INVALID" }));
});

test("refuses one twice, one that is not whole, and too many", () => {
  const invalid = expect.objectContaining({ reason: "USER_FILE_INVALID" }) as Error;
  const tooLarge = expect.objectContaining({ reason: "USER_FILES_TOO_LARGE" }) as Error;
  expect(() => completeSpec(specOf(file("CLAUDE.md"), file("CLAUDE.md")))).toThrow(invalid);
  expect(() => completeSpec(specOf({ ...file("CLAUDE.md", 0), sizeBytes: 7n }))).toThrow(invalid);
  expect(() => completeSpec(specOf(file("CLAUDE.md", USER_FILES.maxBytes + 1)))).toThrow(tooLarge);
  const many = Array.from({ length: USER_FILES.maxCount + 1 }, (_, at) => file(`skills/x/${at}`));
  expect(() => completeSpec(specOf(...many))).toThrow(tooLarge);
});

test("a spec that is told of has no data, and names no more than a hundred", () => {
  const spec = specOf(...Array.from({ length: 120 }, (_, at) => file(`skills/x/${at}`, 2)));
  const files = takeUserFiles(spec);
  expect(files).toHaveLength(120);
  expect(files[0]).toMatchObject({ data: new Uint8Array(2), sizeBytes: 2n });
  expect(spec.userFiles).toMatchObject({ fileCount: 120, sizeBytes: 240n });
  expect(spec.userFiles?.files).toHaveLength(100);
  expect(spec.userFiles?.files[0]).toMatchObject({ data: new Uint8Array(), sizeBytes: 2n });
});

test("a spec tells of what did not go in no more than an event holds", () => {
  const spec = specOf(file("CLAUDE.md"));
  const paths = Array.from({ length: 200 }, () => "p".repeat(4000));
  const leftOut = Array.from({ length: 200 }, () => ({ reason: "r".repeat(4000), count: 200, paths }));
  spec.userFiles = create(UserFilesSchema, { files: spec.userFiles!.files, leftOut });
  takeUserFiles(spec);
  expect(spec.userFiles.leftOut[0]).toMatchObject({ count: 200 });
  expect(toBinary(SessionSpecSchema, spec).length).toBeLessThan(64 * 1024);
});
