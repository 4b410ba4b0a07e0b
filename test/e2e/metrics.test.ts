import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { METRICS } from "../../host/metrics/metrics.ts";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { prometheusProgram } from "../setup/prometheus.mjs";
import { claudecluster } from "../support/claudecluster.ts";
import { dashboardExpressions } from "../support/dashboard.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { pointOf, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

let stack: AsyncDisposableStack;
let rig: HostRig;
let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>;
let host: { url: string };
let token: string;
let session: SessionSummary;

const bash = (command: string) => ({ name: "Bash", input: { command } });

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  receiver = stack.use(await startOtlpReceiver());
  const otlp = { endpoint: receiver.url, interval_seconds: 1 };
  rig = stack.use(await startHostRig({ config: { otlp, daily_budget: { usd: 50 }, warm: 1 } }));
  token = (await claudecluster(rig.place, ["token", "add", "prometheus"])).stdout.trim();
  host = await serve();
  const { origin } = new URL(rig.repository);
  const calls = [
    bash(`curl -sS https://secret.example/ 2>&1; git push ${origin}/secret.git HEAD:refs/heads/secret 2>&1; true`),
    bash("echo two >> secret.txt"),
  ];
  const task = `[scenario: call-tools ${JSON.stringify(calls)}]`;
  const ran = await claudecluster(rig.place, ["run", task, "--repository", rig.repository, "--json"]);
  expect(ran.stdout, ran.stderr).not.toBe("");
  session = JSON.parse(ran.stdout) as SessionSummary;
  expect(session).toMatchObject({ state: "succeeded", change_count: 1 });
});
afterAll(() => stack.disposeAsync());

/** Starts the host in the foreground; it is ended as any other. */
async function serve(): Promise<{ url: string }> {
  const args = [CLAUDECLUSTER, "serve", "--listen", "127.0.0.1:0"];
  const child = spawn(process.execPath, args, { env: rig.place.env, stdio: ["ignore", "ignore", "pipe"] });
  for await (const line of createInterface({ input: child.stderr })) {
    const address = /^control API on (.*)$/.exec(line)?.[1];
    if (address === undefined) continue;
    child.stderr.resume();
    return { url: `http://${address}` };
  }
  throw new Error("the host has ended");
}

async function scrape(): Promise<string> {
  const answer = await fetch(`${host.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  return await answer.text();
}

test("promtool accepts the metrics of a host that ran a session", async () => {
  const child = spawn(prometheusProgram("promtool"), ["check", "metrics"], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(await scrape());
  const [said, wrong, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  expect({ code: code as number, said, wrong }).toEqual({ code: 0, said: "", wrong: "" });
});

test("nothing of the session is in them", async () => {
  const texts = [await scrape(), ...receiver.pushes.map(({ body }) => body)];
  for (const secret of [session.session_id, "greeter", "secret", rig.key, token, rig.place.root]) {
    for (const shown of texts) expect(shown).not.toContain(secret);
  }
});

test("/readyz says that a session could start", async () => {
  const answer = await fetch(`${host.url}/readyz`);
  expect([answer.status, await answer.text()]).toEqual([200, "engine ok\nstore ok\ncredential ok\n"]);
});

test("a collector gets the session by OTLP", async () => {
  const ended = { state: "succeeded" };
  const last = () => receiver.pushes.at(-1);
  await expect
    .poll(() => last() && pointOf(last()!, "claudecluster_sessions_ended_total", ended), { timeout: 30_000 })
    .toBe(1);
  const push = last()!;
  expect(push.resource).toMatchObject({ "service.name": "claudecluster" });
  expect(pointOf(push, "claudecluster_phase_duration_seconds", { phase: "work" })).toBe(1);
  expect(pointOf(push, "claudecluster_pushes_total", { decision: "refused" })).toBe(1);
  expect(pointOf(push, "claudecluster_engine_up")).toBe(1);
  for (const { name } of push.metrics) expect(Object.keys(METRICS)).toContain(name);
});

/** Prometheus with this host as its only target, and what it answers a query with. */
async function startPrometheus(directory: string) {
  await mkdir(directory);
  const tokenFile = join(directory, "token");
  await writeFile(tokenFile, token, { mode: 0o600 });
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s" },
    scrape_configs: [
      {
        job_name: "claudecluster",
        authorization: { credentials_file: tokenFile },
        static_configs: [{ targets: [new URL(host.url).host] }],
      },
    ],
  };
  // JSON is YAML.
  await writeFile(join(directory, "prometheus.yml"), JSON.stringify(config));
  await promisify(execFile)(prometheusProgram("promtool"), ["check", "config", join(directory, "prometheus.yml")]);
  const child = spawn(
    prometheusProgram("prometheus"),
    [
      `--config.file=${join(directory, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(directory, "data")}`,
      "--web.listen-address=127.0.0.1:0",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const address = await listening(child);
  return {
    async query(query: string) {
      const answer = await fetch(`http://${address}/api/v1/query?${new URLSearchParams({ query })}`);
      return (await answer.json()) as {
        status: string;
        error?: string;
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
      };
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

/** It says at which port, since it was not told one. */
async function listening(child: ChildProcess): Promise<string> {
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stderr! })) {
    said.push(line);
    const address = /address=(127\.0\.0\.1:\d+)/.exec(line)?.[1];
    if (address === undefined || address.endsWith(":0")) continue;
    child.stderr!.resume();
    return address;
  }
  throw new Error(`Prometheus has ended: ${said.join("\n")}`);
}

test("Prometheus scrapes the session with a caller's token, and answers what the dashboard asks", async () => {
  await using prometheus = await startPrometheus(join(rig.place.root, "prometheus"));
  const valueOf = async (query: string) => (await prometheus.query(query)).data.result[0]?.value[1];
  await expect
    .poll(() => valueOf('claudecluster_sessions_ended_total{state="succeeded"}'), { timeout: 30_000 })
    .toBe("1");
  expect(await valueOf("up")).toBe("1");
  expect(await valueOf("claudecluster_sessions_created_total")).toBe("1");
  expect(await valueOf("claudecluster_engine_up")).toBe("1");
  expect(await valueOf("claudecluster_pool_hits_total")).toBe("0");
  expect(await valueOf('claudecluster_pool_misses_total{reason="none yet"}')).toBe("1");
  expect(await valueOf('claudecluster_phase_duration_seconds_count{phase="create"}')).toBe("1");
  expect(await valueOf('claudecluster_pushes_total{decision="refused"}')).toBe("1");
  expect(await valueOf('claudecluster_egress_decisions_total{gateway="proxy",decision="refused"}')).toBe("1");
  expect(Number(await valueOf('claudecluster_egress_bytes_total{gateway="git"}'))).toBeGreaterThan(100);
  expect(Number(await valueOf('sum(claudecluster_model_requests_total{status="200"})'))).toBeGreaterThanOrEqual(3);
  expect(Number(await valueOf("sum(claudecluster_model_tokens_total)"))).toBeGreaterThan(0);
  const cost = Number(await valueOf("sum(claudecluster_model_cost_usd_total)"));
  expect(cost).toBeGreaterThan(0);
  expect(Number(await valueOf("claudecluster_daily_budget_left_usd"))).toBeCloseTo(50 - cost, 6);
  expect(Number(await valueOf("claudecluster_event_lag_seconds_count"))).toBeGreaterThan(3);
  const dashboard = await readFile(new URL("../../docker/grafana-dashboard.json", import.meta.url), "utf8");
  for (const expression of dashboardExpressions(dashboard)) {
    const asked = expression.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "1m");
    expect(await prometheus.query(asked), expression).toMatchObject({ status: "success" });
  }
});
