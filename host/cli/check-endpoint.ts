import type { IncomingMessage } from "node:http";
import { type Credential, credentialHeaders } from "../broker/model/credential.ts";
import { callModel } from "../broker/model/model-call.ts";
import { WayOut } from "../broker/way-out.ts";
import { connectProblem } from "../connect-problem.ts";
import { oneLine } from "../present/plain-text.ts";
import { VERSION } from "../version.ts";
import type { Finding } from "./finding.ts";

/** An endpoint that takes longer is not one to work with (ms). */
const TIMEOUT_MS = 10_000;
/** Refused by every endpoint, since it names no model and says nothing: so it costs nothing. */
const EMPTY = Buffer.from("{}");

const subject = "model";

/**
 * Checks the model's endpoint by a request that it must refuse: whether it is reached, is the Messages API, and takes the
 * credential, if there is one. It spends nothing, and takes `timeoutMs` at most; default: 10 s. Never rejects.
 */
export async function checkEndpoint(
  endpoint: URL,
  credential: Credential | undefined,
  options: { signal: AbortSignal; timeoutMs?: number; wayOut?: WayOut },
): Promise<Finding> {
  const target = new URL(`${endpoint.pathname.replace(/\/$/, "")}/v1/messages`, endpoint);
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const timeout = AbortSignal.timeout(timeoutMs);
  const { wayOut = new WayOut() } = options;
  const agents = wayOut.createAgents({});
  const call = {
    target,
    headers: {
      "content-type": "application/json",
      "content-length": EMPTY.length,
      "anthropic-version": "2023-06-01",
      "user-agent": `claudecluster/${VERSION}`,
      ...(credential !== undefined && credentialHeaders(credential, [])),
    },
    content: EMPTY,
    wayOut,
    agents,
    signal: AbortSignal.any([options.signal, timeout]),
  };
  const ignore = () => {};
  try {
    const answer = await callModel(call, { onRetry: ignore, onReach: ignore, onOwed: ignore, retryDelaysMs: [] });
    answer.on("error", ignore).destroy();
    return judge(target, answer, credential);
  } catch (error) {
    const why = timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : connectProblem(firstOf(error));
    return bad(`${target.host} is not reached: ${why}.`, "Look at the network, at a proxy, and at base_url.");
  } finally {
    for (const agent of [agents.http, agents.https]) agent.destroy();
  }
}

function judge(target: URL, { statusCode = 0, headers }: IncomingMessage, credential: Credential | undefined): Finding {
  const { host, href } = target;
  const server = typeof headers.server === "string" ? `${oneLine(headers.server, 40)}, ` : "";
  const who = `${host} (${server}status ${statusCode})`;
  const well = (says: string): Finding => ({ subject, ok: true, message: `${host} ${says}` });
  if (statusCode >= 300 && statusCode < 400) {
    const to = oneLine(headers.location ?? "nowhere", 100);
    return bad(`${who} redirects to ${to}, which is not followed.`, "Set base_url to the endpoint itself.");
  }
  if (statusCode === 404 || statusCode === 405) {
    return bad(`${who} has no Messages API at ${href}.`, "Set base_url to what stands before /v1/messages.");
  }
  if (statusCode >= 500 && statusCode !== OVERLOADED) {
    return bad(`${who} answers, and fails.`, "Try again later, or look at what is between here and the model.");
  }
  if (!(headers["content-type"] ?? "").includes("json")) {
    return bad(`${who} answers, but not as the Messages API does.`, "Look at base_url, and at a proxy on the way.");
  }
  if (statusCode === 401 || statusCode === 403) {
    if (credential === undefined) return well("answers");
    const refused = `${who} refuses the ${credential.kind}.`;
    return bad(refused, "Store another one: claudecluster credential set");
  }
  if (statusCode === 429 || statusCode === OVERLOADED) {
    return well("answers, and is busy");
  }
  return well(`answers${credential === undefined ? "" : " and takes the credential"}`);
}

const OVERLOADED = 529;

/** Where a name has several addresses, what became of the first. */
function firstOf(error: unknown): unknown {
  return error instanceof AggregateError ? error.errors[0] : error;
}

function bad(message: string, help: string): Finding {
  return { subject, ok: false, message, help };
}
