import type { Readable, Writable } from 'node:stream';

/** What a command is given. */
export interface CommandContext {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

/** A command of the command line: it answers the exit code. */
export type Command = (context: CommandContext) => Promise<number>;

/** The command line is wrong: exit code 2, with the usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something went wrong that the message explains to whoever typed the command: exit code 1, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
