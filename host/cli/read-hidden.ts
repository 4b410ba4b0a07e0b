import { AppError } from "../../proto/index.ts";
import type { CommandIo } from "./command-io.ts";

const ENTER = /[\r\n\x04]/;
const CTRL_C = "\x03";

/** Asks on a terminal for a line that is not shown while it is typed. Throws CANCELED on Ctrl-C. */
export async function readHidden(question: string, { stdin, stderr }: CommandIo): Promise<string> {
  stderr.write(question);
  stdin.setRawMode(true);
  try {
    let typed = "";
    for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
      typed += String(chunk);
      if (typed.includes(CTRL_C)) throw new AppError("CANCELED", "Nothing was stored.");
      if (ENTER.test(typed)) return typed.split(ENTER, 1)[0]!.replace(/.[\x7f\b]/g, "");
    }
    return typed;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
}
