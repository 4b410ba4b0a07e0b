import { expect, test } from "vitest";
import { hrefOf, parseRoute, type Route } from "./route.ts";

const ROUTES: Exclude<Route, { name: "unknown" }>[] = [
  { name: "sessions" },
  { name: "session", id: "ses_1" },
  { name: "session", id: "a/b?c#d %" },
  { name: "changes", id: "ses_1" },
  { name: "compare", ids: ["ses_1", "ses_2"] },
  { name: "usage" },
];

test.each(ROUTES)("the link to %j leads there", (route) => {
  expect(parseRoute(hrefOf(route))).toEqual(route);
});

test.each(["#/elsewhere", "#/session", "#/session/", "#/session/a/b", "#/%"])("%s leads nowhere", (fragment) => {
  expect(parseRoute(fragment)).toEqual({ name: "unknown" });
});

test.each(["", "#", "#/"])("%j is the list of all sessions", (fragment) => {
  expect(parseRoute(fragment)).toEqual({ name: "sessions" });
});
