import { BlockList, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/**
 * Addresses that lead to this machine, its network or nobody, also inside of other addresses:
 * https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry
 * Networks for documentation are not among them: laboratories and test networks use them as the internet.
 */
const NOT_PUBLIC = { ipv4: new BlockList(), ipv6: new BlockList() };
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  NOT_PUBLIC.ipv4.addSubnet(network, prefix, "ipv4");
}
// All but the unicast addresses of the internet, and of those what carries IPv4 addresses or is set aside.
for (const [network, prefix] of [
  ["::", 3],
  ["4000::", 2],
  ["8000::", 1],
  ["2001::", 23],
  ["2002::", 16],
  ["3fff::", 20],
] as const) {
  NOT_PUBLIC.ipv6.addSubnet(network, prefix, "ipv6");
}

/** Addresses of the link itself, of which clouds give out credentials. */
const LINK_LOCAL = new BlockList();
// Node holds ::ffff:0:0/96 against these too.
LINK_LOCAL.addSubnet("169.254.0.0", 16, "ipv4");
LINK_LOCAL.addAddress("100.100.100.200", "ipv4");
LINK_LOCAL.addSubnet("fe80::", 10, "ipv6");
LINK_LOCAL.addSubnet("fd00:ec2::", 32, "ipv6");
// The same inside of others: compatible, translated, NAT64, 6to4.
for (const prefix of ["::", "::ffff:0:", "64:ff9b::"]) {
  LINK_LOCAL.addSubnet(`${prefix}a9fe:0`, 112, "ipv6");
  LINK_LOCAL.addAddress(`${prefix}6464:64c8`, "ipv6");
}
LINK_LOCAL.addSubnet("2002:a9fe::", 32, "ipv6");
LINK_LOCAL.addSubnet("2002:6464:64c8::", 48, "ipv6");
// Where a network's own NAT64 keeps the address in it is not known: https://www.rfc-editor.org/rfc/rfc8215
LINK_LOCAL.addSubnet("64:ff9b:1::", 48, "ipv6");

/** Networks of this machine's interfaces: its addresses, each with the length of its network's prefix. */
export type OwnNetworks = readonly { address: string; prefix: number }[];

/** Returns the networks that this machine is in now. */
export function ownNetworks(): OwnNetworks {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.map(({ address, cidr }) => ({ address, prefix: Number(cidr?.split("/")[1] ?? "128") })),
  );
}

/**
 * Returns whether an IP address is this machine's own or a neighbour's, even a public one: what listens there is not
 * meant for the internet, and no firewall is in between. In IPv4 only the machine's own address counts: its neighbours
 * are strangers where they are public.
 */
export function isOwnAddress(address: string, networks: OwnNetworks = ownNetworks()): boolean {
  const own = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const { address: each, prefix } of networks) {
    const [plain = ""] = each.split("%");
    if (isIPv6(plain)) own.ipv6.addSubnet(plain, prefix, "ipv6");
    else own.ipv4.addAddress(plain, "ipv4");
  }
  return own[family(address)].check(address, family(address));
}

/** Returns whether an IP address belongs to the internet. */
export function isPublicAddress(address: string): boolean {
  // One list for each: Node holds an IPv4 address against the rules for IPv6 too, as ::ffff:0:0/96.
  return !NOT_PUBLIC[family(address)].check(address, family(address));
}

/** Returns whether an IP address is of the link, or of a known metadata service. No repository or registry is there. */
export function isMetadataAddress(address: string): boolean {
  return LINK_LOCAL.check(address, family(address));
}

function family(address: string): "ipv4" | "ipv6" {
  return isIPv6(address) ? "ipv6" : "ipv4";
}
