import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';

/** Tells systemd that the service is up, where it waits for that (sd_notify(3), `Type=notify`). */
export async function tellReady(env: NodeJS.ProcessEnv, log: Logger): Promise<void> {
  if (env['NOTIFY_SOCKET'] === undefined) return;
  try {
    await promisify(execFile)('systemd-notify', ['--ready'], { env });
  } catch (error) {
    log.error({ err: error }, 'systemd waits to be told that this is up, and systemd-notify fails');
  }
}
