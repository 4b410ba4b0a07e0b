import type { ContainerCreateOptions } from "dockerode";
import * as z from "zod";
import { fillConfig } from "../runtime/docker/container-config.ts";
import { containerName, isContainerKey } from "../runtime/docker/container-name.ts";
import { LABELS, NO_SESSION_UID, SUPPLY_NAME, supplyLabelsOf } from "../runtime/docker/labels.ts";
import { differs, firstDifference, OWNER_LABELS } from "./check-create.ts";

/** The most that one supply can hold. */
const MAX_SUPPLY_BYTES = 4 * 2 ** 30;

const Volume = z.object({
  Name: z.string().regex(SUPPLY_NAME),
  Labels: z.object({ ...OWNER_LABELS, [LABELS.supplyBytes]: z.string().regex(/^[1-9][0-9]{0,10}$/) }),
});

const Fill = z.object({
  Image: z.string(),
  Labels: z.object({
    ...OWNER_LABELS,
    [LABELS.container]: z.string().refine(isContainerKey),
    [LABELS.uid]: z.literal(String(NO_SESSION_UID)),
  }),
  HostConfig: z.object({ Mounts: z.tuple([z.object({ Source: z.string().regex(SUPPLY_NAME) })]) }),
});

/** Returns the size that a supply is to have at most, by its labels. 0: they do not say it. */
export function supplyBytes(labels: Readonly<Record<string, string>> | null | undefined): number {
  return Number(labels?.[LABELS.supplyBytes]) || 0;
}

/** Returns the volume to create for a supply, made anew. Throws ENGINE_CALL_REFUSED for one that differs from it. */
export function checkVolume(body: unknown): { Name: string; Labels: Record<string, string> } {
  const { data } = Volume.safeParse(body);
  if (data === undefined) throw differs("");
  const { Name, Labels: labels } = data;
  const bytes = supplyBytes(labels);
  if (bytes > MAX_SUPPLY_BYTES) throw differs(`Labels.${LABELS.supplyBytes}`);
  const owner = { hostId: labels[LABELS.host], version: labels[LABELS.version] };
  const volume = { Name, Labels: supplyLabelsOf(owner, { putBytes: bytes }) };
  const difference = firstDifference(body, volume, "");
  if (difference !== undefined) throw differs(difference);
  return volume;
}

/** Returns whether a create asks for a container by way of which a supply is filled. */
export function fillsSupply(body: unknown): boolean {
  return Fill.safeParse(body).success;
}

/**
 * Returns the configuration of a container by way of which a supply is filled, made anew, and that supply. Throws
 * ENGINE_CALL_REFUSED for one that differs from it.
 */
export function checkFill(
  body: unknown,
  { name }: { name: string },
): { config: ContainerCreateOptions; supply: string } {
  const { Image: image, Labels: labels, HostConfig } = Fill.parse(body);
  const supply = HostConfig.Mounts[0].Source;
  const key = labels[LABELS.container];
  if (name !== containerName(key)) throw differs("name");
  const owner = { hostId: labels[LABELS.host], version: labels[LABELS.version] };
  const config = fillConfig({ key, image, supply, owner });
  const difference = firstDifference(body, config, "");
  if (difference !== undefined) throw differs(difference);
  return { config, supply };
}
