import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { mayBeOurs, usersOf } from "./peer-user.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 20 4 30 10 -1
   3: 0200007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 4 1 0 20 4 30 10 -1
   4: 0100007F:C351 0100007F:1F90 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
   5: 0100007F:C352 0100007F:1F90 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1`;

test("the users of a connection are those of the end that was opened, at every address", () => {
  expect(usersOf(TABLE, { from: 0xc350, to: 0x1f90 })).toEqual([1001, 1002]);
  expect(usersOf(TABLE, { from: 0x1f90, to: 0xc350 })).toEqual([1000]);
  expect(usersOf(TABLE, { from: 1, to: 0x1f90 })).toEqual([]);
  // Ends that somebody has closed are nobody's, and look like root's.
  for (const from of [0xc351, 0xc352]) expect(usersOf(TABLE, { from, to: 0x1f90 })).toEqual([]);
});

test("a connection of this process is this user's, and one that there is not is nobody's", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const client = connect(port, "127.0.0.1");
  const [socket] = await accepted;
  onTestFinished(() => (client.destroy(), socket.destroy(), void server.close()));
  expect(await mayBeOurs(socket)).toBe(true);
  const { remotePort } = socket;
  for (const [remoteAddress, localAddress] of [
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
    ["::ffff:127.0.0.1", "::ffff:127.0.0.1"],
    // This machine, by an address that others reach it by.
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "::ffff:192.0.2.7"],
  ]) {
    const other = { remoteAddress, remotePort, localAddress, localPort: 1 } as Socket;
    expect(await mayBeOurs(other), remoteAddress).toBe(process.platform !== "linux");
  }
  const elsewhere = { remoteAddress: "192.0.2.8", remotePort, localAddress: "192.0.2.7", localPort: 1 } as Socket;
  expect(await mayBeOurs(elsewhere)).toBe(true);
});
