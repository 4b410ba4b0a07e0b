import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { rebuilt } from "../../test/git/bundled.ts";
import type { Files } from "../../test/git/random-trees.ts";
import { UserArea } from "../../test/git/user-area.ts";
import { CommitsRecordSchema } from "../../proto/index.ts";

const START: Files = new Map([["a", { mode: "100644", content: "a\n" }]]);
const RESULT: Files = new Map([["a", { mode: "100644", content: "b\n" }]]);

type Fact = { object?: string; patch?: Uint8Array | string };

/** A commit of RESULT on the start, or of what the facts say, and its id by its hash. */
function commitIn(area: UserArea, { object, patch }: Fact = {}) {
  const text =
    object ??
    `tree ${area.tree(RESULT)}\nparent ${area.head}\nauthor C <c@x> 1700000000 +0100\ncommitter C <c@x> 1700000000 +0100\n\nsubject\n`;
  const bytes = Buffer.from(text, "latin1");
  const id = createHash("sha1").update(`commit ${bytes.length}\0`).update(bytes).digest("hex");
  const given = patch ?? area.changes(area.head, RESULT).patch;
  const value = { object: bytes, patch: typeof given === "string" ? Buffer.from(given) : given };
  return { id, record: encode({ case: "commit", value }) };
}

function encode(
  record:
    | { case: "commit"; value: { object: Uint8Array; patch: Uint8Array } }
    | { case: "ref"; value: { name: string; commitId: string } },
) {
  // prettier-ignore
  return sizeDelimitedEncode(CommitsRecordSchema, create(CommitsRecordSchema, { record }));
}

function refTo(commitId: string, name = "head") {
  return encode({ case: "ref", value: { name, commitId } });
}

test("makes the very commit that Claude made, where nothing in it is odd, whatever the encoding of its message", async () => {
  using area = new UserArea(START);
  const head = `tree ${area.tree(RESULT)}\nparent ${area.head}\nauthor J\xf6 <j@x> 1700000000 -1130\ncommitter J\xf6 <> 0 +0000\n`;
  for (const rest of ["encoding ISO-8859-1\n\nGr\xfc\xdfe\n", "\nsubject\n\n\tbody \xc3\xbc", "\n"]) {
    const { id, record } = commitIn(area, { object: head + rest });
    await using host = await rebuilt(area.directory, Buffer.concat([record, refTo(id)]));
    expect(host.brought.refs).toMatchObject([{ name: "head", commitId: id, sameId: true, commitCount: 1 }]);
  }
});

test("cleans names, times, messages, signatures and unknown headers", async () => {
  using area = new UserArea(START);
  const object = `tree ${area.tree(RESULT)}\nparent ${area.head}\nauthor \x1b[31mEvil\x07 <e\x1b@x> 12 +0000\ncommitter nonsense\nencoding ../../x\ngpgsig -----BEGIN\n more\nevil yes\n\n\x1b]0;title\x07sub\xc2\x9bject\r\n\xe2\x80\xaeright\n`;
  const { id, record } = commitIn(area, { object });
  await using host = await rebuilt(area.directory, Buffer.concat([record, refTo(id)]));
  const [ref] = host.brought.refs;
  expect(ref).toMatchObject({ sameId: false, treeId: area.tree(RESULT) });
  expect(host.show("cat-file", "commit", ref!.commitId)).toBe(
    `tree ${area.tree(RESULT)}\nparent ${area.head}\nauthor [31mEvil <e@x> 12 +0000\ncommitter Unknown <> 0 +0000\n\n]0;titlesubject\nright\n`,
  );
});

test("refuses commits that are not what they say of themselves", async () => {
  using area = new UserArea(START);
  const good = commitIn(area);
  const hooks =
    "diff --git a/.git/hooks/x b/.git/hooks/x\nnew file mode 100755\n--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n";
  const upward = hooks.replaceAll(".git/hooks/x", "../x");
  const cases: [Uint8Array[], RegExp][] = [
    [[commitIn(area, { patch: "" }).record], /other files than/],
    [[commitIn(area, { patch: "nonsense" }).record], /does not fit/],
    [[commitIn(area, { patch: hooks }).record], /not to be taken/],
    [[commitIn(area, { patch: upward }).record], /not to be taken/],
    [[commitIn(area, { object: "tree nonsense\n\n" }).record], /is no commit/],
    [[commitIn(area, { object: "blob" }).record], /is no commit/],
    [[good.record, refTo(area.head)], /is not among them/],
    [[good.record, refTo(good.id, "../../x")], /name is not/],
    [[good.record, refTo(good.id, "-d")], /name is not/],
    [[good.record, refTo(good.id), refTo(good.id)], /name is not/],
    [[good.record, ...Array.from({ length: 101 }, (_, at) => refTo(good.id, `r${at}`))], /more than 100 refs/],
    [[good.record.subarray(0, 40)], /cannot be read/],
    [[Buffer.alloc(20, 0xff)], /cannot be read/],
  ];
  for (const [records, why] of cases) {
    const opening = rebuilt(area.directory, Buffer.concat(records));
    await expect(opening, String(why)).rejects.toMatchObject({ reason: "COMMITS_INVALID" });
    await expect(opening).rejects.toThrow(why);
  }
});

test("names what stands on a commit that is not here, such as a parent that comes later, and a tag in a parent's place", async () => {
  using area = new UserArea(START);
  const parent = commitIn(area);
  const onIt = commitIn(area, {
    object: `tree ${area.tree(RESULT)}\nparent ${parent.id}\nauthor C <c@x> 1 +0000\ncommitter C <c@x> 1 +0000\n\nchild\n`,
    patch: "",
  });
  area.git("tag", "-a", "-m", "tag", "tagged");
  const tag = area.git("rev-parse", "tagged").trim();
  const onTag = commitIn(area, {
    object: `tree ${area.tree(RESULT)}\nparent ${tag}\nauthor C <c@x> 1 +0000\ncommitter C <c@x> 1 +0000\n\nchild\n`,
  });
  const records = [onIt.record, parent.record, onTag.record, refTo(onIt.id, "child"), refTo(parent.id, "parent"), refTo(onTag.id, "tag")]; // prettier-ignore
  await using host = await rebuilt(area.directory, Buffer.concat(records));
  expect(host.brought.refs).toMatchObject([{ name: "parent", commitId: parent.id }]);
  expect(host.brought.missing).toEqual([
    { name: "child", parentId: parent.id },
    { name: "tag", parentId: tag },
  ]);
});
