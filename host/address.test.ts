import { expect, test } from "vitest";
import { isAddressed } from "./address.ts";

test.each([
  "127.0.0.1",
  "127.0.0.1:8813",
  "[::1]:8813",
  "192.0.2.7:80",
  "localhost",
  "LOCALHOST:8813",
  "team.example:1",
])("a server is asked for as %s", (authority) => {
  expect(isAddressed(authority, ["team.example"])).toBe(true);
});

test.each([
  "",
  "evil.example",
  "evil.example:8813",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "[",
  "x@evil.example",
])("%j is a name that anybody may have given this machine's address", (authority) => {
  expect(isAddressed(authority, ["team.example"])).toBe(false);
});
