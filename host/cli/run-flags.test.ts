import { durationMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import { expect, test } from "vitest";
import { DecisionPolicy, EgressSpec_Mode } from "../../proto/index.ts";
import { addRunFlags, type RunFlags, toRepositoryWish, toRunRequest } from "./run-flags.ts";

/** The request that `run x` makes with flags. */
function request(...args: string[]) {
  const command = addRunFlags(new Command()).exitOverride();
  const flags = command.parse(args, { from: "user" }).opts<RunFlags>();
  return {
    ...toRunRequest("x", flags, { previousSessionId: "", afterSessionId: "", repository: undefined }),
    wish: toRepositoryWish(flags),
  };
}

test("run leaves defaults to those who own them", () => {
  const { spec, container } = request();
  expect(spec).toMatchObject({ task: "x", model: "", permissionMode: "", maxStepCount: 0, environment: {} });
  expect([spec.timeout, spec.idleTimeout, spec.decisionTimeout, spec.egress, spec.repository]).toEqual(
    Array.from({ length: 5 }),
  );
  expect(container).toMatchObject({ image: "", memoryBytes: 0n });
  expect(container.cpuCount).toBeUndefined();
});

test("run takes names of the user's own files, none of them, and who decides", () => {
  expect(request().wish.userFiles).toBeUndefined();
  expect(request("--user-file", "CLAUDE.md", "--user-file", "skills").wish.userFiles).toEqual(["CLAUDE.md", "skills"]);
  expect(request("--no-user-file").wish.userFiles).toEqual([]);
  expect(request("--decision-policy", "caller").spec.decisionPolicy).toBe(DecisionPolicy.CALLER);
});

test("run asks for what its flags say", () => {
  const where = ["-r", "https://example.com/a", "--ref", "dev", "--allow", "a.example", "--allow", "b.example:8443"];
  const bounds = ["-t", "1.5", "--idle-timeout", "0", "--max-cost", "0.5", "--max-tokens", "7", "--max-requests", "3"];
  const rest = ["--permission-mode", "plan", "--egress", "open", "-e", "A=b=c", "-e", "D=", "--load-project-settings"];
  const sizes = ["--memory", "4g", "--cpus", "1.5", "--image", "i"];
  const { spec, container, wish } = request(...where, ...bounds, ...rest, ...sizes);
  expect(wish).toEqual({ repository: "https://example.com/a", ref: "dev", continues: false });
  expect(spec).toMatchObject({
    egress: { mode: EgressSpec_Mode.OPEN, allowedDestinations: ["a.example", "b.example:8443"] },
    budget: { maxCostUsd: 0.5, maxTokenCount: 7n, maxRequestCount: 3 },
    permissionMode: "plan",
    environment: { A: "b=c", D: "" },
    loadProjectSettings: true,
  });
  expect([durationMs(spec.timeout!), durationMs(spec.idleTimeout!)]).toEqual([1500, 0]);
  expect(container).toMatchObject({ image: "i", memoryBytes: 4n * 1024n ** 3n, cpuCount: 1.5 });
});

test("run says of the repository what its flags say", () => {
  expect(request().wish).toEqual({ continues: false });
  expect(request("--no-repository").wish).toMatchObject({ repository: "none" });
  expect(request("--continue", "ses_1").wish).toMatchObject({ continues: true });
  const files = ["-r", ".", "--include", ".env", "--include", "a b", "--history", "7"];
  expect(request(...files).wish).toMatchObject({ repository: ".", include: [".env", "a b"], history: 7 });
  expect(request("--history", "all").wish).toMatchObject({ history: "all" });
  expect(() => request("--history", "0")).toThrow("whole number");
});

test("run refuses more destinations than a request may list", () => {
  const allow = (count: number) => Array.from({ length: count }, (_, index) => ["--allow", `h${index}.example`]).flat();
  expect(request(...allow(100)).spec.egress?.allowedDestinations).toHaveLength(100);
  expect(() => request(...allow(101))).toThrow("There may be 100 of them.");
});
