import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as TlsAgent, createServer as createTlsServer } from "node:https";
import { connect, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeCertificate } from "../../../test/support/certificate.ts";
import { type GitServer, startGitServer } from "../../../test/support/git-server.ts";
import type { GitCredential, GitCredentialSource } from "./git-credential.ts";
import { WayOut } from "../way-out.ts";
import { createGitGateway } from "./git-gateway.ts";
import { FLUSH, packet } from "./pkt-line.ts";

const TOKEN = "t0ken-of-the-user";
const ZERO = "0".repeat(40);
const run = promisify(execFile);

let server: GitServer;
let directory: string;
let origin: string;
const cleanups: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  // "open" is for all to read; everything else is the user's.
  server = await startGitServer({ login: (name) => (name === "open" ? undefined : `user:${TOKEN}`) });
  origin = `http://127.0.0.1:${server.port}`;
  directory = await mkdtemp(join(tmpdir(), "claudecluster-gateway-"));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

interface Rig {
  port: number;
  decisions: string[];
  /** Of the decisions that are about pushes, whether they allow. */
  pushes: boolean[];
  /** Bytes that were counted. */
  bytes: number[];
  helper: string[];
  /** Runs git as in the container: the server's URLs lead to the gateway. */
  git(...args: string[]): Promise<string>;
  send(options: {
    method?: string;
    path: string;
    headers?: Record<string, string>;
    body?: Buffer | string;
  }): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }>;
}

async function startGateway(
  options: {
    repositories?: string[];
    pushRefs?: string[];
    password?: string;
    /** A server beside, by https, that the user says may be private. */
    beside?: { authority: string; cert: string };
    silenceMs?: number;
    /** Leads to all that is https; no name resolves here. */
    httpsProxy?: URL;
    /** Listed destinations. */
    allowed?: string[];
  } = {},
): Promise<Rig> {
  const { repositories = [`${origin}/own.git`], pushRefs = ["refs/heads/claude/*"], password = TOKEN } = options;
  const decisions: string[] = [];
  const [pushes, bytes]: [boolean[], number[]] = [[], []];
  const helper: string[] = [];
  const note = (what: string) => (url: URL) => Promise.resolve(void helper.push(`${what} ${url.pathname}`));
  const credentials: GitCredentialSource = {
    fill(url): Promise<GitCredential | undefined> {
      helper.push(`fill ${url.pathname}`);
      return Promise.resolve(password === "" ? undefined : { username: "user", password });
    },
    approve: note("approve"),
    reject: note("reject"),
  };
  const { httpsProxy } = options;
  const wayOut = new WayOut({ httpsProxy });
  const agents = {
    http: new Agent({ keepAlive: true }),
    https:
      httpsProxy === undefined
        ? new TlsAgent(options.beside && { ca: options.beside.cert })
        : wayOut.createAgents({}).https,
    ...(options.silenceMs !== undefined && { silenceMs: options.silenceMs }),
  };
  const gateway = createGitGateway({
    wayOut,
    agents,
    egress: {
      allowed: new Set(options.allowed),
      allowedPrivate: new Set(options.beside && [options.beside.authority]),
    },
    // Whatever the name, it is this machine.
    resolve: () => (httpsProxy === undefined ? Promise.resolve(["127.0.0.1"]) : Promise.reject(new Error("ENOTFOUND"))),
    repositories,
    pushRefs,
    credentials,
    logger: pino({ level: "silent" }),
    onDecision: ({ destination, allowed, reason, push = false }) => {
      decisions.push(allowed ? `+${destination}` : `-${destination} (${reason})`);
      if (push) pushes.push(allowed);
    },
    onBytes: (count) => bytes.push(count),
  });
  gateway.listen(0, "127.0.0.1");
  await once(gateway, "listening");
  cleanups.push(() => {
    agents.http.destroy();
    gateway.closeAllConnections();
    return new Promise((resolve) => gateway.close(resolve));
  });
  const { port } = gateway.address() as AddressInfo;
  const env = {
    PATH: process.env["PATH"],
    HOME: directory,
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_AUTHOR_NAME: "Claude",
    GIT_AUTHOR_EMAIL: "claude@example.com",
    GIT_COMMITTER_NAME: "Claude",
    GIT_COMMITTER_EMAIL: "claude@example.com",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `url.http://127.0.0.1:${port}/http/127.0.0.1:${server.port}/.insteadOf`,
    GIT_CONFIG_VALUE_0: `${origin}/`,
  };
  return {
    port,
    decisions,
    pushes,
    bytes,
    helper,
    async git(...args) {
      const { stdout, stderr } = await run("git", args, { cwd: directory, env, encoding: "utf8" });
      return stdout + stderr;
    },
    async send({ method = "GET", path, headers = {}, body = "" }) {
      const call = httpRequest({ host: "127.0.0.1", port, method, path, headers });
      call.end(body);
      const [answer] = (await once(call, "response")) as [IncomingMessage];
      return { status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) };
    },
  };
}

/** What git says when it fails. */
async function failure(running: Promise<unknown>): Promise<string> {
  try {
    await running;
  } catch (error) {
    return (error as { stderr: string }).stderr;
  }
  throw new Error("git did not fail");
}

async function cloneOwn(rig: Rig): Promise<void> {
  await server.addRepository("own", { "a.txt": "one\n" });
  await rig.git("clone", "-q", `${origin}/own.git`, "own");
  await writeFile(join(directory, "own/b.txt"), "two\n");
  await rig.git("-C", "own", "add", "b.txt");
  await rig.git("-C", "own", "commit", "-qm", "two");
}

async function refsOf(name: string): Promise<string[]> {
  const { stdout } = await run("git", ["-C", server.directoryOf(name), "for-each-ref", "--format=%(refname)"]);
  return stdout.trim().split("\n").toSorted();
}

test("clones, fetches and pushes a private repository with a credential that git never sees", async () => {
  const rig = await startGateway();
  await cloneOwn(rig);
  expect(await rig.git("-C", "own", "remote", "get-url", "--all", "origin")).not.toContain(TOKEN);
  await rig.git("-C", "own", "push", "-q", "origin", "HEAD:refs/heads/claude/two");
  expect(await refsOf("own")).toEqual(["refs/heads/claude/two", "refs/heads/main"]);
  await rig.git("-C", "own", "fetch", "-q", "origin", "claude/two");
  const seen = await run("grep", ["-r", TOKEN, directory]).catch((error: unknown) => (error as { code: number }).code);
  expect(seen).toBe(1);
  // Asked for once, when the server wanted one.
  expect(rig.helper).toEqual(["fill /own.git", "approve /own.git"]);
  expect(new Set(rig.decisions)).toEqual(
    new Set([`+127.0.0.1:${server.port}`, `+127.0.0.1:${server.port}/own.git refs/heads/claude/two`]),
  );
});

test("asks nobody for a credential of a public repository", async () => {
  const rig = await startGateway({ repositories: [`${origin}/open.git`] });
  await server.addRepository("open", { "a.txt": "one\n" });
  await rig.git("clone", "-q", `${origin}/open.git`);
  expect(rig.helper).toEqual([]);
});

test("pushes large packs, which git sends in pieces", async () => {
  const rig = await startGateway();
  await cloneOwn(rig);
  const { randomBytes } = await import("node:crypto");
  await writeFile(join(directory, "own/large"), randomBytes(8 * 1024 * 1024));
  await rig.git("-C", "own", "add", "large");
  await rig.git("-C", "own", "commit", "-qm", "large");
  await rig.git("-C", "own", "push", "-q", "origin", "HEAD:claude/large");
  expect(await refsOf("own")).toContain("refs/heads/claude/large");
  const refused = await failure(rig.git("-C", "own", "push", "-q", "origin", "HEAD:large"));
  expect(refused).toContain("ClaudeCluster refused this push: pushes go to refs/heads/claude/* only.");
});

test("refuses a push to any other ref, and says so", async () => {
  const rig = await startGateway();
  await cloneOwn(rig);
  const said = await failure(rig.git("-C", "own", "push", "origin", "HEAD:main"));
  expect(said).toContain("remote: ClaudeCluster refused this push: pushes go to refs/heads/claude/* only.");
  expect(said).toMatch(/! \[remote rejected\] +HEAD -> main \(ClaudeCluster: pushes go to/);
  for (const ref of ["refs/heads/claude", "refs/tags/claude/a", "refs/heads/Claude/a", "refs/claude/heads"]) {
    expect(await failure(rig.git("-C", "own", "push", "origin", `HEAD:${ref}`))).toContain("remote rejected");
  }
  expect(await refsOf("own")).toEqual(["refs/heads/main"]);
  expect(rig.pushes).toEqual([false, false, false, false, false]);
  expect(rig.bytes.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(1000);
  expect(rig.decisions).toContain(
    `-127.0.0.1:${server.port}/own.git refs/heads/main (pushes go to refs/heads/claude/* only)`,
  );
});

test("refuses all of a push that hides another ref behind an allowed one", async () => {
  const rig = await startGateway();
  await cloneOwn(rig);
  const said = await failure(rig.git("-C", "own", "push", "origin", "HEAD:claude/two", "HEAD:main"));
  expect(said).toContain("remote rejected");
  expect(await refsOf("own")).toEqual(["refs/heads/main"]);
});

test("refuses deletions, push options and signed pushes", async () => {
  const rig = await startGateway();
  await cloneOwn(rig);
  await run("git", ["-C", server.directoryOf("own"), "config", "receive.advertisePushOptions", "true"]);
  await rig.git("-C", "own", "push", "-q", "origin", "HEAD:claude/two");
  expect(await failure(rig.git("-C", "own", "push", "origin", ":claude/two"))).toContain("are not deleted");
  expect(await failure(rig.git("-C", "own", "push", "origin", ":main"))).toContain("are not deleted");
  expect(await failure(rig.git("-C", "own", "push", "-o", "x", "origin", "HEAD:claude/three"))).toContain("403");
  expect(await refsOf("own")).toEqual(["refs/heads/claude/two", "refs/heads/main"]);
});

test("pushes to the configured refs", async () => {
  const rig = await startGateway({ pushRefs: ["refs/heads/topic", "refs/heads/bot-*"] });
  await cloneOwn(rig);
  await rig.git("-C", "own", "push", "-q", "origin", "HEAD:topic", "HEAD:refs/heads/bot-1");
  expect(await failure(rig.git("-C", "own", "push", "origin", "HEAD:topic2"))).toContain("remote rejected");
  expect(await refsOf("own")).toEqual(["refs/heads/bot-1", "refs/heads/main", "refs/heads/topic"]);
});

test("shows no credential to another repository of the same server, and pushes to none", async () => {
  const rig = await startGateway();
  await cloneOwn(rig);
  await server.addRepository("secret", { "a.txt": "secret\n" });
  await server.addRepository("open", { "a.txt": "open\n" });
  const said = await failure(rig.git("clone", `${origin}/secret.git`));
  expect(said).toContain(`remote: ClaudeCluster: there is no credential for ${origin}/secret.git`);
  await rig.git("clone", "-q", `${origin}/open.git`);
  expect(await failure(rig.git("-C", "own", "push", `${origin}/open.git`, "HEAD:claude/x"))).toContain(
    "this session may push only to its own repositories",
  );
  expect(rig.pushes).toEqual([false]);
  expect(rig.helper).toEqual(["fill /own.git", "approve /own.git"]);
});

test("uses the credential for each repository that the user listed", async () => {
  const rig = await startGateway({ repositories: [`${origin}/own.git`, `${origin}/part.git`] });
  await cloneOwn(rig);
  await server.addRepository("part", { "a.txt": "part\n" });
  await rig.git("clone", "-q", `${origin}/part.git`);
  expect(rig.helper).toContain("fill /part.git");
});

test("forgets a credential that the server refuses, and tells the helper", async () => {
  const rig = await startGateway({ password: "outdated" });
  await server.addRepository("own", { "a.txt": "one\n" });
  expect(await failure(rig.git("clone", `${origin}/own.git`))).toContain("there is no credential for");
  expect(rig.pushes).toEqual([]);
  expect(rig.helper).toEqual(["fill /own.git", "reject /own.git"]);
});

test("a push for which there is no credential is a push that was refused", async () => {
  const rig = await startGateway({ password: "" });
  await server.addRepository("own", { "a.txt": "one\n" });
  await rig.git("init", "-q", "own");
  await rig.git("-C", "own", "commit", "-q", "--allow-empty", "-m", "one");
  expect(await failure(rig.git("-C", "own", "push", `${origin}/own.git`, "HEAD:claude/x"))).toContain(
    "there is no credential for",
  );
  expect(rig.pushes).toEqual([false]);
});

test("passes on nothing but git's own requests of the session's servers", async () => {
  const rig = await startGateway();
  await server.addRepository("own", { "a.txt": "one\n" });
  const host = `/http/127.0.0.1:${server.port}`;
  const refs = "info/refs?service=git-upload-pack";
  const wrong: [string, string][] = [
    ["GET", `${host}/own.git/HEAD`],
    ["GET", `${host}/own.git/info/refs`],
    ["GET", `${host}/own.git/info/refs?service=git-upload-archive`],
    ["GET", `${host}/own.git/${refs}&x=y`],
    ["GET", `${host}/own.git/info/refs?x=y&service=git-upload-pack`],
    ["POST", `${host}/own.git/${refs}`],
    ["GET", `${host}/own.git/git-upload-pack`],
    ["POST", `${host}/own.git/git-receive-pack?x=y`],
    ["POST", `${host}/own.git/git-upload-archive`],
    ["GET", `${host}/a/../own.git/${refs}`],
    ["GET", `${host}/a/%2e%2e/own.git/${refs}`],
    ["GET", `${host}/a%2f..%2fown.git/${refs}`],
    ["GET", `${host}/own.git%00/${refs}`],
    ["GET", `${host}//own.git/${refs}`],
    ["GET", `${host}/own.git//${refs}`],
    ["GET", `${host}/own.git/./${refs}`],
    ["GET", `${host}/own.git%3f/${refs}`],
    ["GET", `${host}/own.git\\/${refs}`],
    ["GET", `/ftp/127.0.0.1/own.git/${refs}`],
    ["GET", `/http/user:pass@127.0.0.1:${server.port}/own.git/${refs}`],
    ["GET", `http://127.0.0.1:${server.port}/own.git/${refs}`],
    ["DELETE", `${host}/own.git/${refs}`],
    ["GET", "/lfs/00000000-0000-0000-0000-000000000000"],
    ["GET", "/"],
  ];
  for (const [method, path] of wrong) expect([path, (await rig.send({ method, path })).status]).toEqual([path, 404]);
  for (const host of ["/https/127.0.0.1", "/http/127.0.0.1:1", "/http/169.254.169.254", "/http/[::1]:80"]) {
    expect((await rig.send({ path: `${host}/own.git/${refs}` })).status).toBe(403);
  }
  expect(rig.helper).toEqual([]);
  expect((await rig.send({ path: `${host}/own.git/${refs}` })).status).toBe(200);
});

const OLD = "1".repeat(40);
const line = (ref: string, capabilities = "report-status", old = ZERO, now = OLD) =>
  packet(`${old} ${now} ${ref}\0 ${capabilities}\n`);
const bare = (ref: string) => packet(`${ZERO} ${OLD} ${ref}\n`);
const good = line("refs/heads/claude/a");

test.each<[string, Buffer]>([
  ["no packets", Buffer.from("PACK")],
  ["no flush", good],
  ["a delimiter for a flush", Buffer.concat([good, Buffer.from("0001"), bare("refs/heads/main"), FLUSH])],
  ["an empty packet", Buffer.concat([good, Buffer.from("0004"), FLUSH])],
  ["a length with a sign", Buffer.concat([Buffer.from("+0a0"), good, FLUSH])],
  ["a length beyond the longest", Buffer.concat([good, Buffer.from("ffff"), Buffer.alloc(70_000), FLUSH])],
  ["a second NUL", Buffer.concat([packet(`${ZERO} ${OLD} refs/heads/claude/a\0x\0refs/heads/main`), FLUSH])],
  ["capabilities later", Buffer.concat([good, line("refs/heads/claude/b"), FLUSH])],
  ["push options", Buffer.concat([line("refs/heads/claude/a", "report-status push-options"), FLUSH])],
  ["a certificate", Buffer.concat([packet("push-cert\0 report-status\n"), FLUSH])],
  ["an unknown capability", Buffer.concat([line("refs/heads/claude/a", "report-status magic"), FLUSH])],
  ["a line break in a ref", Buffer.concat([good, bare("refs/heads/claude/b\nrefs/heads/main"), FLUSH])],
  ["a space in a ref", Buffer.concat([good, bare("refs/heads/claude/b refs/heads/main"), FLUSH])],
  ["no id", Buffer.concat([good, packet("refs/heads/claude/b"), FLUSH])],
  ["two spaces", Buffer.concat([good, packet(`${ZERO}  ${OLD} refs/heads/claude/b`), FLUSH])],
  ["a ref outside of refs/", Buffer.concat([good, bare("HEAD"), FLUSH])],
  ["too many refs", Buffer.concat([good, ...Array.from({ length: 5000 }, (_, at) => bare(`refs/heads/claude/${at}`))])],
])("refuses a push with %s", async (_name, body) => {
  const rig = await startGateway();
  const path = `/http/127.0.0.1:${server.port}/own.git/git-receive-pack`;
  expect((await rig.send({ method: "POST", path, body })).status).toBe(403);
});

test.each(["refs/heads/claude/../main", "refs/heads/claude/.a", "refs/heads/claude//a", "refs/heads/claude/a.lock"])(
  "refuses the ref %s",
  async (ref) => {
    const rig = await startGateway();
    const path = `/http/127.0.0.1:${server.port}/own.git/git-receive-pack`;
    const plain = Buffer.concat([line(ref), FLUSH]);
    for (const [body, headers] of [
      [plain, {}],
      [gzipSync(plain), { "content-encoding": "gzip" }],
    ] as const) {
      const answer = await rig.send({ method: "POST", path, body, headers });
      expect([answer.status, answer.body]).toEqual([200, expect.stringContaining(`ng ${ref} ClaudeCluster: `)]);
    }
  },
);

test("refuses encodings that it cannot look into", async () => {
  const rig = await startGateway();
  const path = `/http/127.0.0.1:${server.port}/own.git/git-receive-pack`;
  for (const encoding of ["br", "gzip, gzip", "deflate", "zstd"]) {
    const headers = { "content-encoding": encoding };
    expect((await rig.send({ method: "POST", path, body: good, headers })).status).toBe(415);
  }
});

test("passes on one request only where a second one is smuggled in", async () => {
  const seen: string[] = [];
  const upstream = createServer((request, response) => {
    seen.push(
      `${request.method} ${request.url} ${String(request.headers.authorization)} ${String(request.headers["x-evil"])}`,
    );
    request.resume();
    response.end();
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  cleanups.push(() => new Promise((resolve) => upstream.close(resolve)));
  const { port } = upstream.address() as AddressInfo;
  const rig = await startGateway({ repositories: [`http://127.0.0.1:${port}/own.git`] });
  const socket = connect(rig.port, "127.0.0.1");
  const hidden = "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n";
  const head = `POST /http/127.0.0.1:${port}/own.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eA==\r\nX-Evil: yes\r\n`;
  socket.end(`${head}Content-Length: ${hidden.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`);
  await text(socket);
  expect(seen).toEqual([]);
  const good = connect(rig.port, "127.0.0.1");
  good.write(`${head}Connection: close\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`);
  await text(good);
  expect(seen).toEqual(["POST /own.git/git-upload-pack undefined undefined"]);
});

test("follows a redirect of the same server and none to another", async () => {
  const seen: string[] = [];
  const elsewhere = createServer((request, response) => {
    seen.push(request.url ?? "");
    response.end();
  });
  elsewhere.listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  cleanups.push(() => new Promise((resolve) => elsewhere.close(resolve)));
  const other = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  const moved = createServer((request, response) => {
    const [name] = (request.url ?? "").slice(1).split("/", 1);
    const location = name === "old" ? request.url!.replace("/old/", "/new.git/") : `${other}${request.url}`;
    if (name === "new.git") response.end("found");
    else response.writeHead(301, { location }).end();
  });
  moved.listen(0, "127.0.0.1");
  await once(moved, "listening");
  cleanups.push(() => new Promise((resolve) => moved.close(resolve)));
  const authority = `127.0.0.1:${(moved.address() as AddressInfo).port}`;
  const rig = await startGateway({ repositories: [`http://${authority}/old`, `http://${authority}/away`] });
  const refs = "info/refs?service=git-upload-pack";
  expect((await rig.send({ path: `/http/${authority}/old/${refs}` })).body).toBe("found");
  expect((await rig.send({ method: "POST", path: `/http/${authority}/old/git-upload-pack` })).body).toBe("found");
  const away = await rig.send({ path: `/http/${authority}/away/${refs}` });
  expect([away.status, away.body]).toEqual([502, expect.stringContaining("redirects to 127.0.0.1")]);
  expect(seen).toEqual([]);
});

test("keeps the places and tokens of LFS objects to itself", async () => {
  const seen: string[] = [];
  const lfs = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${String(request.headers.authorization)}`);
    void text(request).then((body) => {
      if (request.headers.authorization === undefined) return response.writeHead(401).end();
      if (!request.url!.endsWith("/batch")) return response.end(`object ${body}`);
      const href = `http://${request.headers.host}/store/1?signature=geheim`;
      const action = { href, header: { Authorization: "RemoteAuth geheim" } };
      const actions = { download: action, upload: { href: "http://169.254.169.254/" } };
      return response.end(JSON.stringify({ transfer: "basic", objects: [{ oid: "1", size: 1, actions }] }));
    });
  });
  lfs.listen(0, "127.0.0.1");
  await once(lfs, "listening");
  cleanups.push(() => new Promise((resolve) => lfs.close(resolve)));
  const authority = `127.0.0.1:${(lfs.address() as AddressInfo).port}`;
  const rig = await startGateway({ repositories: [`http://${authority}/own.git`] });
  const path = `/http/${authority}/own.git/info/lfs/objects/batch`;
  const body = JSON.stringify({ operation: "download", objects: [{ oid: "1", size: 1 }] });
  const answer = await rig.send({ method: "POST", path, body });
  expect(answer.body).not.toContain("geheim");
  const { objects } = JSON.parse(answer.body) as { objects: { actions: Record<string, { href: string }> }[] };
  expect(Object.keys(objects[0]!.actions)).toEqual(["download"]);
  const place = new URL(objects[0]!.actions["download"]!.href);
  expect(place.port).toBe(String(rig.port));
  expect((await rig.send({ path: place.pathname })).body).toBe("object ");
  expect(seen.at(-1)).toBe("GET /store/1?signature=geheim RemoteAuth geheim");
});

test("asks for the LFS objects of other repositories without a credential, and stores none there", async () => {
  const seen: string[] = [];
  const lfs = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${String(request.headers.authorization)}`);
    const actions = { download: { href: `http://${request.headers.host}/store/1` } };
    if (request.url!.startsWith("/private")) response.writeHead(401).end();
    else response.end(JSON.stringify({ objects: [{ oid: "1", size: 1, actions }] }));
  });
  lfs.listen(0, "127.0.0.1");
  await once(lfs, "listening");
  cleanups.push(() => new Promise((resolve) => lfs.close(resolve)));
  const authority = `127.0.0.1:${(lfs.address() as AddressInfo).port}`;
  const rig = await startGateway({ repositories: [`http://${authority}/own.git`] });
  const ask = (name: string, operation: string) => {
    const path = `/http/${authority}/${name}/info/lfs/objects/batch`;
    return rig.send({ method: "POST", path, body: JSON.stringify({ operation }) });
  };
  const { objects } = JSON.parse((await ask("open.git", "download")).body) as {
    objects: { actions: { download: { href: string } } }[];
  };
  await rig.send({ path: new URL(objects[0]!.actions.download.href).pathname });
  expect((await ask("private.git", "download")).status).toBe(403);
  expect((await ask("open.git", "upload")).status).toBe(403);
  expect(seen).toEqual([
    "POST /open.git/info/lfs/objects/batch undefined",
    "GET /store/1 undefined",
    "POST /private.git/info/lfs/objects/batch undefined",
  ]);
  expect(rig.helper).toEqual([]);
});

test("follows an object to where its server keeps it, without what was meant for the server", async () => {
  const seen: string[] = [];
  const warnings: string[] = [];
  const warn = ({ message }: Error) => warnings.push(message);
  process.on("warning", warn);
  cleanups.push(() => Promise.resolve(process.off("warning", warn)));
  const certificate = await makeCertificate();
  const hear = (request: IncomingMessage) => {
    const { authorization, "x-token": token } = request.headers;
    seen.push(`${request.url} ${String(authorization)} ${String(token)}`);
  };
  const storage = createTlsServer(certificate, (request, response) => {
    hear(request);
    if (request.url === "/object") response.end("object");
    else response.writeHead(302, { location: request.url === "/back" ? home("/secret") : "/object" }).end();
  }).listen(0, "127.0.0.1");
  await once(storage, "listening");
  const beside = `localhost:${(storage.address() as AddressInfo).port}`;
  const lfs = createServer((request, response) => {
    const [, name] = request.url!.split("/");
    if (name === "own.git") {
      const places = ["step", "back", "plain", "round"];
      const objects = places.map((place) => {
        const header = { Authorization: "RemoteAuth geheim", "X-Token": "geheim" };
        return { oid: place, size: 1, actions: { download: { href: home(`/${place}`), header } } };
      });
      return response.end(JSON.stringify({ objects }));
    }
    hear(request);
    const locations: Record<string, string> = {
      step: "/stairs",
      stairs: `https://${beside}/step`,
      back: `https://${beside}/back`,
      plain: `http://${beside}/object`,
      round: "/round",
    };
    return response.writeHead(302, { location: locations[name!] ?? "/" }).end();
  }).listen(0, "127.0.0.1");
  await once(lfs, "listening");
  const authority = `127.0.0.1:${(lfs.address() as AddressInfo).port}`;
  const home = (path: string) => `http://${authority}${path}`;
  for (const server of [storage, lfs]) {
    cleanups.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
  }
  const rig = await startGateway({
    repositories: [home("/own.git")],
    beside: { authority: beside, cert: certificate.cert },
  });
  const { body } = await rig.send({
    method: "POST",
    path: `/http/${authority}/own.git/info/lfs/objects/batch`,
    body: "{}",
  });
  const { objects } = JSON.parse(body) as { objects: { actions: { download: { href: string } } }[] };
  const answers = [];
  for (const { actions } of objects) answers.push(await rig.send({ path: new URL(actions.download.href).pathname }));
  expect(answers.map(({ status }) => status)).toEqual([200, 502, 502, 502]);
  expect(answers[0]!.body).toBe("object");
  const told = "RemoteAuth geheim geheim";
  const round = `/round ${told}`;
  expect(seen).toEqual([
    ...[`/step ${told}`, `/stairs ${told}`, "/step undefined undefined", "/object undefined undefined"],
    ...[`/back ${told}`, "/back undefined undefined", `/plain ${told}`],
    ...[round, round, round, round],
  ]);
  // Node would warn of listeners that stay with each step.
  expect(warnings).toEqual([]);
});

/** A server of LFS objects that are where `href` says, on connections that are kept. */
async function startLfs(href: (authority: string) => string, options: Parameters<typeof startGateway>[0] = {}) {
  const seen: string[] = [];
  const lfs = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push(`${request.method} ${request.url} ${request.headers["content-length"] ?? ""}${body && "+"}`);
      const actions = { download: { href: href(request.headers.host!) } };
      return response.end(JSON.stringify({ objects: [{ oid: "1", size: 1, actions }] }));
    });
  });
  lfs.listen(0, "127.0.0.1");
  await once(lfs, "listening");
  cleanups.push(() => new Promise((resolve) => lfs.close(resolve)));
  const authority = `127.0.0.1:${(lfs.address() as AddressInfo).port}`;
  const rig = await startGateway({ ...options, repositories: [`http://${authority}/own.git`] });
  const place = async () => {
    const path = `/http/${authority}/own.git/info/lfs/objects/batch`;
    const { body } = await rig.send({ method: "POST", path, body: "{}" });
    const { objects } = JSON.parse(body) as { objects: { actions: { download: { href: string } } }[] };
    return new URL(objects[0]!.actions.download.href).pathname;
  };
  return { rig, seen, place };
}

test("does not have the next request of a connection taken for the body of an object's", async () => {
  const { rig, seen, place } = await startLfs((authority) => `http://${authority}/store/1`);
  const path = await place();
  expect((await rig.send({ path, headers: { "content-length": "3" }, body: "abc" })).status).toBe(200);
  await place();
  expect(seen).toEqual([
    "POST /own.git/info/lfs/objects/batch 23+",
    "GET /store/1 ",
    "POST /own.git/info/lfs/objects/batch 23+",
  ]);
});

test.each(["https://10.0.0.1/admin", "https://inside.test/admin", "https://[::1]:8443/", "https://169.254.169.254/"])(
  "asks nobody for an object that is said to be at %s",
  async (href) => {
    const { rig, place } = await startLfs(() => href);
    const answer = await rig.send({ path: await place() });
    expect([answer.status, answer.body]).toEqual([403, expect.stringContaining("no public address")]);
    expect(rig.decisions.at(-1)).toMatch(/^-.*no public address/);
  },
);

test("has a proxy look up where an object is for listed destinations only", async () => {
  const asked: string[] = [];
  const proxy = createServer().on("connect", ({ url = "" }, socket) => {
    asked.push(url);
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  cleanups.push(() => new Promise((resolve) => proxy.close(resolve)));
  const httpsProxy = new URL(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  const ask = async (allowed: string[]) => {
    const { rig, place } = await startLfs(() => "https://objects.test/1", { httpsProxy, allowed });
    return rig.send({ path: await place() });
  };
  const refused = await ask(["objects.test:8443"]);
  expect([refused.status, refused.body]).toEqual([403, expect.stringContaining("the name does not resolve")]);
  expect(asked).toEqual([]);
  expect((await ask(["objects.test:443"])).body).toContain("objects.test was not reached");
  expect(asked).toEqual(["objects.test:443"]);
});

test("names a server that is not reached, and why", async () => {
  const rig = await startGateway({ repositories: ["http://127.0.0.1:1/own.git"] });
  const answer = await rig.send({ path: "/http/127.0.0.1:1/own.git/info/refs?service=git-upload-pack" });
  expect([answer.status, answer.body]).toEqual([502, "ClaudeCluster: 127.0.0.1:1 was not reached (ECONNREFUSED).\n"]);
});

test("names a server that takes a request and says nothing, in time for git to hear of it", async () => {
  const silent = createServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  cleanups.push(() => new Promise((resolve) => silent.close(resolve)));
  const authority = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const rig = await startGateway({ repositories: [`http://${authority}/own.git`], silenceMs: 100 });
  const answer = await rig.send({ path: `/http/${authority}/own.git/info/refs?service=git-upload-pack` });
  expect([answer.status, answer.body]).toEqual([504, `ClaudeCluster: ${authority} did not answer within 0.1 s.\n`]);
});

test("gives a server that was sent a push ten times as long, and does not blame it for a container that pauses", async () => {
  const requests: string[] = [];
  const slow = createServer((request, response) => {
    requests.push(request.url ?? "");
    request.resume().once("end", () => setTimeout(() => response.end("0000"), 250));
  });
  slow.listen(0, "127.0.0.1");
  await once(slow, "listening");
  cleanups.push(() => new Promise((resolve) => slow.close(resolve)));
  const authority = `127.0.0.1:${(slow.address() as AddressInfo).port}`;
  const rig = await startGateway({ repositories: [`http://${authority}/own.git`], silenceMs: 100 });
  const command = packet(`${ZERO} ${"1".repeat(40)} refs/heads/claude/x\0report-status\n`);
  const headers = { "content-type": "application/x-git-receive-pack-request" };
  const path = `/http/${authority}/own.git/git-receive-pack`;
  const push = httpRequest({ host: "127.0.0.1", port: rig.port, method: "POST", path, headers });
  const answered = once(push, "response") as Promise<[IncomingMessage]>;
  push.write(Buffer.concat([command, FLUSH]));
  await expect.poll(() => requests).toHaveLength(1);
  // Longer than the server may be silent.
  await pause(1300);
  push.end("PACK");
  const [answer] = await answered;
  expect([answer.statusCode, await text(answer)]).toEqual([200, "0000"]);
  const fetched = await rig.send({ path: `/http/${authority}/own.git/info/refs?service=git-upload-pack` });
  expect(fetched.status).toBe(504);
});
