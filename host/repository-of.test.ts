import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SessionSpecSchema } from "../proto/index.ts";
import { repositoryOf } from "./repository-of.ts";

test("a repository is known by its address, or by the directory that it was read from, and not by where the host serves it", () => {
  const of = (repository: object) => repositoryOf(create(SessionSpecSchema, { repository }));
  expect(of({ uri: "https://git.example/a" })).toBe("https://git.example/a");
  const uri = "http://host.internal/snapshot";
  expect(of({ uri, snapshot: { receipt: { directory: "/home/me/project" } } })).toBe("/home/me/project");
  expect(of({ uri, snapshot: {} })).toBe("");
  expect(repositoryOf({})).toBe("");
  expect(of({ uri: "x".repeat(5000) })).toHaveLength(1000);
});
