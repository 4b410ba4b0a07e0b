import { nearestName } from "../nearest-name.ts";
import { OTHER_VARIABLES, type Setting, SETTINGS, VARIABLES } from "./settings.ts";

const PREFIX = "CLAUDECLUSTER_";
const KNOWN = Object.values<Setting>(SETTINGS)
  .flatMap(({ variables = [] }) => variables)
  .concat(Object.keys(VARIABLES))
  .filter((name) => name.startsWith(PREFIX))
  .map((name) => name.slice(PREFIX.length));

/**
 * Returns a sentence for each variable that looks like a setting and is none, with the most similar setting: a misspelt
 * limit would be silently missing. No sentence repeats a value.
 */
export function describeUnknownVariables(env: NodeJS.ProcessEnv): string[] {
  return Object.keys(env).flatMap((variable) => {
    const name = variable.slice(PREFIX.length);
    if (!variable.startsWith(PREFIX) || KNOWN.includes(name) || OTHER_VARIABLES.includes(name)) return [];
    const nearest = nearestName(name, KNOWN);
    const hint = nearest === undefined ? "host/README.md lists them." : `Did you mean ${PREFIX}${nearest}?`;
    return [`There is no setting ${variable}. ${hint}`];
  });
}
