import type { McpServer } from "@modelcontextprotocol/server";
import type { ServerLog } from "./server-log.ts";
import * as z from "zod";
import { AppError, Artifact_Kind, isFinal } from "../../proto/index.ts";
import { fenced } from "../present/fenced.ts";
import { listPatchFiles, PAGE_BYTES, type PatchFile, readPatchPage } from "../present/patch-pages.ts";
import { plural } from "../present/plural.ts";
import { CONTAINER_TEXT_NOTE, extent } from "../present/session-summary.ts";
import { patchWarning } from "../present/withheld-patch.ts";
import { resolveSession } from "../session/resolve-session.ts";
import type { Sessions } from "../session/sessions.ts";
import { sessionId, toolArguments } from "./tool-arguments.ts";
import { answering, textResult } from "./tool-result.ts";

/** Adds the tool read_changes: a session's changes file by file, in pages that a conversation holds. */
export function registerChangesTool(
  server: McpServer,
  { sessions, logger }: { sessions: Sessions; logger: ServerLog },
) {
  server.registerTool(
    "read_changes",
    {
      title: "Read a session's changes",
      description:
        "Shows what a session has changed, in pages: without path the files with their counts, with path that file's diff. For a patch that is too long for the session's own answer; also of a live session, as it is now.",
      inputSchema: toolArguments({
        session_id: sessionId,
        path: z.string().optional().describe("A file, as the list names it. Default: the list."),
        page: z.int().min(1).optional().describe("Default: 1."),
      }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    ({ session_id: given, path, page = 1 }) =>
      answering(logger, async () => {
        const session = await sessions.get(await resolveSession(sessions, given));
        using patch = await sessions.openArtifact(session.id, Artifact_Kind.PATCH);
        const notes = [CONTAINER_TEXT_NOTE];
        const warning = patchWarning(session.result?.outcome);
        if (warning !== undefined) notes.push(warning);
        if (!isFinal(session.state)) notes.push("The session is live: pages are of the patch as it is at each call.");
        if (path !== undefined) {
          const shown = await readPatchPage(patch.read(), { path, page });
          const { file, text, page_count: count } = shown;
          const head = `${fileLine(file)} in session ${session.id}${pageOf(page, count)}`;
          const next = page < count ? [nextPage(session.id, page, path)] : [];
          return textResult([head, ...notes, fenced(text, "diff"), ...next].join("\n\n"), shown);
        }
        const files = await listPatchFiles(patch.read());
        const pages = filePages(files);
        const shown = pages[page - 1];
        if (shown === undefined) {
          throw new AppError("LIMIT_INVALID", `There is no page ${page} of the files: there are ${pages.length}.`, {
            help: `Give page from 1 to ${pages.length}.`,
          });
        }
        const head = `Session ${session.id} has changed ${plural(files.length, "file")}${pageOf(page, pages.length)}`;
        const next = page < pages.length ? [nextPage(session.id, page)] : [];
        const diff = `next: read_changes {"session_id":"${session.id}","path":…} shows the diff of one.`;
        const rest = files.length === 0 ? [] : [shown.map(fileLine).join("\n"), ...next, diff];
        const value = { files: shown, file_count: files.length, page, page_count: pages.length };
        return textResult([head, ...notes, ...rest].join("\n\n"), value);
      }),
  );
}

function fileLine(file: PatchFile): string {
  return `${file.kind} ${file.path} ${extent(file)}`;
}

function pageOf(page: number, count: number): string {
  return count === 1 ? "" : `, page ${page} of ${count}`;
}

function nextPage(id: string, page: number, path?: string): string {
  return `next page: read_changes ${JSON.stringify({ session_id: id, ...(path !== undefined && { path }), page: page + 1 })}`;
}

/** Files in pages that a conversation holds; one page at least. */
function filePages(files: readonly PatchFile[]): PatchFile[][] {
  const pages: PatchFile[][] = [[]];
  let used = 0;
  for (const file of files) {
    const size = Buffer.byteLength(fileLine(file));
    if (used > 0 && used + size > PAGE_BYTES / 2) {
      pages.push([]);
      used = 0;
    }
    pages.at(-1)!.push(file);
    used += size;
  }
  return pages;
}
