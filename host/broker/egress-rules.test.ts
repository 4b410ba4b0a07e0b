import { expect, test } from "vitest";
import { type EgressRules, authorityOf, findDestination, parseAuthority } from "./egress-rules.ts";

const rules = (given: { open?: boolean; allowed?: string[]; allowedPrivate?: string[] }): EgressRules => ({
  open: given.open ?? false,
  allowed: new Set(given.allowed),
  allowedPrivate: new Set(given.allowedPrivate),
});
const resolvesTo =
  (...addresses: string[]) =>
  () =>
    Promise.resolve(addresses);

test("names the address that was looked at, of a listed destination", async () => {
  const found = await findDestination("a.test:443", rules({ allowed: ["a.test:443"] }), {
    resolve: resolvesTo("1.1.1.1", "1.0.0.1"),
  });
  expect(found).toEqual({ host: "a.test", port: 443, address: "1.1.1.1" });
});

test.each(["b.test:443", "a.test:80", "x.a.test:443", "test:443", "1.1.1.1:443"])(
  "refuses %s, which is not listed, and does not look it up",
  async (authority) => {
    const resolve = () => expect.unreachable();
    expect(await findDestination(authority, rules({ allowed: ["a.test:443"] }), { resolve: resolve })).toEqual({
      refused: "not on the list",
    });
  },
);

test.each(["127.0.0.2:80", "0.0.0.0:3000", "[::1]:80", "app.localhost:5173", "localhost:80"])(
  "says of %s that the container is to reach itself",
  async (authority) => {
    expect(await findDestination(authority, rules({}))).toEqual({
      refused: "not on the list; reach your own servers without the proxy",
    });
  },
);

test.each([[["10.0.0.1"]], [["1.1.1.1", "127.0.0.1"]], [["::ffff:192.168.0.1"]], [["169.254.169.254"]]])(
  "refuses a listed name that resolves to %j",
  async (addresses) => {
    for (const given of [{ allowed: ["a.test:443"] }, { open: true }]) {
      expect(await findDestination("a.test:443", rules(given), { resolve: resolvesTo(...addresses) })).toMatchObject({
        refused: expect.stringContaining("no public address") as string,
      });
    }
  },
);

test("lets the user's own network be reached where he says so, but never what gives out credentials", async () => {
  const own = rules({ allowedPrivate: ["git.test:443", "10.0.0.1:80"] });
  expect(await findDestination("git.test:443", own, { resolve: resolvesTo("10.0.0.1") })).toMatchObject({
    address: "10.0.0.1",
  });
  expect(await findDestination("10.0.0.1:80", own)).toMatchObject({ address: "10.0.0.1" });
  expect(await findDestination("git.test:443", own, { resolve: resolvesTo("169.254.169.254") })).toHaveProperty(
    "refused",
  );
});

test("an open session reaches every public host", async () => {
  expect(
    await findDestination("any.test:22", rules({ open: true }), { resolve: resolvesTo("1.1.1.1") }),
  ).toHaveProperty("address");
  expect(await findDestination("127.0.0.1:22", rules({ open: true }))).toHaveProperty("refused");
});

test.each([25, 465, 587])("an open session sends no mail by port %d, unless that is listed", async (port) => {
  const destination = `any.test:${port}`;
  const refused = "mail may be sent to listed destinations only";
  expect(await findDestination(destination, rules({ open: true }), { resolve: resolvesTo("1.1.1.1") })).toEqual({
    refused,
  });
  const listed = rules({ open: true, allowed: [destination] });
  expect(await findDestination(destination, listed, { resolve: resolvesTo("1.1.1.1") })).toHaveProperty("address");
});

test("refuses this machine by its public address, where its listeners are, unless the user says so", async () => {
  const ownNetworks = [{ address: "203.0.113.7", prefix: 24 }];
  for (const given of [{ allowed: ["a.test:443"] }, { open: true }]) {
    expect(
      await findDestination("a.test:443", { ...rules(given), ownNetworks }, { resolve: resolvesTo("203.0.113.7") }),
    ).toEqual({
      refused: "it resolves to 203.0.113.7, which is this machine or beside it",
    });
  }
  const listed = { ...rules({ allowedPrivate: ["a.test:443"] }), ownNetworks };
  expect(await findDestination("a.test:443", listed, { resolve: resolvesTo("203.0.113.7") })).toHaveProperty("address");
});

const unresolved = () => Promise.reject(new Error("no"));

test("leaves it to the proxy to resolve what is listed, and checks what resolves here all the same", async () => {
  const given = rules({ allowed: ["a.test:443", "10.0.0.1:443"] });
  const proxied = { resolve: unresolved, proxied: true };
  expect(await findDestination("a.test:443", given, proxied)).toEqual({
    host: "a.test",
    port: 443,
    address: undefined,
  });
  expect(await findDestination("a.test:443", rules({ open: true }), proxied)).toHaveProperty("refused");
  expect(await findDestination("10.0.0.1:443", given, proxied)).toHaveProperty("refused");
  const inside = { resolve: resolvesTo("10.0.0.1"), proxied: true };
  expect(await findDestination("a.test:443", given, inside)).toHaveProperty("refused");
});

test("refuses what does not resolve", async () => {
  const given = rules({ open: true });
  expect(await findDestination("a.test:1", given, { resolve: unresolved })).toHaveProperty("refused");
  expect(await findDestination("a.test:1", given, { resolve: resolvesTo() })).toHaveProperty("refused");
});

test.each([
  ["Example.COM.:443", "example.com:443"],
  ["[::1]:80", "[::1]:80"],
])("reads %s", (given, expected) => expect(parseAuthority(given)).toBe(expected));

test.each(["a.test", "a.test:0", "a.test:65536", "a.test:443:80", "a b:1", "a\0b:1", "*.a.test:1", "ä.test:1", ":1"])(
  "takes %j for no host and port",
  (given) => expect(parseAuthority(given)).toBeUndefined(),
);

test("knows where a repository is", () => {
  expect(authorityOf(new URL("https://git.test/a"))).toBe("git.test:443");
  expect(authorityOf(new URL("http://git.test:8080/a"))).toBe("git.test:8080");
});
