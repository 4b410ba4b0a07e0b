import { expect, test } from "vitest";
import { SignIns } from "./sign-ins.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function signIns() {
  const clock = { ms: 0 };
  return { clock, known: new SignIns(() => clock.ms) };
}

test("a code counts for a minute", () => {
  const { clock, known } = signIns();
  const [first, second] = [known.makeCode(), known.makeCode()];
  clock.ms = MINUTE - 1;
  expect(known.signIn(first)).toBeDefined();
  clock.ms = MINUTE;
  expect(known.signIn(second)).toBeUndefined();
});

test("a browser is signed out after 12 hours without a call, and never during one", () => {
  const { clock, known } = signIns();
  const proof = known.signIn(known.makeCode())!;
  clock.ms = 12 * HOUR;
  const end = known.find(proof)!.begin();
  expect(known.inUse).toBe(true);
  clock.ms = 100 * HOUR;
  expect(known.find(proof)).toBeDefined();
  end();
  expect(known.inUse).toBe(false);
  clock.ms = 112 * HOUR;
  expect(known.find(proof)).toBeDefined();
  clock.ms += 1;
  expect(known.find(proof)).toBeUndefined();
  clock.ms = 0;
  expect(known.find(proof)).toBeUndefined();
});

test("the cookie of one browser does not go with the key of another", () => {
  const { known } = signIns();
  const [one, other] = [known.signIn(known.makeCode())!, known.signIn(known.makeCode())!];
  expect(known.find({ cookie: one.cookie, key: other.key })).toBeUndefined();
  expect(known.find(one)).toBeDefined();
  expect(known.find(other)).not.toBe(known.find(one));
});

test("codes and browsers are bounded: the one that was used the longest time ago makes room", () => {
  const { clock, known } = signIns();
  const proofs = Array.from({ length: 40 }, () => {
    clock.ms += 1;
    return known.signIn(known.makeCode())!;
  });
  expect(proofs.map((proof) => known.find(proof) !== undefined)).toEqual(proofs.map((_, index) => index >= 8));
  const codes = Array.from({ length: 40 }, () => ((clock.ms += 1), known.makeCode()));
  expect(codes.map((code) => known.signIn(code) !== undefined)).toEqual(codes.map((_, index) => index >= 8));
});

test("a browser that watches does not make room for others", () => {
  const { clock, known } = signIns();
  const watching = known.signIn(known.makeCode())!;
  known.find(watching)!.begin();
  for (let count = 0; count < 100; count++) {
    clock.ms += 1;
    known.signIn(known.makeCode());
  }
  expect(known.find(watching)).toBeDefined();
  expect(known.inUse).toBe(true);
});
