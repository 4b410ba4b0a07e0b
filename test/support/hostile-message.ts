import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { type SessionEvent, SessionEventSchema } from "../../proto/index.ts";

/** The names of all kinds of events. */
export const EVENT_KINDS = SessionEventSchema.oneofs[0]!.fields.map(({ localName }) => localName);

/** An event of the kind with this index, with the same text in each of its texts. */
export function hostileEvent(index: number, choice: number, text: string): SessionEvent {
  const field = SessionEventSchema.oneofs[0]!.fields[index]!;
  const event = { case: field.localName, value: valueOf(field, choice, text, 0) } as SessionEvent["event"];
  return create(SessionEventSchema, { sequence: index + 1, event });
}

/** A message with the same text in each of its texts; `choice` names the alternative of every oneof, by turns. */
export function hostileMessage(schema: DescMessage, choice: number, text: string, depth = 0): Message {
  const message = create(schema) as Message & Record<string, unknown>;
  for (const member of schema.members) {
    if (member.kind !== "oneof") {
      const value = valueOf(member, choice, text, depth);
      if (value !== undefined) message[member.localName] = value;
      continue;
    }
    const field = member.fields[choice % member.fields.length]!;
    message[member.localName] = { case: field.localName, value: valueOf(field, choice, text, depth) };
  }
  return message;
}

function valueOf(field: DescField, choice: number, text: string, depth: number): unknown {
  const bytes = new TextEncoder().encode(text);
  switch (field.fieldKind) {
    case "message":
      // Times and durations are none: a container may say anything.
      return depth > 5 ? undefined : hostileMessage(field.message, choice, text, depth + 1);
    case "list":
      if (field.listKind === "message")
        return depth > 5 ? [] : [hostileMessage(field.message, choice, text, depth + 1)];
      return field.listKind === "scalar" && field.scalar === 9 ? [text] : undefined;
    case "map":
      return { [text]: text };
    case "scalar":
      // https://github.com/protocolbuffers/protobuf/blob/main/src/google/protobuf/descriptor.proto: 9 is a string, 12 bytes.
      return field.scalar === 9 ? text : field.scalar === 12 ? bytes : undefined;
    case "enum":
      return field.enum.values[choice % field.enum.values.length]!.number;
  }
}
