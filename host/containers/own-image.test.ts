import { expect, test } from "vitest";
import { AppError } from "../../proto/index.ts";
import type { ImageFacts } from "../runtime/runtime.ts";
import type { BuildOptions } from "./build-image.ts";
import { OwnImage } from "./own-image.ts";

const IMAGE = "claudecluster/agent:latest";
const signal = AbortSignal.timeout(20_000);

/** An engine with these images, by version of the agent, and builds that the test ends. */
function engine(images: Record<string, string> = {}) {
  const facts = new Map<string, ImageFacts>();
  const put = (image: string, version: string) =>
    facts.set(image, {
      id: "sha256:1",
      createTimeMs: 0,
      labels: { "dev.claudecluster.agent-version": version, "dev.claudecluster.claude-version": "2.1.400" },
    });
  for (const [image, version] of Object.entries(images)) put(image, version);
  const builds: (Omit<BuildOptions, "base" | "proxies"> & { end: (error?: Error) => void })[] = [];
  const own = new OwnImage({
    version: "2.0.0",
    runtime: { inspectImage: (image) => Promise.resolve(facts.get(image)) },
    build: (options) =>
      new Promise((resolve, reject) =>
        builds.push({
          ...options,
          end: (error) => {
            if (error !== undefined) return reject(error);
            put(options.image, "2.0.0");
            resolve();
          },
        }),
      ),
  });
  return { own, builds, facts };
}

/** Somebody who needs the image: what they are told, and when they have it. */
function need(own: OwnImage, image = IMAGE, options: { signal?: AbortSignal } = {}) {
  const told: string[] = [];
  const got = own.provide(image, { signal, ...options, onProgress: ({ message }) => told.push(message) });
  got.catch(() => {});
  return { told, got };
}

test("an image that is missing is built once for all who need it, who are told what is done", async () => {
  const { own, builds } = engine();
  const [first, second] = [need(own), need(own)];
  await expect.poll(() => second.told).toHaveLength(1);
  expect(builds).toHaveLength(1);
  builds[0]!.onLine("tools image: 35 s, Step 5/9");
  const third = need(own);
  await expect.poll(() => third.told).toEqual(["tools image: 35 s, Step 5/9"]);
  builds[0]!.end();
  await Promise.all([first.got, second.got, third.got]);
  expect(first.told).toEqual(["being built, which takes the first session some minutes", ...third.told]);
  await need(own).got;
  expect(builds).toHaveLength(1);
});

test.each([
  ["1.9.0", true],
  ["2.0.0", false],
  ["2.1.0", false],
  ["no version", false],
])("an image of version %s is built anew: %s, and its Claude Code gets no older", async (version, anew) => {
  const { own, builds } = engine({ [IMAGE]: version });
  const { told, got } = need(own);
  if (!anew) await got;
  else await expect.poll(() => told).toEqual(["being built anew for version 2.0.0"]);
  expect(builds.map(({ atLeast }) => atLeast)).toEqual(anew ? ["2.1.400"] : []);
});

test("an image of another name is the user's", async () => {
  const { own, builds } = engine();
  for (const image of ["my/agent:latest", "claudecluster/agent:1.9.0"]) await need(own, image).got;
  expect(builds).toEqual([]);
});

test("a build that fails tells everybody, and the next to come tries again; so it is once an image was lost", async () => {
  const { own, builds, facts } = engine();
  const [first, second] = [need(own), need(own)];
  await expect.poll(() => builds.length).toBe(1);
  builds[0]!.end(new AppError("IMAGE_BUILD_FAILED", "No room."));
  for (const { got } of [first, second]) await expect(got).rejects.toThrow("No room.");
  const third = need(own);
  await expect.poll(() => builds.length).toBe(2);
  builds[1]!.end();
  await third.got;
  facts.clear();
  expect([own.lost(IMAGE), own.lost(IMAGE), own.lost("my/agent")]).toEqual([true, false, false]);
  void need(own);
  await expect.poll(() => builds.length).toBe(3);
});

test("an older image is used for want of a newer one, and that is said", async () => {
  const { own, builds } = engine({ [IMAGE]: "1.9.0" });
  const { told, got } = need(own);
  await expect.poll(() => builds.length).toBe(1);
  builds[0]!.end(new AppError("IMAGE_BUILD_FAILED", "No room.", { help: "Make some." }));
  await got;
  expect(told.at(-1)).toBe("it stays as it was. No room. Make some.");
});

test("who no longer waits does not end a build, and the end of the host does", async () => {
  const { own, builds } = engine();
  const leaving = new AbortController();
  const left = need(own, IMAGE, { signal: leaving.signal });
  await expect.poll(() => builds.length).toBe(1);
  leaving.abort(new Error("stopped"));
  await expect(left.got).rejects.toThrow("stopped");
  expect(builds[0]!.signal.aborted).toBe(false);
  own[Symbol.dispose]();
  expect(builds[0]!.signal.aborted).toBe(true);
});
