import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { RepositorySpecSchema } from "../../proto/index.ts";
import { processesOf } from "../process/kill-all.ts";
import { run } from "../process/run.ts";
import type { Progress } from "./clone-progress.ts";
import { startGitServer, startProxy } from "../../test/git/git-server.ts";
import { asClaude, BASE, requireRoot, runGit, SESSION, WorkArea } from "../../test/git/work-area.ts";
import { readHead } from "./remote.ts";
import { openWorkspace, type WorkspaceOptions } from "./workspace.ts";

beforeAll(requireRoot);
afterEach(() => vi.unstubAllEnvs());

/** Three commits on main, one on a branch, tags of each kind. */
function fillHistory(directory: string, git: (...args: string[]) => string): void {
  for (const content of ["one", "two", "three"]) {
    writeFileSync(join(directory, "file.txt"), `${content}\n`);
    git("add", "-A");
    git("commit", "-qm", content);
    if (content === "one") git("tag", "v1");
    if (content === "two") git("tag", "-a", "v2", "-m", "second");
  }
  git("tag", "tree", "HEAD^{tree}");
  git("update-ref", "refs/pull/7/head", "v1");
  git("checkout", "-q", "-b", "feature/x");
  writeFileSync(join(directory, "feature.txt"), "feature\n");
  git("add", "-A");
  git("commit", "-qm", "feature");
  git("checkout", "-q", "main");
}

function options(area: WorkArea, rest: Partial<WorkspaceOptions>): WorkspaceOptions {
  return {
    paths: area.paths({ session: SESSION, base: BASE }),
    sessionIdentity: SESSION,
    baseIdentity: BASE,
    proxyUrl: undefined,
    onProgress: () => undefined,
    signal: AbortSignal.timeout(30_000),
    ...rest,
  };
}

const spec = (uri: string, ref = ""): WorkspaceOptions["repository"] =>
  create(RepositorySpecSchema, { uri, ref, depth: 1 });

test("starts at the branch, tag, commit or other ref that was asked for, as deep as asked for", async () => {
  await using area = new WorkArea();
  const source = area.source("history", fillHistory);
  const id = (name: string): string => runGit(source, "rev-parse", `${name}^{commit}`).trim();
  const cases: [ref: string, depth: number, commit: string, head: string, count: number][] = [
    ["", 1, id("main"), "main", 1],
    ["main", 2, id("main"), "main", 2],
    ["feature/x", 1, id("feature/x"), "feature/x", 1],
    ["refs/heads/feature/x", -1, id("feature/x"), "feature/x", 4],
    ["v1", 1, id("v1"), "HEAD", 1],
    ["v2", 1, id("v2"), "HEAD", 1],
    [id("v2"), 1, id("v2"), "HEAD", 1],
    [id("v1"), -1, id("v1"), "HEAD", 1],
    ["refs/pull/7/head", 1, id("v1"), "HEAD", 1],
    ["HEAD", 1, id("main"), "main", 1],
  ];
  for (const [ref, depth, commit, head, count] of cases) {
    const workspace = await area.open(await area.spec("history", { ref, depth }));
    expect([ref, workspace.baseCommitId]).toEqual([ref, commit]);
    const said = asClaude(
      workspace.workTree,
      "git rev-parse HEAD; git rev-parse --abbrev-ref HEAD; git rev-list --count HEAD; git status --porcelain; git fsck --no-dangling 2>&1 || echo $?",
    );
    expect([ref, said]).toEqual([ref, `${commit}\n${head}\n${count}\n`]);
  }
}, 60_000);

test.each([
  ["most", 50, [expect.stringMatching(/^files take 8\d% of their 60 MiB; memory 1g gives more$/)]],
  ["some", 30, []],
])(
  "says at the start that the checkout takes %s of its room, if it is most",
  async (_how, mebibytes, said) => {
    await using area = new WorkArea();
    area.source("large", (directory, git) => {
      writeFileSync(join(directory, "large"), randomBytes(mebibytes * 1024 ** 2));
      git("add", "-A");
      git("commit", "-qm", "large");
    });
    const paths = area.paths({ session: SESSION, base: BASE });
    execFileSync("mount", [
      "-t",
      "tmpfs",
      "-o",
      `size=60m,uid=${SESSION.uid},gid=${SESSION.gid}`,
      "tmpfs",
      paths.workTree,
    ]);
    const seen: Progress[] = [];
    try {
      const onProgress = (progress: Progress) => void seen.push(progress);
      await openWorkspace(options(area, { repository: await area.spec("large"), paths, onProgress }));
    } finally {
      execFileSync("umount", [paths.workTree]);
    }
    expect(seen.map(({ stage }) => stage).filter((stage) => stage.startsWith("files take"))).toEqual(said);
  },
  60_000,
);

test("gives Claude an ordinary repository: it can commit, and push and fetch would go to the origin", async () => {
  await using area = new WorkArea();
  area.source("history", fillHistory);
  const repository = await area.spec("history");
  const workspace = await area.open(repository);
  const claude = (script: string): string => asClaude(workspace.workTree, script);
  expect(claude("git remote -v; git status -sb; git log --format='%s %D'")).toBe(
    `origin\t${repository.uri} (fetch)\norigin\t${repository.uri} (push)\n## main...origin/main\nthree grafted, HEAD -> main, origin/main, origin/HEAD\n`,
  );
  expect(claude("echo x > new; git add new; git commit -qm mine; git log -1 --format='%an <%ae>'")).toBe(
    "Claude <noreply@anthropic.com>\n",
  );
  const collected = await workspace.collect({ signal: AbortSignal.timeout(20_000) });
  expect(collected.headCommitId).toBe(claude("git rev-parse HEAD").trim());
  expect(collected.changes.map(({ path }) => path)).toEqual(["new"]);
  // Objects are the base's: nothing was copied.
  expect(claude("git count-objects -v")).toMatch(/^in-pack: 0$/m);
  // Not through `claude`, which would keep the server, in this process, from answering.
  const env = { PATH: process.env["PATH"] ?? "" };
  const fetch = await run("git", ["-C", workspace.workTree, "fetch", "-q", "--unshallow"], {
    identity: SESSION,
    env,
    signal: AbortSignal.timeout(20_000),
  });
  expect(fetch).toMatchObject({ code: 0 });
  expect(claude("git rev-list --count origin/main")).toBe("3\n");
});

test("keeps the start commit out of Claude's reach, and open to its eyes", async () => {
  await using area = new WorkArea();
  area.source("history", fillHistory);
  const paths = area.paths({ session: SESSION, base: BASE });
  await area.open(await area.spec("history"), paths);
  const writable = execFileSync("find", [paths.base, "-writable"], {
    uid: SESSION.uid,
    gid: SESSION.gid,
    encoding: "utf8",
    cwd: "/",
  });
  const unreadable = execFileSync("find", [paths.base, "!", "-readable"], {
    uid: SESSION.uid,
    gid: SESSION.gid,
    encoding: "utf8",
    cwd: "/",
  });
  expect([writable, unreadable]).toEqual(["", ""]);
});

test("checks out as the repository's attributes say, without filters, and stays clean", async () => {
  await using area = new WorkArea();
  const source = area.source("attributes", (directory, git) => {
    writeFileSync(
      join(directory, ".gitattributes"),
      "*.txt text eol=crlf\n*.c ident\n*.u16 working-tree-encoding=UTF-16\n*.lfs filter=lfs\n",
    );
    writeFileSync(join(directory, "crlf.txt"), "a\r\nb\r\n");
    writeFileSync(join(directory, "id.c"), "$Id$\n");
    writeFileSync(join(directory, "u.u16"), Buffer.from("\ufeffwide\n", "utf16le"));
    writeFileSync(join(directory, "f.lfs"), "version https://git-lfs\n");
    git("add", "-A");
    git("commit", "-qm", "x");
    git("rm", "-rqf", ".");
    git("reset", "-q", "--hard");
  });
  const workspace = await area.open(await area.spec("attributes"));
  expect(readFileSync(join(workspace.workTree, "crlf.txt"), "latin1")).toBe("a\r\nb\r\n");
  for (const name of ["crlf.txt", "id.c", "u.u16", "f.lfs"]) {
    expect(readFileSync(join(workspace.workTree, name))).toEqual(readFileSync(join(source, name)));
  }
  expect(
    asClaude(workspace.workTree, "sleep 1.1; touch *; git status --porcelain; git add -A; git status --porcelain"),
  ).toBe("");
});

test("starts empty without a repository, and from a repository without commits", async () => {
  await using area = new WorkArea();
  area.source("empty", () => undefined);
  for (const repository of [undefined, await area.spec("empty")]) {
    const workspace = await area.open(repository);
    expect(workspace.baseCommitId).toBe("");
    asClaude(workspace.workTree, "echo x > x; git add x; git commit -qm first; echo y > y");
    const { changes, headCommitId } = await workspace.collect({ signal: AbortSignal.timeout(20_000) });
    expect(changes.map(({ path }) => path)).toEqual(["x", "y"]);
    expect(headCommitId).toMatch(/^[0-9a-f]{40}$/);
    expect((await workspace.scan({ signal: AbortSignal.timeout(20_000) })).delta).toHaveLength(2);
  }
  await expect(area.open(await area.spec("empty", { ref: "main" }))).rejects.toMatchObject({ reason: "REF_NOT_FOUND" });
});

test("starts from a commit without files", async () => {
  await using area = new WorkArea();
  area.source("bare", (_, git) => git("commit", "-qm", "nothing", "--allow-empty"));
  const workspace = await area.open(await area.spec("bare"));
  expect(workspace.baseCommitId).toMatch(/^[0-9a-f]{40}$/);
  asClaude(workspace.workTree, "echo x > x");
  const signal = AbortSignal.timeout(20_000);
  expect((await workspace.scan({ signal })).delta).toHaveLength(1);
  expect((await workspace.collect({ signal })).changes).toHaveLength(1);
});

test("works with SHA-256 repositories", async () => {
  await using area = new WorkArea();
  const source = area.source("sha256", () => undefined);
  execFileSync("sh", [
    "-ec",
    `cd ${source}; rm -rf .git; git init -q -b main --object-format=sha256; echo x > x; git add x`,
  ]);
  runGit(source, "commit", "-qm", "x");
  const workspace = await area.open(await area.spec("sha256"));
  expect(workspace.baseCommitId).toMatch(/^[0-9a-f]{64}$/);
  asClaude(workspace.workTree, "mkdir n; git init -q n; echo n > n/n");
  expect((await workspace.collect({ signal: AbortSignal.timeout(20_000) })).changes.map(({ path }) => path)).toEqual([
    "n/n",
  ]);
});

test.each<
  [how: string, change: (git: (...args: string[]) => string) => void, headers: object, getCount: number, branch: string]
>([
  ["as servers do", () => {}, {}, 1, "main"],
  ["as servers of old do", () => {}, { "git-protocol": undefined }, 1, "main"],
  ["for a detached HEAD", (git) => git("checkout", "-q", "--detach"), {}, 1, "main"],
  ["for a branch that is not plain ASCII", (git) => git("checkout", "-qb", "größe"), {}, 2, "größe"],
])(
  "lets the fetch of a remote's HEAD say which branch that is: %s",
  async (_how, change, headers, getCount, branch) => {
    await using area = new WorkArea();
    const source = area.source("history", (directory, git) => {
      fillHistory(directory, git);
      change(git);
    });
    const server = await area.server();
    server.intercept = (request) => {
      Object.assign(request.headers, headers);
      return false;
    };
    const { workTree, baseCommitId } = await openWorkspace(
      options(area, { repository: spec(`${server.url}/history/.git`) }),
    );
    expect(server.requests.filter((url) => url.includes("info/refs"))).toHaveLength(getCount);
    expect(baseCommitId).toBe(runGit(source, "rev-parse", "HEAD").trim());
    const head = asClaude(workTree, "git rev-parse --abbrev-ref HEAD");
    expect(head.trim()).toBe(branch);
  },
  60_000,
);

test("tells apart why a repository cannot be cloned", async () => {
  await using area = new WorkArea();
  area.source("history", fillHistory);
  const server = await area.server();
  server.intercept = (request, response) => {
    const status = /^\/status-(\d+)/.exec(request.url ?? "")?.[1];
    if (status === undefined) return false;
    const type = status === "502" ? "text/plain" : "text/html";
    response
      .writeHead(Number(status), { "content-type": type, "www-authenticate": "Basic" })
      .end(status === "502" ? "a.test was not reached (ENOTFOUND).\n" : "<html>git</html>");
    return true;
  };
  const clone = (uri: string, ref = ""): Promise<unknown> =>
    openWorkspace(options(area, { repository: spec(uri, ref) }));
  const missing = `${server.url}/none`;
  await expect(clone(missing)).rejects.toMatchObject({
    reason: "REPOSITORY_NOT_FOUND",
    kind: "NOT_FOUND",
    retryable: false,
    message: `Could not clone ${missing}: the server has no such repository (status 404).`,
  });
  await expect(clone(`${server.url}/status-401`)).rejects.toMatchObject({
    reason: "REPOSITORY_UNAUTHORIZED",
    kind: "UNAUTHENTICATED",
  });
  await expect(clone(`${server.url}/status-403`)).rejects.toMatchObject({ reason: "REPOSITORY_UNAUTHORIZED" });
  await expect(clone(`${server.url}/status-200`)).rejects.toMatchObject({
    reason: "REPOSITORY_INVALID",
    kind: "FAILED_PRECONDITION",
  });
  await expect(clone(`${server.url}/status-503`)).rejects.toMatchObject({
    reason: "REPOSITORY_UNREACHABLE",
    retryable: true,
  });
  await expect(clone(`${server.url}/status-502`)).rejects.toMatchObject({
    reason: "REPOSITORY_UNREACHABLE",
    message: `Could not clone ${server.url}/status-502: a.test was not reached (ENOTFOUND).`,
  });
  await expect(clone("http://127.0.0.1:9/x")).rejects.toMatchObject({
    reason: "REPOSITORY_UNREACHABLE",
    kind: "UNAVAILABLE",
  });
  await expect(clone("http://no-such-host.invalid/x")).rejects.toMatchObject({ reason: "REPOSITORY_UNREACHABLE" });
  const uri = `${server.url}/history/.git`;
  await expect(clone(uri, "dev")).rejects.toMatchObject({
    reason: "REF_NOT_FOUND",
    kind: "NOT_FOUND",
    message: `Could not clone ${uri} at 'dev': there is no such branch, tag or commit.`,
  });
  await expect(clone(uri, "1".repeat(40))).rejects.toMatchObject({ reason: "REF_NOT_FOUND" });
  await expect(clone(uri, "tree")).rejects.toMatchObject({ reason: "REF_NOT_A_COMMIT" });
  // Gone once it has said what there is.
  let posts = 0;
  server.intercept = (request, response) => {
    if (request.method !== "POST" || ++posts <= 1) return false;
    response.writeHead(500).end();
    return true;
  };
  await expect(clone(uri)).rejects.toMatchObject({ reason: "REPOSITORY_UNREACHABLE" });
  // The same to both who ask it.
  posts = -1;
  await expect(clone(uri, "main")).rejects.toMatchObject({ reason: "REPOSITORY_UNREACHABLE" });
}, 60_000);

test("a remote's HEAD is what the remote names, not what it writes elsewhere", () => {
  const id = "1".repeat(40);
  const packet = (text: string) => `08:41:12.181932 pkt-line.c:80           packet: ${text}\n`;
  const forged = packet(`    sideband< \\2remote: packet: fetch< ${"2".repeat(40)} HEAD symref-target:refs/heads/x`);
  const named = packet(`       fetch< ${id} HEAD symref-target:refs/heads/main`);
  expect(readHead(forged + named)).toEqual({ name: "refs/heads/main", id, defaultName: "refs/heads/main" });
  expect(readHead(forged)).toBeUndefined();
  expect(readHead(packet(`         git< ${id} HEAD\\0multi_ack symref=HEAD:refs/heads/old agent=git/1`))?.name).toBe(
    "refs/heads/old",
  );
  expect(readHead(packet(`       fetch< ${id} HEAD`))).toEqual({ name: "HEAD", id, defaultName: undefined });
});

test("takes directories with the names of files that git reads", async () => {
  await using area = new WorkArea();
  area.source("odd", (directory, git) => {
    for (const name of [".gitattributes", ".gitmodules"]) {
      mkdirSync(join(directory, name));
      writeFileSync(join(directory, name, "inside"), "x\n");
    }
    mkdirSync(join(directory, "lib"));
    writeFileSync(join(directory, "lib/.gitattributes"), `* ${"a".repeat(3000)}\n`);
    git("add", "-A");
    git("commit", "-qm", "odd");
  });
  const { workTree } = await area.open(await area.spec("odd"));
  expect(asClaude(workTree, "git status --porcelain; cat .gitattributes/inside .gitmodules/inside")).toBe("x\nx\n");
});

test("refuses a repository that would write into .git", async () => {
  await using area = new WorkArea();
  const source = area.source("evil", (directory, git) => {
    writeFileSync(join(directory, "hook"), "#!/bin/sh\n");
    git("add", "-A");
    git("commit", "-qm", "x");
  });
  const blob = runGit(source, "rev-parse", "HEAD:hook").trim();
  const make = (input: string): string =>
    execFileSync("git", ["mktree"], { cwd: source, input, encoding: "utf8" }).trim();
  const tree = make(`040000 tree ${make(`100755 blob ${blob}\tpost-checkout\n`)}\t.git\n`);
  const commit = runGit(source, "commit-tree", "-m", "evil", tree).trim();
  runGit(source, "update-ref", "refs/heads/main", commit);
  await expect(area.open(await area.spec("evil"))).rejects.toMatchObject({ reason: "REPOSITORY_FETCH_FAILED" });
});

test("clones through the proxy, http and https alike, and says when the proxy refuses", async () => {
  await using area = new WorkArea();
  area.source("history", fillHistory);
  await using proxy = await startProxy();
  const plain = await area.server();
  await openWorkspace(options(area, { repository: spec(`${plain.url}/history/.git`), proxyUrl: proxy.url }));
  expect(proxy.plain.length).toBeGreaterThan(1);

  const [key, cert] = [join(area.directory, "key.pem"), join(area.directory, "cert.pem")];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=127.0.0.1",
      "-addext",
      "subjectAltName=IP:127.0.0.1",
      "-keyout",
      key,
      "-out",
      cert,
    ],
    { stdio: "ignore" },
  );
  await using server = await startGitServer(join(area.directory, "sources"), {
    key: readFileSync(key, "utf8"),
    cert: readFileSync(cert, "utf8"),
  });
  const secure = options(area, { repository: spec(`${server.url}/history/.git`), proxyUrl: proxy.url });
  await expect(openWorkspace(secure)).rejects.toMatchObject({ reason: "REPOSITORY_UNREACHABLE" });
  process.env["GIT_SSL_CAINFO"] = cert;
  try {
    await openWorkspace({ ...secure, paths: area.paths({ session: SESSION, base: BASE }) });
    expect(proxy.connects.length).toBeGreaterThan(0);
    proxy.status = 403;
    await expect(
      openWorkspace({ ...secure, paths: area.paths({ session: SESSION, base: BASE }) }),
    ).rejects.toMatchObject({
      reason: "REPOSITORY_UNREACHABLE",
      message: expect.stringContaining("connections to its host are not allowed (status 403"),
    });
  } finally {
    delete process.env["GIT_SSL_CAINFO"];
  }
});

test("tells how far it is", async () => {
  await using area = new WorkArea();
  area.source("many", (directory, git) => {
    for (let n = 0; n < 300; n++) writeFileSync(join(directory, `file-${n}`), `${Math.sin(n)}\n`.repeat(50));
    git("add", "-A");
    git("commit", "-qm", "x");
  });
  const seen: Progress[] = [];
  await openWorkspace(
    options(area, { repository: await area.spec("many"), onProgress: (progress) => seen.push(progress) }),
  );
  expect(seen[0]).toEqual({ stage: "Asking the remote" });
  expect(seen).toContainEqual({ stage: "Receiving objects", percent: 100 });
  expect(seen.length).toBeLessThan(40);
});

test("leaves an index that is newer than every file of a large checkout, so that git need not read them again", async () => {
  await using area = new WorkArea();
  area.source("large", (directory, git) => {
    const names = Array.from({ length: 60_000 }, (_, n) => `directory-${n % 100}/file-${n}`);
    const files = names.map((name) => `M 100644 inline ${name}\ndata ${name.length}\n${name}\n`);
    const commit = `commit refs/heads/main\ncommitter A <a@example.org> 0 +0000\ndata 1\nx\n${files.join("")}`;
    execFileSync("git", ["-C", directory, "fast-import", "--quiet"], { input: commit });
    git("reset", "-q", "HEAD");
  });
  const { workTree } = await area.open(await area.spec("large"));
  const seconds = (path: string): number => Math.floor(statSync(path).mtimeMs / 1000);
  const newest = readdirSync(workTree, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("/.git"))
    .map((entry) => seconds(join(entry.parentPath, entry.name)));
  expect(newest).toHaveLength(60_000);
  expect(seconds(join(workTree, ".git/index"))).toBeGreaterThan(newest.reduce((a, b) => Math.max(a, b)));
}, 120_000);

test("stops when told to, and leaves no process behind", async () => {
  await using area = new WorkArea();
  // Takes the connection and never answers.
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as { port: number };
  const controller = new AbortController();
  const reason = new Error("enough");
  // Nobody else's: other files' processes do not count here.
  const base = { uid: 26008, gid: 26008 };
  const place = { paths: area.paths({ session: SESSION, base }), baseIdentity: base };
  try {
    const opening = openWorkspace(
      options(area, { ...place, repository: spec(`http://127.0.0.1:${port}/x`), signal: controller.signal }),
    );
    await expect.poll(() => processesOf(base.uid).length).toBeGreaterThan(0);
    controller.abort(reason);
    await expect(opening).rejects.toBe(reason);
    await expect.poll(() => processesOf(base.uid)).toEqual([]);
  } finally {
    silent.close();
  }
});

test("lets nothing of the agent's own configuration in", async () => {
  await using area = new WorkArea();
  area.source("history", fillHistory);
  const home = join(area.directory, "home");
  mkdirSync(home);
  writeFileSync(
    join(home, ".gitconfig"),
    `[core]\n\tautocrlf = true\n[url "http://127.0.0.1:9/"]\n\tinsteadOf = http://\n`,
  );
  const repository = await area.spec("history");
  for (const name of ["HOME", "XDG_CONFIG_HOME"]) vi.stubEnv(name, home);
  vi.stubEnv("GIT_DIR", "/nowhere");
  vi.stubEnv("GIT_CONFIG_GLOBAL", join(home, ".gitconfig"));
  vi.stubEnv("http_proxy", "http://127.0.0.1:9");
  const workspace = await openWorkspace(options(area, { repository }));
  expect(readFileSync(join(workspace.workTree, "file.txt"), "utf8")).toBe("three\n");
});
