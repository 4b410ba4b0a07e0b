import type { Logger } from "pino";
import { isAddressed } from "../address.ts";
import type { AnyRequest, AnyResponse } from "./any-http-server.ts";
import type { Caller } from "./caller.ts";
import type { HostControl } from "./host-service.ts";

/** Request of a program that watches the host, and what answers it. */
export interface ProbeRequest {
  request: AnyRequest;
  response: AnyResponse;
  caller: Caller;
  /** Names of this server beside loopback's and addresses. */
  allowedHosts: readonly string[];
  host: Pick<HostControl, "info" | "metrics">;
  logger: Logger;
}

interface Answer {
  status: number;
  text: string;
}

/** As Prometheus names it: https://prometheus.io/docs/instrumenting/exposition_formats */
const PLAIN_TEXT = "text/plain; version=0.0.4; charset=utf-8";

const PROBES = {
  /** It answers: that is all. */
  "/healthz": () => Promise.resolve({ status: 200, text: "ok\n" }),
  "/readyz": ready,
  "/metrics": async ({ caller, host }: ProbeRequest): Promise<Answer> =>
    caller.authorized
      ? { status: 200, text: await host.metrics() }
      : { status: 401, text: "Show a token of this host's: Authorization: Bearer …\n" },
} as const satisfies Record<string, (request: ProbeRequest) => Promise<Answer>>;

/** Whether a path is a probe's. */
export function isProbe(path: string): path is keyof typeof PROBES {
  return Object.hasOwn(PROBES, path);
}

/**
 * Answers a program that watches the host: whether it is alive, whether a session could start now, and, to callers that may
 * call, its metrics. A web page gets nothing, under whatever name it reaches the host. Never rejects.
 */
export async function answerProbe(path: keyof typeof PROBES, probe: ProbeRequest): Promise<void> {
  const { request, response, logger } = probe;
  try {
    const { status, text } = refusal(probe) ?? (await PROBES[path](probe));
    response.statusCode = status;
    response.setHeader("content-type", PLAIN_TEXT);
    response.setHeader("cache-control", "no-store");
    response.setHeader("x-content-type-options", "nosniff");
    if (status === 401) response.setHeader("www-authenticate", 'Bearer realm="claudecluster"');
    if (status === 405) response.setHeader("allow", "GET, HEAD");
    response.end(request.method === "HEAD" ? "" : text);
  } catch (error) {
    logger.warn({ err: error, path }, "probe failed");
    response.statusCode = 500;
    response.end();
  }
}

/** Without what a stranger need not know: neither paths nor versions. */
async function ready({ host }: ProbeRequest): Promise<Answer> {
  const { engineHealthy = false, storeProblem = "", credentialKind = "" } = await host.info();
  const parts = { engine: engineHealthy, store: storeProblem === "", credential: credentialKind !== "" };
  const lines = Object.entries(parts).map(([part, works]) => `${part} ${works ? "ok" : "not ready"}\n`);
  return { status: Object.values(parts).every(Boolean) ? 200 : 503, text: lines.join("") };
}

function refusal({ request, caller, allowedHosts }: ProbeRequest): Answer | undefined {
  const { method, headers } = request;
  if (method !== "GET" && method !== "HEAD") return { status: 405, text: "Only GET and HEAD are answered.\n" };
  if (caller.local) return undefined;
  if (headers.origin !== undefined) return { status: 403, text: "Web pages are not answered.\n" };
  if (isAddressed(headers.host ?? String(headers[":authority"] ?? ""), allowedHosts)) return undefined;
  return { status: 403, text: "This is no name of this host's: --allow-host <name>.\n" };
}
