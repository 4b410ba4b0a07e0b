import type { Check } from "./check.ts";
import { CHANGES } from "./checks/changes.ts";
import { COMMANDS } from "./checks/commands.ts";
import { CONNECTIONS } from "./checks/connections.ts";
import { CONTINUATION } from "./checks/continuation.ts";
import { CONTACT } from "./checks/contact.ts";
import { DECISIONS } from "./checks/decisions.ts";
import { EVENTS } from "./checks/events.ts";
import { ROLES } from "./checks/roles.ts";
import { START } from "./checks/start.ts";
import { TURNS } from "./checks/turns.ts";

/** Every check, in the order of agent/README.md. */
export const CATALOG: readonly Check[] = [
  ...CONTACT,
  ...START,
  ...EVENTS,
  ...ROLES,
  ...TURNS,
  ...DECISIONS,
  ...CHANGES,
  ...CONTINUATION,
  ...COMMANDS,
  ...CONNECTIONS,
];
