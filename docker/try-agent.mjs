// Starts the agent in the image that is being built, calls it once and ends it: proves that it runs there.
// Call: node try-agent.mjs SOCKET PROGRAM [ARGUMENT…], the program as the image will start it: what it is told of memory can make
// Node refuse a snapshot.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** @import { ClientHttp2Session, IncomingHttpHeaders } from "node:http2" */

const [socket = "", program = "", ...args] = process.argv.slice(2);
const agent = spawn(program, args, { stdio: "inherit" });
const exited = once(agent, "exit");
exited.then(([code]) => (process.exitCode = code));

try {
  for (let tries = 0; !(await answers()); tries++) {
    if (tries === 100 || agent.exitCode !== null) throw new Error("The agent does not answer in this image.");
    await delay(100);
  }
} finally {
  agent.kill();
  await exited;
}

/**
 * The status of a call with an empty message: a refusal is an answer, too.
 * @param {ClientHttp2Session} session
 * @param {string} method
 */
async function call(session, method) {
  const stream = session.request({
    ":method": "POST",
    ":path": `/claudecluster.agent.v1alpha1.AgentService/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
  });
  const status = new Promise((resolve, reject) => {
    const keep = (/** @type {IncomingHttpHeaders} */ headers) =>
      headers["grpc-status"] !== undefined && resolve(headers["grpc-status"]);
    stream
      .on("response", keep)
      .on("trailers", keep)
      .on("error", reject)
      .on("close", () => reject(new Error("closed")));
  });
  stream.end(Buffer.alloc(5));
  stream.resume();
  return await status;
}

async function answers() {
  const session = connectHttp2("http://agent", { createConnection: () => connect(socket) });
  session.on("error", () => {});
  try {
    if ((await call(session, "GetAgentInfo")) !== "0") return false;
    await call(session, "StartSession");
    return true;
  } catch {
    return false;
  } finally {
    session.destroy();
  }
}
