import type { Socket } from "node:net";

/** Takes the first line off a socket that nobody has read yet. */
export function readLine(socket: Socket, take: (line: string) => void): void {
  let text = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    text = Buffer.concat([text, chunk]);
    const end = text.indexOf("\n");
    if (end < 0) return;
    socket.off("data", onData);
    socket.pause();
    socket.unshift(text.subarray(end + 1));
    take(text.toString("utf8", 0, end));
  };
  socket.on("data", onData);
}
