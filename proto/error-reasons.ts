/** Numbers of the gRPC codes that errors are sent with, by name: https://grpc.io/docs/guides/status-codes */
export const GRPC_CODES = {
  CANCELED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** Kind of an error: the name of the gRPC code that it is sent with. */
export type ErrorKind = keyof typeof GRPC_CODES;

const KINDS = new Map<number, ErrorKind>(Object.entries(GRPC_CODES).map(([kind, code]) => [code, kind as ErrorKind]));

/** Returns the kind that a gRPC code stands for. INTERNAL stands for every code that is not in the table. */
export function kindOfCode(code: number): ErrorKind {
  return KINDS.get(code) ?? "INTERNAL";
}

/**
 * Reasons that ErrorInfo and Failure carry, each with its gRPC code. Programs decide by them, so a reason is never used
 * again for something else. A session's failure that no call is answered with has INTERNAL.
 */
export const ERROR_REASONS = {
  // Anywhere.
  /** A fault of the program; its log says more. */
  INTERNAL: "INTERNAL",
  /** The caller has given the call up. */
  CALL_CANCELED: "CANCELED",
  /** The person at the terminal has given up. */
  CANCELED: "CANCELED",
  /** There are no sessions of which a backup could be made. */
  NOTHING_TO_BACK_UP: "NOT_FOUND",
  /** Another backup is being made. */
  BACKUP_RUNNING: "FAILED_PRECONDITION",
  /** A file is no backup, is cut, or was changed. */
  BACKUP_INVALID: "INVALID_ARGUMENT",
  /** A backup was made by a newer version. */
  BACKUP_TOO_NEW: "FAILED_PRECONDITION",
  /** Another backup is being restored. */
  RESTORE_RUNNING: "FAILED_PRECONDITION",
  /** A restore would remove the sessions that there are. */
  RESTORE_REPLACES: "FAILED_PRECONDITION",
  /** What is asked for is to be done on the host's own machine. */
  HOST_ELSEWHERE: "FAILED_PRECONDITION",
  /** The token of a call on TCP is missing or another one. */
  TOKEN_INVALID: "UNAUTHENTICATED",
  /** The health service does not know the service's name. */
  SERVICE_UNKNOWN: "NOT_FOUND",
  /** An address or a port cannot be listened on. */
  LISTEN_FAILED: "FAILED_PRECONDITION",

  /** What is to be a day is none. */
  DAY_INVALID: "INVALID_ARGUMENT",

  // What a session is asked to be.
  /** The task is empty. */
  TASK_EMPTY: "INVALID_ARGUMENT",
  /** The task is longer than a session takes. */
  TASK_TOO_LONG: "INVALID_ARGUMENT",
  /** No session specification came with the call. */
  SPEC_MISSING: "INVALID_ARGUMENT",
  /** The session id is no id. */
  SESSION_ID_INVALID: "INVALID_ARGUMENT",
  /** Claude Code has no such permission mode. */
  PERMISSION_MODE_UNKNOWN: "INVALID_ARGUMENT",
  /** The model's name is no name. */
  MODEL_INVALID: "INVALID_ARGUMENT",
  /** A tool's name is no name. */
  TOOL_INVALID: "INVALID_ARGUMENT",
  /** The number of model steps is negative. */
  STEP_COUNT_INVALID: "INVALID_ARGUMENT",
  /** The number of turns is negative. */
  TURN_COUNT_INVALID: "INVALID_ARGUMENT",
  /** The timeout is out of bounds. */
  TIMEOUT_INVALID: "INVALID_ARGUMENT",
  /** The idle timeout is out of bounds. */
  IDLE_TIMEOUT_INVALID: "INVALID_ARGUMENT",
  /** The decision timeout is out of bounds. */
  DECISION_TIMEOUT_INVALID: "INVALID_ARGUMENT",
  /** A command for setup or check is too long, or may take longer than a day. */
  COMMAND_INVALID: "INVALID_ARGUMENT",
  /** A budget is negative or no number. */
  BUDGET_INVALID: "INVALID_ARGUMENT",
  /** An environment variable is none. */
  ENVIRONMENT_INVALID: "INVALID_ARGUMENT",
  /** An environment variable belongs to the agent. */
  ENVIRONMENT_RESERVED: "INVALID_ARGUMENT",
  /** An egress destination is no host and port. */
  DESTINATION_INVALID: "INVALID_ARGUMENT",
  /** The memory limit is out of bounds. */
  MEMORY_INVALID: "INVALID_ARGUMENT",
  /** The CPU limit is out of bounds. */
  CPU_INVALID: "INVALID_ARGUMENT",
  /** The workspace size is out of bounds. */
  WORKSPACE_SIZE_INVALID: "INVALID_ARGUMENT",
  /** The image's name is no image reference. */
  IMAGE_INVALID: "INVALID_ARGUMENT",
  /** The repository's address is none, or of a kind that does not work. */
  REPOSITORY_URI_INVALID: "INVALID_ARGUMENT",
  /** The repository's address holds a password or token. */
  REPOSITORY_URI_CREDENTIALS: "INVALID_ARGUMENT",
  /** The ref is no ref or commit id. */
  REF_INVALID: "INVALID_ARGUMENT",
  /** A ref without a repository. */
  REF_WITHOUT_REPOSITORY: "INVALID_ARGUMENT",
  /** A ref for a directory, which goes in as it lies there. */
  REF_OF_DIRECTORY: "INVALID_ARGUMENT",
  /** Files to include where no directory goes in. */
  INCLUDE_NOT_LOCAL: "INVALID_ARGUMENT",
  /** How much history is to be there is no number of commits. */
  HISTORY_INVALID: "INVALID_ARGUMENT",
  /** A URL prefix for git's listener is none. */
  GIT_PREFIX_INVALID: "INVALID_ARGUMENT",
  /** What a front says of a repository's snapshot cannot be. */
  SNAPSHOT_INVALID: "INVALID_ARGUMENT",
  /** The host's store lacks something of the snapshot that a session is to start with. */
  SNAPSHOT_MISSING: "FAILED_PRECONDITION",
  /** The host knows no such upload, or no longer. */
  UPLOAD_UNKNOWN: "FAILED_PRECONDITION",
  /** More is uploaded than the host takes. */
  UPLOAD_TOO_LARGE: "RESOURCE_EXHAUSTED",
  /** An upload does not get on. */
  UPLOAD_STALLED: "ABORTED",
  /** The host's disk has no room for an upload. */
  NO_ROOM: "RESOURCE_EXHAUSTED",
  /** The address of a host elsewhere is none that can be used. */
  HOST_ADDRESS_INVALID: "INVALID_ARGUMENT",
  /** What is named is no directory that sessions may be started on, or changes applied to. */
  DIRECTORY_INVALID: "INVALID_ARGUMENT",
  /** The directory that a session worked on is not on this machine, or there was none. */
  DIRECTORY_UNKNOWN: "FAILED_PRECONDITION",
  /** A directory is named that this host cannot see. */
  REPOSITORY_ELSEWHERE: "FAILED_PRECONDITION",
  /** The continued session had another repository. */
  REPOSITORY_DIFFERS: "INVALID_ARGUMENT",
  /** The id of the continued session is none. */
  PREVIOUS_SESSION_INVALID: "INVALID_ARGUMENT",
  /** The continued session is not known. */
  PREVIOUS_SESSION_NOT_FOUND: "NOT_FOUND",
  /** The continued session has not ended. */
  PREVIOUS_SESSION_LIVE: "FAILED_PRECONDITION",
  /** The session that another one was to follow did not succeed, or its changes may be incomplete. */
  PREVIOUS_SESSION_FAILED: "FAILED_PRECONDITION",
  /** The host's rules do not allow what the session is to reach. */
  EGRESS_FORBIDDEN: "PERMISSION_DENIED",
  /** The bytes of an artifact are not those that were announced. */
  ARTIFACT_INVALID: "INVALID_ARGUMENT",
  /** The patch of a live session is another one than before. */
  ARTIFACT_CHANGED: "ABORTED",
  /** There are no artifacts of this kind. */
  ARTIFACT_KIND_UNKNOWN: "INVALID_ARGUMENT",
  /** An artifact has not as many bytes as its reader or writer says. */
  OFFSET_INVALID: "OUT_OF_RANGE",
  /** The request id is longer than ids are. */
  REQUEST_ID_TOO_LONG: "INVALID_ARGUMENT",
  /** The request id was used for another request. */
  REQUEST_ID_TAKEN: "FAILED_PRECONDITION",

  // What is asked of a session.
  /** There is no such session. */
  SESSION_NOT_FOUND: "NOT_FOUND",
  /** The shortened id means several sessions. */
  SESSION_AMBIGUOUS: "INVALID_ARGUMENT",
  /** The agent has its one session already. */
  SESSION_EXISTS: "FAILED_PRECONDITION",
  /** The agent has a Claude already that was started before its session. */
  SESSION_PREPARED: "FAILED_PRECONDITION",
  /** Claude cannot be started before such a session's files are there. */
  CLAUDE_NOT_PREPARABLE: "FAILED_PRECONDITION",
  /** The session has not ended, and what was asked needs that. */
  SESSION_LIVE: "FAILED_PRECONDITION",
  /** The session is no longer, or not yet, under way on this host. */
  SESSION_NOT_LIVE: "FAILED_PRECONDITION",
  /** The session has no container that runs. */
  SESSION_NOT_RUNNING: "NOT_FOUND",
  /** What was asked is there when the session has ended. */
  SESSION_NOT_FINISHED: "FAILED_PRECONDITION",
  /** The session is ending and takes no more messages. */
  SESSION_ENDED: "FAILED_PRECONDITION",
  /** The session has ended. */
  SESSION_OVER: "FAILED_PRECONDITION",
  /** The message is empty. */
  MESSAGE_EMPTY: "INVALID_ARGUMENT",
  /** The message is longer than a session takes. */
  MESSAGE_TOO_LONG: "INVALID_ARGUMENT",
  /** The message's id is no id. */
  MESSAGE_ID_INVALID: "INVALID_ARGUMENT",
  /** Too many messages wait already. */
  QUEUE_FULL: "RESOURCE_EXHAUSTED",
  /** The session has had all the messages that it takes. */
  TURN_LIMIT_REACHED: "FAILED_PRECONDITION",
  /** No turn is running that could be interrupted. */
  TURN_NOT_RUNNING: "FAILED_PRECONDITION",
  /** The answers do not fit the questions. */
  ANSWER_INVALID: "INVALID_ARGUMENT",
  /** Nothing waits for this decision. */
  DECISION_UNKNOWN: "FAILED_PRECONDITION",
  /** Several requests wait, and the command does not say which is meant. */
  DECISION_AMBIGUOUS: "INVALID_ARGUMENT",
  /** The request waits for another kind of decision. */
  DECISION_MISMATCH: "FAILED_PRECONDITION",
  /** The request is decided already. */
  DECISION_MADE: "FAILED_PRECONDITION",
  /** The page size is out of bounds. */
  PAGE_SIZE_INVALID: "INVALID_ARGUMENT",
  /** The page token is none of ours. */
  PAGE_TOKEN_INVALID: "INVALID_ARGUMENT",
  /** The schema that a result is to have cannot be used. */
  SCHEMA_INVALID: "INVALID_ARGUMENT",
  /** What Claude answered does not have the schema that was asked for. */
  RESULT_INVALID: "INTERNAL",
  /** The session has not changed the file that is asked for. */
  CHANGE_NOT_FOUND: "NOT_FOUND",
  /** The log has no event of that number yet. */
  SEQUENCE_UNKNOWN: "OUT_OF_RANGE",
  /** The events asked for are no longer kept. */
  EVENTS_DROPPED: "OUT_OF_RANGE",
  /** The log takes no more events. */
  LOG_ENDED: "INTERNAL",

  // Attach and the other streams.
  /** The stream does not begin with an attach message. */
  ATTACH_EXPECTED: "INVALID_ARGUMENT",
  /** A second attach message on one stream. */
  ATTACHED_ALREADY: "INTERNAL",
  /** The stream's message is none that is known. */
  REQUEST_UNKNOWN: "INTERNAL",
  /** Only the owner may do that. */
  ROLE_INSUFFICIENT: "INTERNAL",
  /** The host itself is the owner of its sessions. */
  ROLE_RESERVED: "PERMISSION_DENIED",
  /** Another owner has taken the session over. */
  OWNER_REPLACED: "ABORTED",
  /** The same caller has called again. */
  CALLER_REPLACED: "ABORTED",
  /** The files of the page cannot be read. */
  PAGE_MISSING: "FAILED_PRECONDITION",
  /** Only a caller on this machine may do that. */
  CALLER_REMOTE: "PERMISSION_DENIED",
  /** The tunnel does not begin with a connection's id. */
  CONNECTION_ID_EXPECTED: "INVALID_ARGUMENT",
  /** No connection of that id waits or is kept. */
  CONNECTION_NOT_FOUND: "NOT_FOUND",
  /** The connection inside the container is closed. */
  CONNECTION_CLOSED: "ABORTED",
  /** More was acknowledged than was sent. */
  RECEIVED_SIZE_INVALID: "INVALID_ARGUMENT",
  /** The tunnel's other end has ended it. */
  TUNNEL_ENDED: "ABORTED",
  /** Another call carries the connection now. */
  TUNNEL_REPLACED: "ABORTED",
  /** A listener inside the container found its port taken. */
  PORT_UNAVAILABLE: "INTERNAL",

  // The agent.
  /** The agent's environment variables do not say what it needs. */
  CONFIGURATION_INVALID: "INTERNAL",
  /** The agent is ending and takes no session. */
  AGENT_ENDING: "UNAVAILABLE",
  /** The agent in the image is too old for this host. */
  AGENT_OUTDATED: "FAILED_PRECONDITION",
  /** The agent does not keep to the contract. */
  AGENT_INVALID: "INTERNAL",
  /** No agent answers in the container. */
  AGENT_UNREACHABLE: "UNAVAILABLE",
  /** The agent did not end the session in time. */
  AGENT_UNRESPONSIVE: "INTERNAL",
  /** The session would run under the agent's own uid. */
  IDENTITY_OWN: "INTERNAL",
  /** Programs of the session could not be ended. */
  PROCESSES_LEFT: "INTERNAL",
  /** A program could not be started. */
  COMMAND_NOT_STARTED: "INTERNAL",
  /** A program wrote more than is read. */
  OUTPUT_TOO_LARGE: "RESOURCE_EXHAUSTED",
  /** The id of the conversation to be continued is none. */
  RESTORE_INVALID: "INVALID_ARGUMENT",
  /** The continued session's state did not come before the session. */
  RESTORE_MISSING: "FAILED_PRECONDITION",

  // The repository and the changes.
  /** The repository is not there, or not for this credential. */
  REPOSITORY_NOT_FOUND: "NOT_FOUND",
  /** The repository's server wants another credential. */
  REPOSITORY_UNAUTHORIZED: "UNAUTHENTICATED",
  /** The repository's server cannot be reached. */
  REPOSITORY_UNREACHABLE: "UNAVAILABLE",
  /** The repository's server broke off. */
  REPOSITORY_FETCH_FAILED: "UNAVAILABLE",
  /** The repository is damaged or refuses what is needed. */
  REPOSITORY_INVALID: "FAILED_PRECONDITION",
  /** There is nothing at the path of a repository on this machine. */
  REPOSITORY_PATH_NOT_FOUND: "NOT_FOUND",
  /** The path of a repository on this machine leads to none that can be worked in. */
  REPOSITORY_PATH_INVALID: "FAILED_PRECONDITION",
  /** Files of the repository are in conflict. */
  REPOSITORY_UNMERGED: "FAILED_PRECONDITION",
  /** Somebody else changes the repository all the time. */
  REPOSITORY_BUSY: "ABORTED",
  /** There is no such file that could be included. */
  INCLUDE_NOT_FOUND: "INVALID_ARGUMENT",
  /** The repository has no such ref. */
  REF_NOT_FOUND: "NOT_FOUND",
  /** The ref names something other than a commit. */
  REF_NOT_A_COMMIT: "FAILED_PRECONDITION",
  /** A git command failed. */
  GIT_FAILED: "INTERNAL",
  /** There is no repository with a work tree where one was looked for. */
  NOT_A_REPOSITORY: "FAILED_PRECONDITION",
  /** The start commit of a session is not in the repository. */
  START_NOT_FOUND: "FAILED_PRECONDITION",
  /** A result does not go together with what the user has. */
  APPLY_CONFLICTS: "ABORTED",
  /** Something in the user's repository is in the way of a result. */
  APPLY_BLOCKED: "FAILED_PRECONDITION",
  /** What was to be changed was changed by somebody else meanwhile. */
  APPLY_RACED: "ABORTED",
  /** An apply was broken off and has to be taken back first. */
  APPLY_UNFINISHED: "FAILED_PRECONDITION",
  /** There is nothing to be applied. */
  NOTHING_TO_APPLY: "FAILED_PRECONDITION",
  /** The user's git is in the middle of something. */
  GIT_UNDER_WAY: "FAILED_PRECONDITION",
  /** Another git holds the index. */
  INDEX_LOCKED: "FAILED_PRECONDITION",
  /** A branch of that name is there already. */
  BRANCH_EXISTS: "FAILED_PRECONDITION",
  /** The name is none that a branch may have. */
  BRANCH_INVALID: "INVALID_ARGUMENT",
  /** A path that was named is outside of the repository. */
  PATH_OUTSIDE: "INVALID_ARGUMENT",
  /** The user's repository has no remote of that name. */
  REMOTE_UNKNOWN: "INVALID_ARGUMENT",
  /** A branch was not taken by a remote. */
  PUSH_FAILED: "FAILED_PRECONDITION",
  /** A pull request cannot be made, or was not. */
  PULL_REQUEST_FAILED: "FAILED_PRECONDITION",
  /** There is nothing to be taken back. */
  NOTHING_TO_UNDO: "NOT_FOUND",
  /** A session has changes that nobody has taken, and would be removed. */
  CHANGES_NOT_TAKEN: "FAILED_PRECONDITION",
  /** What was applied has been changed since. */
  UNDO_BLOCKED: "FAILED_PRECONDITION",
  /** There is no git where a repository lies. */
  GIT_NOT_FOUND: "FAILED_PRECONDITION",
  /** The workspace has no room left. */
  WORKSPACE_FULL: "RESOURCE_EXHAUSTED",
  /** Reading the work tree does not come to an end. */
  WORK_TREE_STUCK: "INTERNAL",
  /** The patch does not fit the start commit. */
  PATCH_NOT_APPLIED: "FAILED_PRECONDITION",
  /** The patch is larger than is kept. */
  PATCH_TOO_LARGE: "RESOURCE_EXHAUSTED",
  /** The patch is not what the list of changes says. */
  PATCH_MISMATCH: "INTERNAL",
  /** The changes could not be collected. */
  COLLECT_FAILED: "INTERNAL",
  /** The container was gone before the changes were collected. */
  CHANGES_NOT_COLLECTED: "INTERNAL",

  // Commits that Claude made.
  /** The session has left no commits of this name, or none at all. */
  COMMITS_MISSING: "NOT_FOUND",
  /** They are larger than is kept. */
  COMMITS_TOO_LARGE: "RESOURCE_EXHAUSTED",
  /** They are not what they say of themselves. */
  COMMITS_INVALID: "INTERNAL",
  /** They stand on a commit that is not here. */
  COMMITS_NOT_APPLIED: "FAILED_PRECONDITION",

  // The user's own files for Claude Code.
  /** There is no such file or directory in the user's set-up, or it is none that can go in. */
  USER_FILE_INVALID: "INVALID_ARGUMENT",
  /** A file's name or content says that it holds a secret. */
  USER_FILE_SECRET: "INVALID_ARGUMENT",
  /** There are too many files, or they are too large. */
  USER_FILES_TOO_LARGE: "INVALID_ARGUMENT",
  /** The caller is elsewhere: its files are not here. */
  USER_FILES_ELSEWHERE: "INVALID_ARGUMENT",
  /** They could not be written in the container. */
  USER_FILES_NOT_WRITTEN: "INTERNAL",

  // Claude Code and the model.
  /** The image has no Claude Code. */
  CLAUDE_NOT_FOUND: "INTERNAL",
  /** The session's setup did not succeed, so that Claude was not started. */
  SETUP_FAILED: "INTERNAL",
  /** Claude Code could not be started. */
  CLAUDE_NOT_STARTED: "INTERNAL",
  /** Claude Code gave no sign of life in time. */
  CLAUDE_NOT_READY: "INTERNAL",
  /** Claude Code ended with a message unanswered. */
  CLAUDE_EXITED: "INTERNAL",
  /** Claude Code ended a turn with an error of its own. */
  CLAUDE_ERROR: "INTERNAL",
  /** Claude Code's instructions could not be written. */
  INSTRUCTIONS_NOT_WRITTEN: "INTERNAL",
  /** The conversation's record is not there. */
  TRANSCRIPT_MISSING: "NOT_FOUND",
  /** The conversation's record is larger than is kept. */
  TRANSCRIPT_TOO_LARGE: "RESOURCE_EXHAUSTED",
  /** The conversation's record could not be read. */
  TRANSCRIPT_NOT_READ: "INTERNAL",
  /** The conversation's record could not be written. */
  TRANSCRIPT_NOT_WRITTEN: "INTERNAL",
  /** The model API failed. */
  MODEL_ERROR: "INTERNAL",
  /** The model refused to go on. */
  MODEL_REFUSED: "INTERNAL",
  /** The model API refused the credential. */
  AUTHENTICATION_FAILED: "INTERNAL",
  /** The answer was longer than the model may write. */
  ANSWER_CUT: "INTERNAL",
  /** The conversation does not fit into the model's context. */
  PROMPT_TOO_LONG: "INTERNAL",
  /** One turn used all the model steps that it may take. */
  STEP_LIMIT_REACHED: "INTERNAL",
  /** A budget of the session or of the host is used up. */
  BUDGET_REACHED: "INTERNAL",
  /** The session's time is over. */
  TIMED_OUT: "INTERNAL",

  // Containers and the engine.
  /** The runtime cannot be reached. */
  RUNTIME_UNAVAILABLE: "UNAVAILABLE",
  /** The runtime is of a kind or version that does not do. */
  RUNTIME_UNSUPPORTED: "FAILED_PRECONDITION",
  /** This user may not use the runtime. */
  RUNTIME_PERMISSION_DENIED: "FAILED_PRECONDITION",
  /** The runtime does not enforce limits. */
  LIMITS_NOT_ENFORCED: "FAILED_PRECONDITION",
  /** The image is not there. */
  IMAGE_NOT_FOUND: "FAILED_PRECONDITION",
  /** The agent's image is not there yet; the first session builds it. */
  IMAGE_NOT_BUILT: "FAILED_PRECONDITION",
  /** The agent's image, which is built with its first use, could not be built. */
  IMAGE_BUILD_FAILED: "FAILED_PRECONDITION",
  /** The runtime made no container. */
  CONTAINER_CREATE_FAILED: "ABORTED",
  /** The runtime made no container in time. */
  CONTAINER_CREATE_TIMED_OUT: "UNAVAILABLE",
  /** The container ended by itself. */
  CONTAINER_EXITED: "FAILED_PRECONDITION",
  /** The container was killed from outside. */
  CONTAINER_KILLED: "INTERNAL",
  /** The container is of a runtime that this host does not have. */
  RUNTIME_DIFFERS: "FAILED_PRECONDITION",
  /** The container was ended for want of room where it ran. */
  CONTAINER_EVICTED: "INTERNAL",
  /** Somebody else removed the container. */
  CONTAINER_REMOVED: "INTERNAL",
  /** The container could not be removed. */
  CONTAINER_REMOVE_FAILED: "UNAVAILABLE",
  /** The runtime did not take files for its containers. */
  SUPPLY_FAILED: "UNAVAILABLE",
  /** The container ran out of memory. */
  OUT_OF_MEMORY: "INTERNAL",
  /** The container ended when its engine did. */
  RUNTIME_RESTARTED: "INTERNAL",
  /** A connection to an agent or to the host is lost. */
  CONNECTION_LOST: "UNAVAILABLE",
  /** The engine filter does not pass the call on. */
  ENGINE_CALL_REFUSED: "PERMISSION_DENIED",

  // The host.
  /** The host is shutting down; its sessions go on. */
  HOST_CLOSING: "UNAVAILABLE",
  /** A host of this state directory is running already. */
  HOST_RUNNING: "FAILED_PRECONDITION",
  /** The host has sessions under way. */
  HOST_BUSY: "FAILED_PRECONDITION",
  /** The host could not be started. */
  HOST_START_FAILED: "UNAVAILABLE",
  /** The host is running and does not answer. */
  HOST_UNRESPONSIVE: "UNAVAILABLE",
  /** The host is too old for the call. */
  HOST_OUTDATED: "FAILED_PRECONDITION",
  /** The host and this program cannot work together. */
  HOST_INCOMPATIBLE: "FAILED_PRECONDITION",
  /** The host has another state directory than this program. */
  HOST_STATE_DIFFERS: "FAILED_PRECONDITION",
  /** The host does not keep to the contract. */
  HOST_INVALID: "INTERNAL",
  /** The host's directories were removed. */
  DIRECTORIES_GONE: "FAILED_PRECONDITION",
  /** The user's home directory is not known. */
  HOME_UNKNOWN: "FAILED_PRECONDITION",
  /** The state directory may be changed by others. */
  STATE_DIR_UNSAFE: "FAILED_PRECONDITION",
  /** The state directory cannot be used. */
  STATE_DIR_UNUSABLE: "FAILED_PRECONDITION",
  /** A file in the state directory cannot be used. */
  STATE_FILE_UNUSABLE: "FAILED_PRECONDITION",
  /** The runtime directory may be changed by others. */
  RUNTIME_DIR_UNSAFE: "FAILED_PRECONDITION",
  /** The runtime directory's path is too long for a socket. */
  RUNTIME_DIR_TOO_LONG: "FAILED_PRECONDITION",
  /** The runtime directory cannot be used. */
  RUNTIME_DIR_UNUSABLE: "FAILED_PRECONDITION",
  /** The directory for a socket cannot be used. */
  SOCKET_DIR_UNUSABLE: "FAILED_PRECONDITION",
  /** A lock file cannot be used. */
  LOCK_UNUSABLE: "FAILED_PRECONDITION",
  /** A file that was named cannot be used. */
  FILE_UNUSABLE: "FAILED_PRECONDITION",
  /** The store cannot be read or written now. */
  STORE_FAILED: "INTERNAL",
  /** The store is damaged. */
  STORE_CORRUPT: "FAILED_PRECONDITION",
  /** The store may not be written. */
  STORE_NOT_WRITABLE: "FAILED_PRECONDITION",
  /** Another host has the store open. */
  STORE_IN_USE: "FAILED_PRECONDITION",
  /** The store was written by a newer version. */
  STORE_TOO_NEW: "FAILED_PRECONDITION",

  // Settings and arguments.
  /** config.json does not say what it may. */
  CONFIG_INVALID: "FAILED_PRECONDITION",
  /** config.json was changed while the host was running. */
  CONFIG_CHANGED: "FAILED_PRECONDITION",
  /** config.json cannot be written. */
  CONFIG_NOT_WRITABLE: "FAILED_PRECONDITION",
  /** config.json cannot be read. */
  CONFIG_UNREADABLE: "FAILED_PRECONDITION",
  /** config.json may be changed by others. */
  CONFIG_UNSAFE: "FAILED_PRECONDITION",
  /** The CA bundle cannot be read. */
  CA_UNREADABLE: "FAILED_PRECONDITION",
  /** The proxy's address is none. */
  PROXY_INVALID: "FAILED_PRECONDITION",
  /** No credential for the model is configured. */
  NO_CREDENTIAL: "FAILED_PRECONDITION",
  /** The credential is empty. */
  CREDENTIAL_EMPTY: "FAILED_PRECONDITION",
  /** The credential is none. */
  CREDENTIAL_INVALID: "FAILED_PRECONDITION",
  /** The credential cannot be read. */
  CREDENTIAL_UNREADABLE: "FAILED_PRECONDITION",
  /** The command that gives a credential failed. */
  CREDENTIAL_HELPER_FAILED: "FAILED_PRECONDITION",
  /** The provider of the model is not supported. */
  PROVIDER_UNSUPPORTED: "FAILED_PRECONDITION",
  /** The model's endpoint is no URL that works. */
  ENDPOINT_INVALID: "FAILED_PRECONDITION",
  /** The egress settings do not fit together. */
  EGRESS_INVALID: "FAILED_PRECONDITION",
  /** A ref that may be pushed to is none. */
  PUSH_REF_INVALID: "FAILED_PRECONDITION",
  /** The log level is none. */
  LOG_LEVEL_INVALID: "FAILED_PRECONDITION",
  /** A setting is no number, or out of bounds. */
  NUMBER_INVALID: "FAILED_PRECONDITION",
  /** An address to listen on is none. */
  ADDRESS_INVALID: "INVALID_ARGUMENT",
  /** An address to listen on can be reached from outside. */
  ADDRESS_NOT_LOOPBACK: "INVALID_ARGUMENT",
  /** A count that bounds a list is none. */
  LIMIT_INVALID: "INVALID_ARGUMENT",
  /** A host elsewhere wants a token, and no file is named that holds one. */
  TOKEN_FILE_MISSING: "INVALID_ARGUMENT",
  /** The token file cannot be read. */
  TOKEN_FILE_UNREADABLE: "FAILED_PRECONDITION",
  /** The token is too short. */
  TOKEN_TOO_SHORT: "FAILED_PRECONDITION",
  /** The name of a caller's token is none. */
  TOKEN_NAME_INVALID: "INVALID_ARGUMENT",
  /** There is a token with this name. */
  TOKEN_EXISTS: "INVALID_ARGUMENT",
  /** There is no token with this name. */
  TOKEN_UNKNOWN: "NOT_FOUND",
  /** Somebody else is changing the callers' tokens. */
  TOKENS_BUSY: "UNAVAILABLE",
  /** What is kept of the callers' tokens cannot be used. */
  TOKENS_INVALID: "FAILED_PRECONDITION",
} as const satisfies Record<string, ErrorKind>;

/** Reason of an error, or of a session's failure. */
export type ErrorReason = keyof typeof ERROR_REASONS;
