import { setTimeout as sleep } from "node:timers/promises";
import { ask, work } from "../setup/run.mjs";
import { say, SetupError } from "../setup/say.mjs";

/**
 * An image to build: from which Dockerfile and context, up to which stage, under which tags. `fresh` uses no cache.
 * @typedef {{ title: string, context: string, dockerfile: string, tags: string[], target?: string,
 *   args?: Record<string, string>, labels?: Record<string, string>, fresh?: boolean, hint?: string }} Build
 */

const PROXIES = ["http_proxy", "https_proxy", "no_proxy"].flatMap((name) => [name, name.toUpperCase()]);

/**
 * Returns id and labels of a local image, or undefined.
 * @param {string} reference
 * @returns {Promise<{ id: string, labels: Record<string, string> } | undefined>}
 */
export async function inspectImage(reference) {
  const { code, stdout } = await ask("docker", [
    "image",
    "inspect",
    "--format",
    "{{.Id}} {{json .Config.Labels}}",
    reference,
  ]);
  if (code !== 0) return undefined;
  const space = stdout.indexOf(" ");
  return { id: stdout.slice(0, space), labels: JSON.parse(stdout.slice(space + 1)) ?? {} };
}

/**
 * Builds an image and gives it its tags; an image that thereby loses its last tag is removed, unless a container uses it:
 * then a later build removes it.
 * Classic builder first: it works without the buildx plug-in. An engine that has none left never prints a step of it,
 * and is asked again for its own default.
 * @param {Build} build
 */
export async function buildImage(build) {
  const before = await Promise.all(build.tags.map(inspectImage));
  let steps = 0;
  const step = (/** @type {string} */ line) => {
    const found = /^(Step \d+\/\d+|#\d+ \[.*\d+\/\d+\])/.test(line);
    if (found) steps++;
    return found ? line : undefined;
  };
  const run = (/** @type {string[]} */ args, /** @type {NodeJS.ProcessEnv} */ variables) =>
    work("docker", args, { title: build.title, hint: build.hint, step, env: { ...process.env, ...variables } });
  try {
    await run(["build", "--force-rm", ...buildArguments(build)], { DOCKER_BUILDKIT: "0" });
  } catch (error) {
    if (steps > 0 || !(error instanceof SetupError)) throw error;
    await run(["build", ...buildArguments(build)], {});
  }
  for (const id of new Set(before.flatMap((image) => (image ? [image.id] : [])))) await removeUntagged(id);
  await pruneSuperseded();
}

/** Removes what a container used when it lost its last tag, and no longer does. Younger ones may be of a build under way. */
async function pruneSuperseded() {
  await ask("docker", [
    "image",
    "prune",
    "--force",
    "--filter",
    "label=dev.claudecluster.inputs",
    "--filter",
    "until=1h",
  ]);
}

/** @param {Build} build */
function buildArguments({ context, dockerfile, tags, target, args = {}, labels = {}, fresh = false }) {
  return [
    ...["--file", dockerfile, ...(fresh ? ["--no-cache"] : []), ...(target ? ["--target", target] : [])],
    ...tags.flatMap((tag) => ["--tag", tag]),
    ...Object.entries(labels).flatMap(([name, value]) => ["--label", `${name}=${value}`]),
    ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
    // Without a value the client takes it from its environment, and nothing of it is seen in the process list or the image.
    ...PROXIES.filter((name) => process.env[name]).flatMap((name) => ["--build-arg", name]),
    context,
  ];
}

/** @param {string} id */
async function removeUntagged(id) {
  const { code, stdout } = await ask("docker", ["image", "inspect", "--format", "{{len .RepoTags}}", id]);
  if (code === 0 && stdout === "0") await ask("docker", ["image", "rm", id]);
}

/** Removes the images of build stages that held secrets of this machine; a build that was interrupted may need a moment to let go. */
export async function pruneStages() {
  const filter = ["--filter", "label=dev.claudecluster.stage=download"];
  const options = { signal: AbortSignal.timeout(60_000) };
  for (let attempt = 0; attempt < 10; attempt++) {
    await ask("docker", ["image", "prune", "--force", ...filter], options);
    const left = await ask("docker", ["image", "ls", "--quiet", "--filter", "dangling=true", ...filter], options);
    if (left.stdout === "") return;
    await sleep(500);
  }
  say("An image of the download stage could not be removed: docker image prune");
}
