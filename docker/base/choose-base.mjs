import { work } from "../setup/run.mjs";
import { SetupError, say } from "../setup/say.mjs";
import { inspectImage } from "../image/docker.mjs";
import { buildBase, OWN_BASE, recipeKey } from "./build-base.mjs";

const PUBLIC_BASE = "node:24-bookworm-slim";
const PROBE_MS = 20_000;

/**
 * Names the base image to build on: the public one where it is here or can be pulled, else one of our own, made here.
 * Which of the two is on this machine is also the memory of the answer, so that Docker Hub is probed once.
 * @param {string} root
 * @param {{ force?: boolean }} [options]
 */
export async function chooseBase(root, { force = false } = {}) {
  if (!force && (await inspectImage(PUBLIC_BASE))) return PUBLIC_BASE;
  const own = await inspectImage(OWN_BASE);
  if (!force && own?.labels["dev.claudecluster.recipe"] === recipeKey(root)) return OWN_BASE;
  if (await pull(PUBLIC_BASE)) return PUBLIC_BASE;
  await buildBase(root);
  return OWN_BASE;
}

/**
 * The registry has as long as the probe to say its first line; a slow download after that is fine.
 * @param {string} reference
 */
async function pull(reference) {
  say(`pulling ${reference}`);
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), PROBE_MS);
  const step = (/** @type {string} */ line) => {
    clearTimeout(timer);
    return line;
  };
  try {
    await work("docker", ["pull", reference], { title: "docker pull", step, signal: silence.signal });
    return true;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say("  not available here: building an equivalent base image");
    return false;
  } finally {
    clearTimeout(timer);
  }
}
