import { create, type DescField, type DescMessage, type DescOneof, type Message } from "@bufbuild/protobuf";
import { DurationSchema, durationFromMs, TimestampSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type EventBody, Session_State, Session_StateSchema, SessionEventSchema } from "../../proto/index.ts";

/** Text that wants to be markup, to turn its surroundings around, to hide, and to be one of Lit's own marks. */
export const HOSTILE =
  "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script></pre></bdi><!--" +
  "\u202egnp.exe\u2066\u0000\u0007\u001b[31m\u200b\u00ad\ufeff\u2028?lit$1$ ${1} %s <style>*{display:none}</style>";

/** Returns an event of each kind that says something, the last one last, with every text and all bytes in it hostile, so that new fields are among them. */
export function hostileEvents(nowMs: number): EventBody[] {
  const kinds = SessionEventSchema.oneofs[0]!.fields.filter(
    ({ localName }) => localName !== "sessionFinished" && localName !== "stateChanged",
  );
  const last = SessionEventSchema.field["sessionFinished"]!;
  return [...kinds, last].map((field) => {
    const value = field.fieldKind === "message" ? hostile(field.message, nowMs, 0) : undefined;
    return { case: field.localName, value } as EventBody;
  });
}

function hostile(of: DescMessage, nowMs: number, depth: number): Message {
  if (of.typeName === TimestampSchema.typeName) return timestampFromMs(nowMs);
  if (of.typeName === DurationSchema.typeName) return durationFromMs(1000);
  const values = of.fields.flatMap((field) => {
    const value = depth > 5 ? undefined : valueOf(field, nowMs, depth);
    if (value === undefined || (field.oneof !== undefined && field !== chosenOf(field.oneof))) return [];
    return [field.oneof ? [field.oneof.localName, { case: field.localName, value }] : [field.localName, value]];
  });
  return create(of, Object.fromEntries(values) as never);
}

/** Of a result the failure, which has more texts than its success. */
function chosenOf({ fields }: DescOneof): DescField | undefined {
  return fields.find(({ localName }) => localName === "failure") ?? fields[0];
}

function valueOf(field: DescField, nowMs: number, depth: number): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "enum":
      return field.enum === Session_StateSchema ? Session_State.FAILED : (field.enum.values.at(1)?.number ?? 0);
    case "message":
      return hostile(field.message, nowMs, depth + 1);
    case "list":
      if (field.listKind === "message") return [hostile(field.message, nowMs, depth + 1)];
      return [field.listKind === "enum" ? (field.enum.values.at(1)?.number ?? 0) : scalar(field.scalar)];
    case "map":
      return field.mapKind === "scalar" ? { [HOSTILE]: scalar(field.scalar) } : {};
  }
}

/** As descriptor.proto numbers the types. */
function scalar(type: number): unknown {
  switch (type) {
    case 9:
      return HOSTILE;
    case 12:
      return new TextEncoder().encode(HOSTILE);
    case 8:
      return true;
    case 3:
    case 4:
      return 1n;
    default:
      return 1;
  }
}
