import { create } from "@bufbuild/protobuf";
import { ERROR_REASONS, type ErrorKind, type ErrorReason } from "./error-reasons.ts";
import { type ErrorInfo, ErrorInfoSchema } from "./gen/claudecluster/error/v1alpha1/error_info_pb.ts";

/** Details of an error beside its reason and message. */
export interface AppErrorOptions {
  /**
   * Kind of the error. Default: the one of its reason. Given where the same fault lies in a setting, say, and not in an
   * argument.
   */
  kind?: ErrorKind;
  /** Dynamic values of the message, by name. Never a secret. Default: none. */
  metadata?: Record<string, string>;
  /** Whether the same call may succeed later. Default: false. */
  retryable?: boolean;
  /** Sentence on what to do. Default: none. */
  help?: string;
  /** Error that led to this one, for the log. */
  cause?: unknown;
}

/**
 * Error of the whole project: a stable reason for programs, a sentence for people. It is thrown where the cause is
 * known, and mapped once at a boundary.
 */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly reason: ErrorReason;
  readonly kind: ErrorKind;
  readonly metadata: Record<string, string>;
  readonly retryable: boolean;
  readonly help: string;

  constructor(reason: ErrorReason, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.kind = options.kind ?? ERROR_REASONS[reason];
    this.metadata = options.metadata ?? {};
    this.retryable = options.retryable ?? false;
    this.help = options.help ?? "";
  }

  /** Returns the error that another program has sent. Its reason may be one that this version does not know. */
  static received(
    error: { reason: string; message: string; kind: ErrorKind } & Omit<AppErrorOptions, "kind">,
  ): AppError {
    const { reason, message, ...options } = error;
    return new AppError(reason as ErrorReason, message, options);
  }

  /** Returns the error as it is sent beside a gRPC status. */
  toErrorInfo(domain: string): ErrorInfo {
    const { reason, metadata, retryable, help } = this;
    return create(ErrorInfoSchema, { reason, domain, metadata, retryable, help });
  }

  /** Returns the message followed by the help, as people read it. */
  toSentence(): string {
    return this.help === "" ? this.message : `${this.message} ${this.help}`;
  }
}

/** Returns an error as an AppError: itself if it is one, otherwise an INTERNAL one with the same message. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new AppError("INTERNAL", message, { cause: error });
}
