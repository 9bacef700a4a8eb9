import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import { ConfigError } from '../config/error.ts';
import { StartError } from '../start-error.ts';
import type { Supervisor } from './supervisor.ts';

/** What is read again when workers are replaced. */
export interface ReplaceOptions {
  /** That of the start. */
  readonly config: Config;
  readonly load: () => Config;
  /** The configuration's file, if `--config` named one. */
  readonly file: string | undefined;
  readonly log: Logger;
}

/**
 * Replaces workers by such with the configuration as it is then, if it can be used; who asks meanwhile asks for one more
 * time. It never throws: what is wrong is told in the log, and all stays as it is.
 */
export function replaceWorkers(supervisor: Supervisor, options: ReplaceOptions): () => Promise<void> {
  const { config, load, file, log } = options;
  let replacing: Promise<void> | undefined;
  let again = false;

  async function replace(): Promise<void> {
    try {
      const next = load();
      if (next.data !== config.data) {
        log.error({ data: config.data, asked: next.data }, 'data cannot change while it runs; start it anew for that');
        return;
      }
      log.info({ workers: next.workers }, 'workers are replaced');
      await supervisor.replace({ file, count: next.workers });
      log.info(
        { workers: next.workers },
        'workers were replaced: users, certificates and the configuration are read again',
      );
    } catch (error) {
      if (error instanceof ConfigError) {
        log.error({ problems: error.problems }, 'the configuration can no longer be used; the one in force stays so');
      } else if (error instanceof StartError) {
        log.error({ reason: error.message }, 'workers with the new configuration cannot start; the old ones go on');
      } else {
        log.error({ err: error }, 'workers could not be replaced');
      }
    }
  }

  async function untilDone(): Promise<void> {
    do {
      again = false;
      await replace();
    } while (again);
  }

  return async () => {
    again = replacing !== undefined;
    replacing ??= untilDone().finally(() => (replacing = undefined));
    await replacing;
  };
}
