import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { isMetadataAddress, isOwnAddress, isPublicAddress, type OwnNetworks } from "./public-address.ts";

/** Rules for where a session's connections may go. Destinations are "host:port", in lower case. */
export interface EgressRules {
  /** Whether every public host is allowed, and not only the listed ones. Mail ports need a listed one. */
  open: boolean;
  /** Listed destinations. They must resolve to public addresses. */
  allowed: ReadonlySet<string>;
  /** Listed destinations that the user says are on his own network. They may be anywhere but on the link. */
  allowedPrivate: ReadonlySet<string>;
  /** Networks of this machine. Default: those that it has at that time. */
  ownNetworks?: OwnNetworks;
}

/** Destination that was looked up: whether it may be dialled, and at which address. */
export type Destination =
  /** The address that was checked is the one to be dialled. Undefined: only the proxy knows it. */
  { host: string; port: number; address: string | undefined } | { refused: string };

/** Function that resolves a name to all its addresses. */
export type Resolve = (host: string) => Promise<string[]>;

const systemResolve: Resolve = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

/** Returns "host:port" in the form of the rules. Undefined: the text is no such thing. */
export function parseAuthority(authority: string): string | undefined {
  const match = /^([a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\]):(\d{1,5})$/.exec(authority.toLowerCase());
  if (match === null) return undefined;
  const port = Number(match[2]);
  if (port < 1 || port > 65535) return undefined;
  return `${match[1]!.replace(/\.$/, "")}:${port}`;
}

/** Returns the "host:port" that an http or https URL leads to, in the form of the rules. */
export function authorityOf({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`;
}

/** Ports by which mail is sent: what has no list is no place to send it from. */
const MAIL_PORTS = new Set([25, 465, 587]);

/**
 * Looks a destination up once, and returns the address to dial, or why none is allowed. If a proxy leads there, the
 * proxy resolves the name: the addresses here are checked all the same, and a listed name need not resolve here. Never
 * rejects.
 */
export async function findDestination(
  authority: string,
  rules: EgressRules,
  { resolve = systemResolve, proxied = false }: { resolve?: Resolve | undefined; proxied?: boolean } = {},
): Promise<Destination> {
  const mayBePrivate = rules.allowedPrivate.has(authority);
  const { host, port } = split(authority);
  if (!mayBePrivate && !rules.allowed.has(authority)) {
    if (!rules.open)
      return {
        refused: isInside(host) ? "not on the list; reach your own servers without the proxy" : "not on the list",
      };
    if (MAIL_PORTS.has(port)) return { refused: "mail may be sent to listed destinations only" };
  }
  let addresses: string[];
  try {
    addresses = isIP(host) === 0 ? await resolve(host) : [host];
  } catch {
    const listed = mayBePrivate || rules.allowed.has(authority);
    return proxied && listed ? { host, port, address: undefined } : { refused: "the name does not resolve" };
  }
  // One that is not public among others is somebody's try to get in by a name.
  const wrong = addresses.find((each) => (mayBePrivate ? isMetadataAddress(each) : !isPublicAddress(each)));
  if (wrong !== undefined) {
    return { refused: `it resolves to ${wrong}, which is no public address` };
  }
  const own = mayBePrivate ? undefined : addresses.find((each) => isOwnAddress(each, rules.ownNetworks));
  if (own !== undefined) return { refused: `it resolves to ${own}, which is this machine or beside it` };
  const [address] = addresses;
  return address === undefined ? { refused: "the name does not resolve" } : { host, port, address };
}

/** Whether a container that asks for it means itself. */
function isInside(host: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|0\.0\.0\.0|::1?|(?:.+\.)?localhost)$/.test(host);
}

function split(authority: string): { host: string; port: number } {
  const colon = authority.lastIndexOf(":");
  return { host: authority.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(authority.slice(colon + 1)) };
}
