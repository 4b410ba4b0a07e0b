import type { ContainerCreateOptions } from "dockerode";
import * as z from "zod";
import { containerConfig, MAX_PREPARES_CHARS, PREPARE_ENTRY } from "../runtime/docker/container-config.ts";
import { containerName, isContainerKey } from "../runtime/docker/container-name.ts";
import { LABELS, SUPPLY_NAME } from "../runtime/docker/labels.ts";
import { printable } from "../runtime/docker/printable.ts";
import { isSessionUid } from "../runtime/docker/session-uid.ts";
import { refused } from "./refused.ts";

const MIB = 2 ** 20;

/** Labels by which a container or volume is a host's. */
export const OWNER_LABELS = {
  [LABELS.host]: z.string().regex(/^[\w.@-]{1,128}$/),
  [LABELS.version]: z.string().regex(/^[\w.+-]{1,64}$/),
};

/** All that may differ between two containers; the rest follows from it. */
const Variables = z.object({
  Image: z.string(),
  Env: z.array(z.string()).transform((entries) => {
    const entry = entries.find((each) => each.startsWith(PREPARE_ENTRY));
    return entry?.slice(PREPARE_ENTRY.length, PREPARE_ENTRY.length + MAX_PREPARES_CHARS);
  }),
  Labels: z.object({
    [LABELS.container]: z.string().refine(isContainerKey),
    [LABELS.uid]: z.string().transform(Number).refine(isSessionUid),
    ...OWNER_LABELS,
  }),
  HostConfig: z.object({
    Memory: z
      .int()
      .min(16 * MIB)
      .max(2 ** 20 * MIB),
    Mounts: z.tuple([z.object({ Source: z.string().regex(SUPPLY_NAME) })]).optional(),
    NanoCpus: z.int().min(1e7).max(1024e9),
    Tmpfs: z.object({
      "/workspace": z.string().transform((options) => Number(/,size=([1-9][0-9]{0,9})k,/.exec(options)?.[1])),
    }),
  }),
});

/** Facts that a create is checked against. */
export interface CreateRules {
  /** Name of the container. */
  name: string;
  /** Paths at which the image declares volumes. */
  imageVolumes: string[];
}

/** Returns the image that a create asks for. Throws ENGINE_CALL_REFUSED. */
export function imageOf(body: unknown): string {
  return readVariables(body).Image;
}

/**
 * Returns the configuration to create a container with. It is made anew by the host's own code, from the few values in
 * which containers differ, each within bounds. Throws ENGINE_CALL_REFUSED for a create that differs from it.
 */
export function checkCreate(body: unknown, { name, imageVolumes }: CreateRules): ContainerCreateOptions {
  const { Image: image, Env: prepares, Labels: labels, HostConfig: limits } = readVariables(body);
  const workspaceKib = limits.Tmpfs["/workspace"];
  if (!(workspaceKib <= Math.max(1024, limits.Memory / 1024 + 1))) throw differs("HostConfig.Tmpfs./workspace");
  const key = labels[LABELS.container];
  if (name !== containerName(key)) throw differs("name");
  const config = containerConfig({
    key,
    shape: {
      image,
      memoryBytes: limits.Memory,
      cpuCount: limits.NanoCpus / 1e9,
      workspaceSizeBytes: workspaceKib * 1024,
      prepares,
      ...(limits.Mounts !== undefined && { supply: limits.Mounts[0].Source }),
    },
    sessionUid: labels[LABELS.uid],
    owner: { hostId: labels[LABELS.host], version: labels[LABELS.version] },
    imageVolumes,
    limitsCpu: true,
    filtersSystemCalls: true,
  });
  const difference = firstDifference(body, config, "");
  if (difference !== undefined) throw differs(difference);
  return config;
}

function readVariables(body: unknown): z.infer<typeof Variables> {
  const { data, error } = Variables.safeParse(body);
  if (data !== undefined) return data;
  throw differs(error?.issues[0]?.path.join(".") ?? "");
}

/** Returns the error for what differs from what the host makes, at this path. */
export function differs(path: string): Error {
  const where = path === "" ? "The body" : printable(path, 100);
  return refused(`${where} is not what a session's container has.`);
}

/** Names the first place where one is not the other; case counts, as it does not for the engine. */
export function firstDifference(given: unknown, expected: unknown, path: string): string | undefined {
  if (Object.is(given, expected)) return undefined;
  if (!isObject(given) || !isObject(expected) || Array.isArray(given) !== Array.isArray(expected)) return path;
  for (const key of new Set([...Object.keys(given), ...Object.keys(expected)])) {
    const at = path === "" ? key : `${path}.${key}`;
    if (!Object.hasOwn(given, key) || !Object.hasOwn(expected, key)) return at;
    const difference = firstDifference(given[key], expected[key], at);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
