import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { claudeArguments } from "../../agent/claude/argv.ts";
import { completeSpec, ContainerSpecSchema, RepositorySpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { dockerGateway } from "../support/docker.ts";
import { eachEvent } from "../support/each-event.ts";
import { maskedRequests } from "../support/masked-requests.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const TASK = "[scenario: small-edit]";
const FILES = { ...SMALL_REPOSITORY, "CLAUDE.md": "Always greet in Latin.\n" };

/** All that the model is told otherwise than by hand, each with its reason. */
const DIFFERENCES = [
  {
    why: "The repository's settings stay out, and with them Claude Code's own way to its instructions: the user's import them.",
    ours:
      "Contents of /home/claude/.claude/CLAUDE.md (user's private global instructions for all projects):\n\n" +
      "@/workspace/repo/CLAUDE.md\n@/workspace/repo/.claude/CLAUDE.md\n\n" +
      "Contents of /workspace/repo/CLAUDE.md (user's private global instructions for all projects):",
    byHand: "Contents of /workspace/repo/CLAUDE.md (project instructions, checked into the codebase):",
  },
  {
    why: "Who commits: the session's repository names an author, a clone has that of its user.",
    ours: "\n\nGit user: Claude",
    byHand: "",
  },
];

let rig: HostRig;
beforeAll(async () => {
  rig = await startHostRig({ listen: await dockerGateway() });
});
afterAll(() => rig[Symbol.asyncDispose]());

/** Returns what is asked of the model meanwhile. */
async function asked(work: () => Promise<unknown>): Promise<string[]> {
  const before = rig.model.requests.length;
  await work();
  return maskedRequests(rig.model.requests.slice(before));
}

/** Clones into a container of the same image, which has the network and the key, and runs Claude there as a session does. */
async function runByHand(uri: string, claude: readonly string[]): Promise<void> {
  const message = { type: "user", message: { role: "user", content: TASK } };
  const script = 'git clone --quiet --depth 1 "$REPOSITORY" /workspace/repo && cd /workspace/repo && exec claude "$@"';
  const environment = {
    REPOSITORY: uri,
    ANTHROPIC_BASE_URL: rig.model.url,
    ANTHROPIC_API_KEY: rig.key,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  };
  const variables = Object.keys(environment).flatMap((name) => ["--env", name]);
  const directories = ["/workspace", "/home/claude"].flatMap((path) => [
    "--tmpfs",
    `${path}:rw,exec,uid=20999,gid=20999,mode=755`,
  ]);
  const user = ["--user", "20999:20999", "--env", "HOME=/home/claude", ...directories, ...variables];
  const image = process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest";
  const args = ["run", "--rm", "--interactive", ...user, "--entrypoint", "sh", image, "-c", script, "sh", ...claude];
  const running = promisify(execFile)("docker", args, { env: { ...process.env, ...environment } });
  running.child.stdin!.end(`${JSON.stringify(message)}\n`);
  await running;
}

/** Claude's arguments in a session, but for what keeps the repository's settings out and leads to the relay. */
function argumentsOf(decisionSeconds: number): string[] {
  const decisionTimeout = durationFromMs(decisionSeconds * 1000);
  const spec = completeSpec(create(SessionSpecSchema, { task: TASK, decisionTimeout, loadProjectSettings: true }));
  const args = claudeArguments(spec, { conversationId: crypto.randomUUID() }, { modelPort: 0 });
  args.splice(args.indexOf("--settings"), 2);
  return args;
}

async function runSession(uri: string, decisionSeconds: number): Promise<void> {
  const { id } = await rig.sessions.create({
    spec: create(SessionSpecSchema, {
      task: TASK,
      repository: create(RepositorySpecSchema, { uri }),
      decisionTimeout: durationFromMs(decisionSeconds * 1000),
    }),
    container: create(ContainerSpecSchema),
  });
  const signal = AbortSignal.timeout(60_000);
  for await (const { event } of eachEvent(rig.sessions.watch(id, { afterSequence: 0, signal }))) {
    if (event.case === "workspaceReady") expect(event.value.claudeStarted).toBe(true);
  }
}

test.each([
  { decisionSeconds: 0, who: "where nobody is asked" },
  { decisionSeconds: 600, who: "where somebody may be asked" },
])("a session's Claude asks the model exactly what one asks that is run by hand in a clone, $who", async (options) => {
  const { decisionSeconds } = options;
  const uri = await rig.git.addRepository(`by-hand-${decisionSeconds}`, FILES);
  const byHand = await asked(() => runByHand(uri, argumentsOf(decisionSeconds)));
  const ours = await asked(() => runSession(uri, decisionSeconds));
  expect(byHand.length).toBeGreaterThan(1);
  const asJson = (text: string) => JSON.stringify(text).slice(1, -1);
  const likened = ours.map((request) =>
    DIFFERENCES.reduce((text, { why, ours, byHand }) => {
      expect(text, why).toContain(asJson(ours));
      return text.replace(asJson(ours), () => asJson(byHand));
    }, request),
  );
  expect(likened).toEqual(byHand);
  for (const told of ["Always greet in Latin.", "Current branch: main", '"name":"Bash"', "/workspace/repo"]) {
    expect(byHand[0]).toContain(told);
  }
});
