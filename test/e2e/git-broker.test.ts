import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { ContainerSpecSchema, RepositorySpecSchema, Session_State, SessionSpecSchema } from "../../proto/index.ts";
import { git, SMALL_REPOSITORY } from "../model/small-repository.ts";
import { makeCertificate } from "../support/certificate.ts";
import { startGitServer } from "../support/git-server.ts";
import { startHostRig } from "../support/rig.ts";
import { eachEvent } from "../support/each-event.ts";

test("a session clones, fetches and pushes a private repository over https, to claude/* only, with a token that it never sees", async () => {
  const token = `ghp-${randomBytes(24).toString("hex")}`;
  const certificate = await makeCertificate();
  const place = await mkdtemp(join(tmpdir(), "claudecluster-git-broker-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(place, { recursive: true }));
  await writeFile(join(place, "ca.pem"), certificate.cert);
  const users: Record<string, string> = { private: "me", shared: "me", other: "somebody" };
  const login = (repository: string) => users[repository] && `${users[repository]}:${token}`;
  const server = stack.use(await startGitServer({ tls: certificate, login }));
  const uri = await server.addRepository("private", SMALL_REPOSITORY);
  await server.addRepository("public", { "lib.txt": "a library\n" });
  await server.addRepository("shared", { "lib.txt": "a private library\n" });
  await server.addRepository("other", { "secret.txt": "not yours\n" });
  const origin = new URL(uri).origin;
  const authority = new URL(uri).host;
  const rig = stack.use(
    await startHostRig({
      config: {
        git_credentials: { [authority]: { username: "me", token } },
        git_repositories: [`${origin}/shared.git`],
      },
      env: { NODE_EXTRA_CA_CERTS: join(place, "ca.pem") },
    }),
  );
  const commands = [
    "git config user.email a@b.c; git config user.name A; echo new > new.txt; git add new.txt; git commit -qm 'Add a file'; git push origin HEAD:refs/heads/claude/new 2>&1",
    "git push origin HEAD:refs/heads/main 2>&1; git push origin HEAD:refs/heads/claude/x HEAD:refs/heads/main 2>&1; git push origin :refs/heads/claude/new 2>&1",
    `git clone -q ${origin}/public.git /tmp/lib 2>&1; cat /tmp/lib/lib.txt; git submodule add -q ${origin}/shared.git shared 2>&1; cat shared/lib.txt`,
    `git clone -q ${origin}/other.git /tmp/other 2>&1; git push ${origin}/public.git HEAD:refs/heads/claude/y 2>&1`,
    "git fetch -q origin claude/new 2>&1 && git log --oneline -1 FETCH_HEAD; git config remote.origin.url; env",
    `NO_PROXY= no_proxy= curl -sS -k https://${authority}/ 2>&1; curl -sS http://127.0.0.1:9418/https/${authority}/private.git/HEAD`,
  ];
  const calls = commands.map((command) => ({ name: "Bash", input: { command } }));
  const { id } = await rig.sessions.create({
    spec: create(SessionSpecSchema, {
      task: `[scenario: call-tools ${JSON.stringify(calls)}]`,
      repository: create(RepositorySpecSchema, { uri }),
      timeout: durationFromMs(100_000),
    }),
    container: create(ContainerSpecSchema),
  });
  const outputs: string[] = [];
  const refused: string[] = [];
  const events: string[] = [];
  for await (const { event } of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(120_000) }),
  )) {
    events.push(JSON.stringify(event, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)));
    if (event.case === "toolUseFinished") outputs.push(event.value.output);
    if (event.case === "egressDecided" && !event.value.allowed) {
      refused.push(`${event.value.destination} ${event.value.reason}`);
    }
  }
  const session = await rig.sessions.get(id);
  expect(session.state, JSON.stringify(session.result?.outcome.value)).toBe(Session_State.SUCCEEDED);
  const refs = await git(server.directoryOf("private"), "for-each-ref", "--format=%(refname)");
  const ours = refs.split("\n").filter((ref) => ref.includes("claude"));

  expect(outputs[0]).toContain("HEAD -> claude/new");
  expect(ours).toEqual(["refs/heads/claude/new"]);
  expect(outputs[1]).toContain("ClaudeCluster refused this push: pushes go to refs/heads/claude/* only");
  expect(outputs[1]).toContain("branches are not deleted from this container");
  expect(outputs[2]).toContain("a library");
  expect(outputs[2]).toContain("a private library");
  expect(outputs[3]).toContain("ClaudeCluster: there is no credential for");
  expect(outputs[3]).toContain("this session may push only to its own repositories");
  expect(outputs[4]).toContain("Add a file");
  // Its origin is what it was cloned from; only git's way there is another one.
  expect(outputs[4]).toContain(uri);
  expect(outputs[5]).toContain("403");
  expect(outputs[5]).toContain("only git's own requests are passed on");
  expect(refused.join("\n")).toContain("refs/heads/main");
  for (const text of [...outputs, ...events]) expect(text).not.toContain(token);
});
