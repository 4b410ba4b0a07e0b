import { once } from "node:events";
import { Engine } from "../../host/runtime/docker/engine.ts";
import { FrameDecoder } from "../../host/runtime/docker/frame-decoder.ts";

const PIECE = Buffer.alloc(64 * 1024, "claudecluster ");

/** Sends bytes into a container by nothing but the stream of an exec; returns MB/s. */
export async function sendRaw(container: string, bytes: number): Promise<number> {
  const engine = new Engine();
  const exec = await engine.createExec(container, ["sh", "-c", `echo ready; head -c ${bytes} | wc -c`], {});
  const stream = await engine.startExec(exec, {});
  const decoder = new FrameDecoder();
  let output = "";
  const ready = once(stream, "data");
  const closed = once(stream, "close");
  stream.on("data", (chunk: Buffer) => {
    output += decoder
      .decode(chunk)
      .map((piece) => piece.bytes.toString())
      .join("");
  });
  await ready;
  const start = performance.now();
  for (let left = bytes; left > 0; left -= PIECE.length) {
    if (stream.write(PIECE.subarray(0, left))) continue;
    await once(stream, "drain");
  }
  await closed;
  if (!output.includes(String(bytes))) throw new Error(`The exec has got something else: ${output}`);
  return bytes / 1e3 / (performance.now() - start);
}
