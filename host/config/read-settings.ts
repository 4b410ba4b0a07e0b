import { AppError, cutChars } from "../../proto/index.ts";
import { expected } from "./config-issue.ts";
import { type ConfigFile, type Setting, SETTINGS, type Settings } from "./settings.ts";

/**
 * Returns the value of each setting: the environment's, otherwise config.json's, otherwise the default. Throws an error
 * with the setting's reason.
 */
export function readSettings(env: NodeJS.ProcessEnv, file: ConfigFile): Settings {
  const settings = Object.entries<Setting>(SETTINGS).map(([key, setting]) => {
    const configured: unknown = file[key as keyof ConfigFile];
    return [key, readVariable(env, setting, configured) ?? configured ?? setting.default];
  });
  return Object.fromEntries(settings) as Settings;
}

function readVariable(env: NodeJS.ProcessEnv, setting: Setting, configured: unknown): unknown {
  const { variables = [], member, schema, reason = "NUMBER_INVALID" } = setting;
  const name = variables.find((variable) => env[variable] !== undefined);
  if (name === undefined) return undefined;
  const given = env[name]!;
  const value =
    member === undefined ? fromText(schema.def.type, given) : { ...(configured as object), [member]: Number(given) };
  const parsed = schema.optional().safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError(reason, `${name} is "${cutChars(given, 40)}".`, {
    help: `It must be ${expected(parsed.error.issues[0]!)}.`,
  });
}

function fromText(type: Setting["schema"]["def"]["type"], text: string): unknown {
  switch (type) {
    case "array":
      return text
        .split(",")
        .map((entry) => entry.trim())
        .filter((entry) => entry !== "");
    case "boolean":
      return text === "1";
    case "number":
      return Number(text);
    case "union":
      // A credential has readers of its own.
      return undefined;
    default:
      return text;
  }
}
