import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

// node test/versions/main.ts [version…]
//
// Runs tests with other versions of Claude Code, as the parent and in the container, and prints what works as a table.

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Half a year old when this was written, and the pinned one. */
const VERSIONS = ["2.1.157", "2.1.332"];
/** Each drives a real Claude Code as the parent, or one in a container, or both. */
const FILES = ["parent", "parent-transports", "reopened-parent", "terminal", "session", "continuation", "early-claude"];

interface Report {
  testResults: { assertionResults: { title: string; status: string; failureMessages: string[] }[] }[];
}

const run = promisify(execFile);

/** Runs the tests with one version on both sides, and returns by title whether each passed. */
async function tryVersion(version: string, directory: string): Promise<Map<string, boolean>> {
  const place = join(directory, version);
  await mkdir(place);
  // A binary for each platform; the package itself only fetches it.
  const name = `@anthropic-ai/claude-code-${process.platform}-${process.arch}@${version}`;
  const { stdout } = await run("npm", ["pack", "--silent", name], { cwd: place });
  await run("tar", ["-xzf", stdout.trim()], { cwd: place });
  const image = `claudecluster/agent:claude-${version}`;
  await writeFile(
    join(place, "Dockerfile"),
    "FROM claudecluster/agent:latest\nCOPY package/claude /usr/local/bin/claude\n",
  );
  await writeFile(join(place, ".dockerignore"), "*.tgz\n");
  await run("docker", ["build", "--quiet", "--tag", image, place]);
  try {
    const report = join(place, "report.json");
    const files = FILES.map((file) => `test/e2e/${file}.test.ts`);
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    const child = spawn("npx", ["vitest", "run", "--project", "e2e", ...reporters, ...files], {
      cwd: ROOT,
      stdio: ["ignore", 2, 2],
      env: { ...process.env, CLAUDE_PROGRAM: join(place, "package/claude"), CLAUDECLUSTER_IMAGE: image },
    });
    await once(child, "close");
    const { testResults } = JSON.parse(await readFile(report, "utf8")) as Report;
    return new Map(
      testResults.flatMap((file) => file.assertionResults).map(({ title, status }) => [title, status === "passed"]),
    );
  } finally {
    await run("docker", ["image", "rm", image]);
  }
}

const versions = process.argv.length > 2 ? process.argv.slice(2) : VERSIONS;
const directory = await mkdtemp(join(tmpdir(), "claudecluster-versions-"));
try {
  const outcomes: Map<string, boolean>[] = [];
  for (const version of versions) outcomes.push(await tryVersion(version, directory));
  const titles = [...new Set(outcomes.flatMap((outcome) => [...outcome.keys()]))];
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  process.stdout.write(row(["Claude Code on both sides", ...versions]) + row(["---", ...versions.map(() => "---")]));
  for (const title of titles)
    process.stdout.write(row([title, ...outcomes.map((outcome) => (outcome.get(title) === true ? "yes" : "no"))]));
  if (outcomes.some((outcome) => [...outcome.values()].includes(false))) process.exitCode = 1;
} finally {
  await rm(directory, { recursive: true, force: true });
}
