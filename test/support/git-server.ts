import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { git, writeRepository } from "../model/small-repository.ts";
import type { Certificate } from "./certificate.ts";

/** A git server on loopback with one bare repository for each name. */
export interface GitServer extends AsyncDisposable {
  /** Makes a repository with one commit of these files and returns its URL. */
  addRepository(name: string, files: Readonly<Record<string, string>>): Promise<string>;
  /** The bare repository's directory. */
  directoryOf(name: string): string;
  port: number;
}

export interface GitServerOptions {
  host?: string;
  /** "user:password" that a request for a repository has to show. Undefined: none, and nobody can push. */
  login?: (repository: string) => string | undefined;
  /** Serve over TLS. */
  tls?: Certificate;
}

/** Starts a git server over HTTP, as git-http-backend serves it. Who has logged in may push. */
export async function startGitServer(options: GitServerOptions = {}): Promise<GitServer> {
  const { host = "127.0.0.1", login = () => undefined, tls } = options;
  const root = await mkdtemp(join(tmpdir(), "claudecluster-git-"));
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    const wanted = login(/^\/(.+?)\.git\//.exec(request.url ?? "")?.[1] ?? "");
    const given = request.headers.authorization;
    if (wanted !== undefined && given !== `Basic ${Buffer.from(wanted).toString("base64")}`) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
      request.resume();
      return;
    }
    serveGit(root, request, response, wanted?.split(":")[0]);
  };
  const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  const directoryOf = (name: string) => join(root, `${name}.git`);
  return {
    port,
    directoryOf,
    async addRepository(name, files) {
      const work = await mkdtemp(join(tmpdir(), "claudecluster-work-"));
      try {
        await writeRepository(work, files);
        await git(work, "clone", "-q", "--bare", work, directoryOf(name));
      } finally {
        await rm(work, { recursive: true });
      }
      return `${tls === undefined ? "http" : "https"}://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}/${name}.git`;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await rm(root, { recursive: true });
    },
  };
}

/** One request through git-http-backend: a CGI program, https://git-scm.com/docs/git-http-backend. */
function serveGit(root: string, request: IncomingMessage, response: ServerResponse, user = ""): void {
  const url = new URL(request.url ?? "/", "http://git");
  const header = (name: string) => String(request.headers[name] ?? "");
  const env = {
    PATH: process.env["PATH"],
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: decodeURIComponent(url.pathname),
    QUERY_STRING: url.search.slice(1),
    REQUEST_METHOD: request.method ?? "GET",
    CONTENT_TYPE: header("content-type"),
    HTTP_CONTENT_ENCODING: header("content-encoding"),
    GIT_PROTOCOL: header("git-protocol"),
    // Pushes are for those who have logged in.
    ...(user !== "" && { REMOTE_USER: user }),
  };
  const child = spawn("git", ["http-backend"], { env, stdio: ["pipe", "pipe", "ignore"] });
  child.stdin.on("error", () => {});
  request.pipe(child.stdin);
  let head: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    child.stdout.off("data", onData);
    const headers = head
      .subarray(0, end)
      .toString()
      .split("\r\n")
      .map((line) => line.split(/:\s*/, 2) as [string, string]);
    const status = headers.find(([name]) => name.toLowerCase() === "status")?.[1] ?? "200";
    response.writeHead(
      Number.parseInt(status, 10),
      Object.fromEntries(headers.filter(([name]) => name.toLowerCase() !== "status")),
    );
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on("data", onData);
  child.once("close", () => response.end());
  response.once("close", () => child.kill());
}
