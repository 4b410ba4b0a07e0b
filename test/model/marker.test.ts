import { describe, expect, it } from "vitest";
import { MarkerError, parseMarker } from "./marker.ts";

describe("parseMarker", () => {
  it("finds nothing in a text without a marker", () => {
    expect(parseMarker("fix the [bug] in scenario: one")).toBeUndefined();
  });

  it("reads a name anywhere in the text", () => {
    expect(parseMarker("Please do\nthis [scenario: multi-file-change] now")?.name).toBe("multi-file-change");
  });

  it("reads parameters, quoted ones with spaces, brackets and escapes", () => {
    const marker = parseMarker(String.raw`[scenario: write-files count=4 prefix=a/b content="two \"words\" ]"]`);
    expect(marker?.parameters).toEqual(
      new Map([
        ["count", "4"],
        ["prefix", "a/b"],
        ["content", 'two "words" ]'],
      ]),
    );
  });

  it("reads JSON that holds a marker for a child", () => {
    const marker = parseMarker(
      '[scenario: spawn-child tool=x {"task":"do [scenario: hang] ] } \\" now","list":[1,[2]]}] and [scenario: crash]',
    );
    expect(marker).toEqual({
      name: "spawn-child",
      parameters: new Map([["tool", "x"]]),
      json: { task: 'do [scenario: hang] ] } " now', list: [1, [2]] },
    });
  });

  it("reads a JSON list", () => {
    expect(parseMarker('[scenario: call-tools [{"name":"A"}]]')?.json).toEqual([{ name: "A" }]);
  });

  it.each(["[scenario: x", "[scenario: x count]", '[scenario: x {"a":}]', '[scenario: x "a"]'])(
    "refuses %s",
    (text) => {
      expect(() => parseMarker(text)).toThrow(MarkerError);
    },
  );
});
