import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { makeCertificate } from "../support/certificate.ts";
import { docker, dockerGateway } from "../support/docker.ts";
import { startHostRig } from "../support/rig.ts";
import { startSealedSession } from "../support/sealed-session.ts";
import { sendRaw } from "./exec-stream.ts";
import { inTurn, type Part } from "./part.ts";
import { startPlainContainer } from "./plain-container.ts";
import { SHORT_TASK } from "./sessions.ts";

const MEGABYTES = 50;
const CONTENT = Buffer.alloc(MEGABYTES * 1e6, "claudecluster ");

/** A download through a sealed session's tunnel, against the same from a container with a network, and what the exec below can carry. */
export const download: Part = async ({ image, rounds, figures, say }) => {
  await using stack = new AsyncDisposableStack();
  const host = await dockerGateway();
  const answer: RequestListener = (_request, response) => response.end(CONTENT);
  const http = stack.use(await listen(createServer(answer), host));
  const https = stack.use(await listen(createTlsServer(await makeCertificate(), answer), host));
  const rig = stack.use(await startHostRig({ config: { egress_private: [http.authority, https.authority] } }));
  const plain = stack.use(await startPlainContainer(image));
  const sealed = await startSealedSession(rig, { task: SHORT_TASK, until: "turnFinished", idleMs: 3_600_000 });
  const as = ["--user", sealed.user];
  const variables = Object.entries(sealed.environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  for (let round = 0; round <= rounds; round++) {
    say(round === 0 ? "warming up" : `download ${round} of ${rounds}`);
    for (const url of [`http://${http.authority}/`, `https://${https.authority}/`]) {
      const took = await inTurn(round, {
        plain: () => curl([...as, plain.id], url),
        raw: () => sendRaw(sealed.container, CONTENT.length),
        sealed: () => curl([...as, ...variables, sealed.container], url),
      });
      if (round === 0) continue;
      const what = `${MEGABYTES} MB over ${new URL(url).protocol.slice(0, -1)}`;
      figures.add(`${what}: plain container`, took.plain, "MB/s");
      figures.add(`${what}: raw exec stream`, took.raw, "MB/s");
      figures.add(`${what}: sealed container`, took.sealed, "MB/s");
      figures.addRatio(`${what}: sealed container / raw exec stream's rate`, took.sealed, took.raw);
      figures.addRatio(`${what}: sealed / plain container's rate`, took.sealed, took.plain);
    }
  }
};

async function listen(server: Server, host: string): Promise<AsyncDisposable & { authority: string }> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    authority: `${host}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Downloads it in a container, where `target` says how; returns MB/s. */
async function curl(target: string[], url: string): Promise<number> {
  const format = "%{size_download} %{time_total}";
  const options = ["--silent", "--show-error", "--fail", "--insecure", "--output", "/dev/null", "--write-out", format];
  const [bytes, seconds] = (await docker("exec", ...target, "curl", ...options, url)).split(" ").map(Number);
  if (bytes !== CONTENT.length) throw new Error(`curl has got ${bytes} bytes of ${url}.`);
  return bytes / 1e6 / seconds!;
}
