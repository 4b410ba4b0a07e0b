import { join } from "node:path";
import { recipeKey } from "../base/build-base.mjs";
import { chooseBase } from "../base/choose-base.mjs";
import { hashPaths, hashTexts } from "../setup/hash.mjs";
import { say } from "../setup/say.mjs";
import { withContext } from "./context.mjs";
import { buildImage, inspectImage } from "./docker.mjs";
import { packageVersion } from "./manifest.mjs";

/** @import { ImageOptions } from "./agent-image.mjs" */

const DOCKERFILE = "docker/host.Dockerfile";
const FILES = [DOCKERFILE, "dist/host"];

/**
 * Builds the host image unless one with the same inputs is there; returns the tags of what it built.
 * @param {string} root the package's root: the directory above docker/
 * @param {ImageOptions} [options]
 */
export async function hostImage(root, { base, tags = defaultTags(root), force = false } = {}) {
  const key = hashTexts([packageVersion(root), base ?? "", recipeKey(root), hashPaths(root, FILES)]);
  const current = await Promise.all(tags.map(inspectImage));
  if (!force && current.every((image) => image?.labels["dev.claudecluster.inputs"] === key)) return undefined;
  const from = base ?? (await chooseBase(root, { force }));
  say(`building the host image ${tags[0]} on ${from}`);
  await withContext({ root, files: FILES }, (context) =>
    buildImage({
      title: "host image",
      context,
      dockerfile: join(context, DOCKERFILE),
      tags,
      args: { BASE: from, VERSION: packageVersion(root) },
      labels: { "dev.claudecluster.inputs": key },
      fresh: force,
    }),
  );
  return tags;
}

/** @param {string} root */
function defaultTags(root) {
  return [`claudecluster/host:${packageVersion(root)}`, "claudecluster/host:latest"];
}
