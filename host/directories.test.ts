import { expect, test } from "vitest";
import { expandHome } from "./directories.ts";

test.each([
  ["~", "/home/ann"],
  ["~/", "/home/ann/"],
  ["~/project/a", "/home/ann/project/a"],
  ["~bob/project", "~bob/project"],
  ["a/~", "a/~"],
  ["/~/a", "/~/a"],
  ["", ""],
])("takes %j for %j", (path, meant) => {
  expect(expandHome(path, () => "/home/ann")).toBe(meant);
});

test("asks for no home where none is meant", () => {
  const none = () => {
    throw new Error("there is none");
  };
  expect(expandHome("/a", none)).toBe("/a");
  expect(() => expandHome("~/a", none)).toThrow("there is none");
});
