import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { EgressSpec_Mode, EgressSpecSchema, RepositorySpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { checkEgress, type EgressConfig, egressRules } from "./egress.ts";

const config = (mode: EgressConfig["mode"]): EgressConfig => ({
  mode,
  allowed: ["registry.test:443"],
  allowedPrivate: ["own.test:443"],
});
const spec = (mode?: EgressSpec_Mode, allowedDestinations: string[] = []) =>
  create(SessionSpecSchema, {
    repository: create(RepositorySpecSchema, { uri: "https://git.test/a" }),
    ...(mode !== undefined && { egress: create(EgressSpecSchema, { mode, allowedDestinations }) }),
  });

test("a session has the host's list and its own", () => {
  expect(egressRules(spec(), config("listed"))).toEqual({
    open: false,
    allowed: new Set(["registry.test:443"]),
    allowedPrivate: new Set(["own.test:443"]),
  });
  const { allowed } = egressRules(spec(EgressSpec_Mode.LISTED, ["more.test:443"]), config("listed"));
  expect([...allowed]).toEqual(["registry.test:443", "more.test:443"]);
});

test.each([
  [spec(EgressSpec_Mode.NONE), config("open")],
  [spec(), config("none")],
])("a session without connections has none", (given, host) => {
  expect(egressRules(given, host)).toEqual({ open: false, allowed: new Set(), allowedPrivate: new Set() });
});

test("a session is open only where it asks for that and the host allows it", () => {
  expect(egressRules(spec(EgressSpec_Mode.OPEN), config("open")).open).toBe(true);
  expect(egressRules(spec(), config("open")).open).toBe(false);
});

test.each([
  ["egress", spec(EgressSpec_Mode.OPEN), config("listed")],
  ["egress", spec(EgressSpec_Mode.OPEN), config("none")],
  ["egress", spec(EgressSpec_Mode.LISTED), config("none")],
  ["the allowed destinations", spec(EgressSpec_Mode.UNSPECIFIED, ["a.test:443"]), config("none")],
  ["egress and the allowed destinations", spec(EgressSpec_Mode.LISTED, ["a.test:443"]), config("none")],
])("a session that wants more than the host gives is refused, and told to leave out %s", (asked, given, host) => {
  const help = expect.stringContaining(`Leave out ${asked}, or`) as string;
  expect(() => checkEgress(given, host)).toThrow(expect.objectContaining({ reason: "EGRESS_FORBIDDEN", help }));
});

test.each([
  [spec(), config("none")],
  [spec(EgressSpec_Mode.NONE), config("none")],
  [spec(EgressSpec_Mode.LISTED, ["a.test:443"]), config("listed")],
  [spec(EgressSpec_Mode.OPEN), config("open")],
])("a session that keeps within it is not", (given, host) => {
  expect(() => checkEgress(given, host)).not.toThrow();
});
