import { BlockList, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";

/** The unicast addresses of the internet: https://www.iana.org/assignments/ipv6-address-space */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

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

/** What this machine's interfaces say of themselves: its addresses, each with the length of its network's prefix. */
export type OwnNetworks = readonly { address: string; prefix: number }[];

/** Returns the networks that this machine is in now. */
export function ownNetworks(): OwnNetworks {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.map(({ address, cidr }) => ({ address, prefix: Number(cidr?.split("/")[1] ?? "128") })),
  );
}

/**
 * Whether an IP address is this machine's own, or one of its neighbours', also where these are public: what listens
 * there is not meant for the internet, and no firewall is in between. Of IPv4 networks only the machine's own address: they
 * are shared with strangers where they are public.
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

/**
 * Whether an IP address belongs to the internet, by IANA's registries of special addresses. Not one that carries an IPv4
 * address: where that leads is not known.
 */
export function isPublicAddress(address: string): boolean {
  const parsed = ipaddr.parse(address);
  return parsed.range() === "unicast" && (parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_UNICAST));
}

/** Whether an IP address is of the link or a known metadata service: nobody's repository or registry. */
export function isMetadataAddress(address: string): boolean {
  return LINK_LOCAL.check(address, family(address));
}

function family(address: string): "ipv4" | "ipv6" {
  return isIPv6(address) ? "ipv6" : "ipv4";
}
