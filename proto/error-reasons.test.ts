import { expect, test } from "vitest";
import { GRPC_CODES, kindOfCode } from "./error-reasons.ts";

test("each kind of error has a gRPC code of its own, by which the other end knows it again", () => {
  for (const [kind, code] of Object.entries(GRPC_CODES)) expect(kindOfCode(code)).toBe(kind);
});

test.each([0, 2, 6, 12, 15, 99])("takes code %i, which no error of ours has, for an internal fault", (code) => {
  expect(kindOfCode(code)).toBe("INTERNAL");
});
