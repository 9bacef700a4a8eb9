import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError } from './command.ts';

/** `parseArgs`, whose complaints are usage errors. `usage` is what `--help` prints. */
export function parseOptions<const T extends ParseArgsConfig>(
  usage: string,
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Node goes on about arguments that start with a dash.
    throw new UsageError(`${message.replace(/\. To specify a positional argument .*/s, '')}\n\n${usage}`, {
      cause: error,
    });
  }
}
