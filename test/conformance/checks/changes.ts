import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  Artifact_Kind,
  FileChange_Kind as Kind,
  type FilePatched,
  findPatchMismatch,
  PIECE_BYTES,
  pieces,
} from "../../../proto/index.ts";
import { type Bench, requireBytes } from "../bench.ts";
import { refused } from "../call-failed.ts";
import type { Check } from "../check.ts";

/** What a session does to files, and how it comes out. */
export const CHANGES: readonly Check[] = [
  {
    rule: "ReadArtifact says size and SHA-256 in its first message, and sends at most 256 KiB in each.",
    needs: "finished",
    capability: "artifacts",
    async run(bench) {
      const { artifact, bytes, chunkSizes } = await bench.readArtifact(Artifact_Kind.PATCH);
      requireBytes(artifact, bytes);
      assert.ok(bytes.length > PIECE_BYTES, "the tour's patch takes more than one message");
      assert.ok(Math.max(...chunkSizes) <= PIECE_BYTES, `messages of ${chunkSizes.join(", ")} bytes`);
      assert.equal((await bench.getSession()).result?.patchSizeBytes, artifact.sizeBytes, "patch_size_bytes");
    },
  },
  {
    rule: "ReadArtifact sends what follows the caller's offset; beyond the end is OUT_OF_RANGE, OFFSET_INVALID.",
    needs: "finished",
    capability: "artifacts",
    async run(bench) {
      const { artifact, bytes } = await bench.readArtifact(Artifact_Kind.PATCH);
      for (const offset of [1, PIECE_BYTES + 7, bytes.length]) {
        const rest = await bench.readArtifact(Artifact_Kind.PATCH, offset);
        requireBytes(rest.artifact, Buffer.concat([bytes.subarray(0, offset), rest.bytes]));
        assert.deepEqual(rest.artifact, artifact, "artifact");
      }
      await refused(bench.readArtifact(Artifact_Kind.PATCH, bytes.length + 1), "OUT_OF_RANGE", "OFFSET_INVALID");
    },
  },
  {
    rule: "Without a repository the session starts in an empty one, and its patch makes every file.",
    needs: "finished",
    async run(bench) {
      const patch = await bench.readPatch();
      const files = await bench.world.apply(patch, "nothing");
      const { result } = await bench.getSession();
      const expected = ["NOTES.md", "file-001.txt", "file-002.txt", "file-003.txt", "huge.txt"];
      assert.deepEqual(Object.keys(files).toSorted(), expected);
      assert.deepEqual(result?.changes.map(({ path }) => path).toSorted(), expected, "the result's changes");
      assert.equal(result?.changeCount, expected.length, "change_count");
      assert.equal(files["file-002.txt"], "content 002\n");
    },
  },
  {
    rule: "A changed file's whole diff comes as file_patched, in parts 0 to part_count - 1 with the SHA-256 of all of them.",
    needs: "finished",
    async run(bench, { owner }) {
      const diffs = joinParts(owner.all("filePatched"));
      const { result } = await bench.getSession();
      for (const { path } of result!.changes) assert.ok(diffs.has(path), `there was no diff of ${path}`);
      assert.ok(diffs.get("huge.txt")!.parts > 1, "a large diff comes in parts");
      const last = owner.all("changesUpdated").at(-1);
      assert.deepEqual(last?.changes.map(({ path }) => path).toSorted(), [...diffs.keys()].toSorted());
    },
  },
  {
    rule: "The patch touches the files of changes in their order, as their kinds say, and no other.",
    needs: "finished",
    async run(bench) {
      const patch = await bench.readPatch();
      const { result } = await bench.getSession();
      assert.equal(await findPatchMismatch(pieces(patch), result!), undefined);
    },
  },
  {
    rule: "The patch applies to base_commit_id, the commit that was cloned.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: multi-file-change]", { repository: { uri: bench.world.repositoryUri } });
      const owner = bench.attach();
      bench.serve();
      await owner.done;
      const { result } = await bench.getSession();
      assert.equal(result?.outcome.case, "success");
      assert.equal(result.baseCommitId, bench.world.commitId, "base_commit_id");
      const files = await bench.world.apply(await bench.readPatch(), "repository");
      assert.ok("src/languages.js" in files && !("src/legacy.js" in files), Object.keys(files).join(" "));
      assert.ok(files["README.md"]!.includes("Greets in English"), "the edit of README.md");
      const kinds = new Map(result.changes.map(({ path, kind }) => [path, kind]));
      assert.equal(kinds.get("src/legacy.js"), Kind.DELETED);
      assert.equal(kinds.get("src/languages.js"), Kind.ADDED);
      assert.equal(kinds.get("README.md"), Kind.MODIFIED);
    },
  },
  {
    rule: "What Claude's index or HEAD holds counts as tracked, whatever .gitignore says.",
    needs: "own",
    async run(bench) {
      const patch = await patchAfter(
        bench,
        "echo '*.out' > .gitignore; echo x > forced.out; echo x > left.out; git add -f forced.out",
      );
      assert.ok(patch.includes("b/forced.out"), "a file that was added by force is missing");
      assert.ok(!patch.includes("b/left.out"), "an ignored file is there");
    },
  },
  {
    rule: "Files are checked out and compared as .gitattributes say: text, eol, working-tree-encoding, ident.",
    needs: "own",
    async run(bench) {
      const patch = await patchAfter(
        bench,
        "printf '*.txt eol=crlf\\n*.utf working-tree-encoding=UTF-16LE\\n' > .gitattributes; printf 'one\\r\\n' > a.txt; printf 'o\\0n\\0e\\0\\n\\0' > b.utf",
      );
      assert.ok(patch.includes("b/a.txt") && patch.includes("+one\n") && !patch.includes("\r"), patch);
      assert.ok(patch.includes("b/b.utf") && !patch.includes("GIT binary patch"), patch);
    },
  },
  {
    rule: "While Claude works, the patch is what it is now.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: long-run seconds=100 steps=100]");
      const owner = bench.attach();
      bench.serve();
      await owner.event("filePatched");
      const patch = await bench.readPatch();
      assert.ok(patch.includes("+step 1 of 100"), patch.toString());
      assert.ok(!owner.events.some(({ event }) => event.case === "sessionFinished"), "it finished meanwhile");
    },
  },
];

/** Has Claude run a command in an empty workspace, and returns the patch that comes of it. */
async function patchAfter(bench: Bench, command: string): Promise<string> {
  await bench.start(`[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`);
  const owner = bench.attach();
  bench.serve();
  await owner.done;
  return (await bench.readPatch()).toString("latin1");
}

/** The newest whole diff of each path that still differs. Throws where the parts do not fit together. */
function joinParts(events: readonly FilePatched[]): Map<string, { parts: number }> {
  const diffs = new Map<string, { parts: number }>();
  let parts: Uint8Array[] = [];
  for (const { change, patch, partIndex, partCount, patchSha256 } of events) {
    const path = change?.path ?? "";
    assert.equal(partIndex, parts.length, `part_index of ${path}`);
    parts.push(patch);
    if (partIndex < partCount - 1) continue;
    const whole = createHash("sha256").update(Buffer.concat(parts)).digest();
    if (change?.kind === Kind.REVERTED) diffs.delete(path);
    else {
      assert.deepEqual(Buffer.from(patchSha256), whole, `patch_sha256 of ${path}`);
      diffs.set(path, { parts: parts.length });
    }
    parts = [];
  }
  assert.equal(parts.length, 0, "the last diff is not whole");
  return diffs;
}
