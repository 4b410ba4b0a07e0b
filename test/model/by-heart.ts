import { CATALOG } from "./catalog.ts";
import { MarkerError, parseMarker } from "./marker.ts";
import type { Scenario } from "./scenario.ts";
import { smallEdit } from "./scenarios/small-edit.ts";

/**
 * A model that knows these texts by heart: a message that holds one of them plays its marker, so that people's words need
 * none. Takes the place of the default scenario.
 */
export function byHeart(markers: Readonly<Record<string, string>>): Scenario {
  return {
    ...smallEdit,
    plan(given, turn) {
      const [, text] = Object.entries(markers).find(([said]) => turn.text.includes(said)) ?? [];
      const marker = text === undefined ? undefined : parseMarker(text);
      if (marker === undefined) return smallEdit.plan(given, turn);
      const scenario = CATALOG.find(({ name }) => name === marker.name);
      if (scenario === undefined) throw new MarkerError(`There is no scenario "${marker.name}".`);
      return scenario.plan(marker, { ...turn, json: marker.json });
    },
  };
}
