import { readFileSync } from "node:fs";
import { join } from "node:path";
import { recipeKey } from "../base/build-base.mjs";
import { chooseBase } from "../base/choose-base.mjs";
import { hashPaths, hashTexts } from "../setup/hash.mjs";
import { ask } from "../setup/run.mjs";
import { say, SetupError } from "../setup/say.mjs";
import { withContext } from "./context.mjs";
import { buildImage, inspectImage, pruneStages } from "./docker.mjs";
import { npmInputs } from "./npm-inputs.mjs";
import { packageVersion } from "./manifest.mjs";

/**
 * How an image is built: on which base, under which tags, and with `force` although there is one with the same inputs.
 * @typedef {{ base?: string | undefined, tags?: string[], force?: boolean | undefined }} ImageOptions
 */

const DOCKERFILE = "docker/agent.Dockerfile";
const TAGS = ["claudecluster/agent:latest"];
const AGENT_FILES = ["docker/dial-stdio", "docker/snapshot.json", "docker/try-agent.mjs", "dist/agent.cjs"];

/**
 * Builds the agent image unless one with the same inputs is there; returns the tags of what it built. What seldom
 * changes (Debian packages, Claude Code) is an image of its own, so that a new agent takes seconds.
 * @param {string} root the package's root: the directory above docker/
 * @param {ImageOptions & { claudeVersion?: string | undefined, atLeast?: string | undefined }} [options]
 */
export async function agentImage(root, { claudeVersion, atLeast, base, tags = TAGS, force = false } = {}) {
  const plan = inputs(root, { claudeVersion: await exactVersion(claudeVersion), atLeast, base });
  const current = await Promise.all(tags.map(inspectImage));
  if (!force && current.every((image) => image?.labels["dev.claudecluster.inputs"] === plan.agentKey)) return undefined;
  const tools = await inspectImage(plan.tools);
  if (force || tools?.labels["dev.claudecluster.tools"] !== plan.toolsKey)
    await buildTools(root, plan, { base, force });
  say(`building the agent image ${tags[0]}`);
  await withContext({ root, files: AGENT_FILES, texts: { Dockerfile: plan.agentStage } }, (context) =>
    buildImage({
      title: "agent image",
      context,
      dockerfile: join(context, "Dockerfile"),
      tags,
      args: { TOOLS: plan.tools, VERSION: packageVersion(root) },
      labels: { "dev.claudecluster.inputs": plan.agentKey },
    }),
  );
  await removeTools(current, plan.tools);
  return tags;
}

/**
 * Of images that were replaced, what they were built on, unless it is needed again.
 * @param {Awaited<ReturnType<typeof inspectImage>>[]} replaced
 * @param {string} needed
 */
async function removeTools(replaced, needed) {
  for (const image of replaced) {
    const tools = toolsName(image?.labels["dev.claudecluster.claude-version"] ?? "none");
    if (tools !== needed && image?.labels["dev.claudecluster.inputs"]) await ask("docker", ["image", "rm", tools]);
  }
}

/** @param {string} claudeVersion */
const toolsName = (claudeVersion) => `claudecluster/tools:${claudeVersion}`;

/**
 * @param {string} root
 * @param {ReturnType<typeof inputs>} plan
 * @param {{ base: string | undefined, force: boolean }} options
 */
async function buildTools(root, plan, { base, force }) {
  const from = base ?? (await chooseBase(root, { force }));
  const { npmrc, ca } = await npmInputs();
  say(`building the tools image on ${from}: Debian packages and Claude Code ${plan.claudeVersion}`);
  try {
    await withContext({ root, files: [DOCKERFILE, "docker/dial-stdio"], texts: { npmrc, "ca.crt": ca } }, (context) =>
      buildImage({
        title: "tools image",
        context,
        dockerfile: join(context, DOCKERFILE),
        target: "tools",
        tags: [plan.tools],
        args: { BASE: from, CLAUDE_CODE_VERSION: plan.claudeVersion },
        labels: { "dev.claudecluster.tools": plan.toolsKey },
        fresh: force,
        hint: "Packages come from the npm registry (npm config) and from Debian (http_proxy); see the lines above for which one failed.",
      }),
    );
  } finally {
    await pruneStages();
  }
}

/**
 * "latest" and ranges become the version that the registry means by them now.
 * @param {string | undefined} wanted
 * @returns {Promise<string | undefined>}
 */
async function exactVersion(wanted) {
  if (wanted === undefined || /^\d+\.\d+\.\d+/.test(wanted)) return wanted;
  const { code, stdout } = await ask("npm", ["view", `@anthropic-ai/claude-code@${wanted}`, "version", "--json"]);
  if (code !== 0)
    throw new SetupError(`The npm registry has no Claude Code ${wanted}.`, {
      hint: "Name a version: --claude-version 2.1.332",
    });
  return [JSON.parse(stdout)].flat().at(-1);
}

/**
 * What the image depends on. The last stage of the Dockerfile is cut off as a Dockerfile of its own.
 * @param {string} root
 * @param {{ claudeVersion: string | undefined, atLeast: string | undefined, base: string | undefined }} options
 */
function inputs(root, { claudeVersion, atLeast = "0", base = "" }) {
  const dockerfile = readFileSync(join(root, DOCKERFILE), "utf8");
  const cut = dockerfile.lastIndexOf("\nFROM ");
  const [, usual] = /^ARG CLAUDE_CODE_VERSION=(.+)$/m.exec(dockerfile) ?? [];
  if (usual === undefined) throw new Error(`${DOCKERFILE} names no version of Claude Code.`);
  const version = claudeVersion ?? (usual.localeCompare(atLeast, "en", { numeric: true }) < 0 ? atLeast : usual);
  const toolsKey = hashTexts([dockerfile.slice(0, cut), version, base, recipeKey(root)]);
  return {
    claudeVersion: version,
    tools: toolsName(version),
    toolsKey,
    agentKey: hashTexts([toolsKey, dockerfile.slice(cut), packageVersion(root), hashPaths(root, AGENT_FILES)]),
    agentStage: `ARG TOOLS\n${dockerfile.slice(cut + 1)}`,
  };
}
