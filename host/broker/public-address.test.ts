import { expect, test } from "vitest";
import { isMetadataAddress, isOwnAddress, isPublicAddress, ownNetworks } from "./public-address.ts";

test.each(["1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"])(
  "%s is public",
  (address) => expect(isPublicAddress(address)).toBe(true),
);

test.each([
  "0.0.0.0",
  "10.1.2.3",
  "100.64.0.1",
  "127.0.0.1",
  "127.255.255.254",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.192",
  "192.168.1.1",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:10.0.0.1",
  "::ffff:169.254.169.254",
  "::10.0.0.1",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b:1::1",
  "2002:7f00:1::",
  "2001:0:1::",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1",
  "ff02::1",
])("%s is not", (address) => expect(isPublicAddress(address)).toBe(false));

test.each([
  "169.254.169.254",
  "::ffff:169.254.169.254",
  "::169.254.169.254",
  "::ffff:0:169.254.169.254",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b:1::1",
  "2002:a9fe:a9fe::1",
  "fe80::1",
  "fd00:ec2::254",
  "100.100.100.200",
  "::ffff:100.100.100.200",
  "64:ff9b::6464:64c8",
])("%s gives out credentials", (address) => expect(isMetadataAddress(address)).toBe(true));

test.each(["10.0.0.1", "127.0.0.1", "::1", "192.168.0.10", "fd12::1", "64:ff9b::a00:1", "2002:a00:1::1"])(
  "%s does not",
  (address) => expect(isMetadataAddress(address)).toBe(false),
);

const networks = [
  { address: "203.0.113.7", prefix: 24 },
  { address: "2a00:1450:1:2::7", prefix: 64 },
  { address: "fe80::1%eth0", prefix: 64 },
];

test.each(["203.0.113.7", "2a00:1450:1:2::7", "2a00:1450:1:2::8"])("%s is of this machine", (address) =>
  expect(isOwnAddress(address, networks)).toBe(true),
);

test.each(["203.0.113.8", "2a00:1450:1:3::7", "1.1.1.1"])("%s is not of this machine", (address) =>
  expect(isOwnAddress(address, networks)).toBe(false),
);

test("knows the machine's own addresses", () => {
  expect(ownNetworks().map(({ address }) => address)).toContain("127.0.0.1");
  expect(isOwnAddress("127.0.0.1")).toBe(true);
});
