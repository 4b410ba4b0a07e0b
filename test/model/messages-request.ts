import * as z from "zod";

const block = z.looseObject({ type: z.string() });

const request = z.looseObject({
  model: z.string().min(1),
  max_tokens: z.int().min(1),
  stream: z.boolean().default(false),
  messages: z
    .array(
      z.looseObject({ role: z.enum(["user", "assistant", "system"]), content: z.union([z.string(), z.array(block)]) }),
    )
    .min(1),
  system: z.union([z.string(), z.array(block)]).optional(),
  tools: z.array(z.looseObject({ name: z.string() })).default([]),
  metadata: z.looseObject({ user_id: z.string().optional() }).optional(),
  output_config: z
    .looseObject({ format: z.looseObject({ type: z.string(), schema: z.unknown() }).optional() })
    .optional(),
});

/** A Messages API request, as far as the scripted model looks at it. */
export type MessagesRequest = z.infer<typeof request>;
export type RequestMessage = MessagesRequest["messages"][number];
export type RequestBlock = z.infer<typeof block>;

export type ParsedRequest =
  { readonly ok: true; readonly request: MessagesRequest } | { readonly ok: false; readonly message: string };

/** Checks a body the way the real API does at its edge: the first fault, named by its path. */
export function parseMessagesRequest(body: unknown): ParsedRequest {
  const parsed = request.safeParse(body);
  if (parsed.success) return { ok: true, request: parsed.data };
  const issue = parsed.error.issues[0];
  return { ok: false, message: `${issue?.path.join(".") ?? "body"}: ${issue?.message ?? "invalid"}` };
}

/** The blocks of a message, also when its content is a plain string. */
export function blocksOf(content: RequestMessage["content"]): readonly RequestBlock[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}

/** All text inside a block: its own, or that of the parts of a tool result. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(textOf).join("\n");
  if (typeof value !== "object" || value === null) return "";
  if ("text" in value && typeof value.text === "string") return value.text;
  return "content" in value ? textOf(value.content) : "";
}
