import { expect, test } from "vitest";
import { type Comment, Comments, placeOf, reviewMessage } from "./comments.ts";
import { parsePatch } from "./patch.ts";
import { type LineRow, makeRows } from "./rows.ts";

const PATCH = "diff --git a/a.ts b/a.ts\n@@ -3,3 +3,3 @@\n same\n-old\n+new\n last\n";

function lines(sideBySide = false): LineRow[] {
  const rows = makeRows(parsePatch(PATCH), { sideBySide, isOpen: () => true });
  return rows.filter((row) => row.kind === "line");
}

function memory(): Pick<Storage, "getItem" | "setItem" | "removeItem"> & { size: number } {
  const kept = new Map<string, string>();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
    get size() {
      return kept.size;
    },
  };
}

const comment: Comment = { id: "1", path: "a.ts", side: "new", from: 4, to: 4, quote: ["+new"], text: "Why?" };

test("lines are named as they are in the new file, and those that are gone as they were", () => {
  expect(placeOf(lines().slice(0, 3))).toEqual({
    place: { path: "a.ts", side: "new", from: 3, to: 4 },
    quote: [" same", "-old", "+new"],
  });
  expect(placeOf(lines().slice(1, 2))).toEqual({
    place: { path: "a.ts", side: "old", from: 4, to: 4 },
    quote: ["-old"],
  });
  expect(placeOf(lines(true).slice(0, 2))?.quote).toEqual([" same", "-old", "+new"]);
  expect(placeOf([])).toBeUndefined();
});

test("long quotes are cut", () => {
  const body = Array.from({ length: 50 }, () => `+${"x".repeat(5000)}\n`).join("");
  const file = parsePatch(`diff --git a/a b/a\n@@ -0,0 +1,50 @@\n${body}`);
  const rows = makeRows(file, { sideBySide: false, isOpen: () => true }).filter((row) => row.kind === "line");
  const { quote } = placeOf(rows)!;
  expect(quote).toHaveLength(11);
  expect(quote.join("").length).toBeLessThan(2100);
  expect(quote.at(-1)).toBe("… 40 more lines");
});

test("comments outlive the page, each session's apart, and one without text is none", () => {
  const storage = memory();
  const comments = new Comments("ses_1", storage);
  comments.put(comment);
  comments.put({ ...comment, id: "2", text: "And this?" });
  comments.put({ ...comment, text: "Why so?" });
  expect(new Comments("ses_1", storage).all.map(({ text }) => text)).toEqual(["Why so?", "And this?"]);
  expect(new Comments("ses_2", storage).all).toEqual([]);
  comments.put({ ...comment, text: " " });
  comments.remove(["2"]);
  expect(storage.size).toBe(0);
  storage.setItem("claudecluster-comments ses_1", "{");
  expect(new Comments("ses_1", storage).all).toEqual([]);
});

test("they are one message, file by file and from top to bottom", () => {
  const message = reviewMessage([
    { ...comment, id: "3", path: "b.ts", from: 10, to: 12, quote: [" x", "+y"], text: "Name it after what it does.\n" },
    { ...comment, id: "2", from: 20, to: 20, side: "old", quote: ["-gone"], text: "This was needed:\nsee the test." },
    comment,
  ]);
  expect(message).toBe(`I looked at your changes and have 3 comments:

a.ts:4
> +new
Why?

a.ts:20 (before the change)
> -gone
This was needed:
see the test.

b.ts:10-12
>  x
> +y
Name it after what it does.`);
  expect(reviewMessage([comment])).toContain("have a comment:");
});
