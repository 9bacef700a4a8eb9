import { type Config, ConfigError, loadConfig } from '../config.ts';
import { certificateChecks } from '../doctor/certificates.ts';
import { failed, type Result, run } from '../doctor/finding.ts';
import { machineChecks } from '../doctor/machine.ts';
import { serverChecks } from '../doctor/server.ts';
import { storeChecks } from '../doctor/stores.ts';
import { escapeControls } from '../escape.ts';
import { type ClientOptions, clientOptions, clientUsage } from './client.ts';
import type { Command } from './command.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';

const usage = `Usage: shiplog doctor [--json] [OPTIONS]

Looks at each part: configuration, data folder, users, free space, clock, certificates, images, log store, the server that runs, and
whether a line sent to it is found again. Says how to mend what fails; exits with 1 if anything does.
Run it as the user of the server, on its machine.

  --json               what was found, as JSON
${clientUsage}`;

/** `shiplog doctor` */
export const doctor: Command = async ({ args, env, stdout }) => {
  const { values } = parseOptions(usage, {
    args: [...args],
    options: { ...clientOptions, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const results = await lookAtAll(() => loadConfig({ file: values.config, env }), {
    env,
    url: values.url,
    user: values.user,
    ca: values.ca,
  });
  const isWell = results.every(({ status }) => status !== 'failed');
  await print(stdout, values.json === true ? `${JSON.stringify({ ok: isWell, checks: results })}\n` : render(results));
  return isWell ? 0 : 1;
};

async function lookAtAll(load: () => Config, client: Omit<ClientOptions, 'config'>): Promise<Result[]> {
  let config: Config;
  try {
    config = load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [{ name: 'configuration', ...failed(error.problems.join('; '), 'see docs/configuration.md') }];
  }
  const checks = [
    ...machineChecks(config),
    ...certificateChecks(config),
    ...storeChecks(config),
    ...serverChecks({ config, ...client }),
  ];
  return Promise.all(checks.map(run));
}

function render(results: readonly Result[]): string {
  const width = Math.max(...results.map(({ name }) => name.length));
  const words = { ok: 'ok', failed: 'FAILED', skipped: '-' };
  return results
    .map(({ name, status, found, mend }) => {
      const lines = [found, ...(mend === undefined ? [] : [`→ ${mend}`])].map(escapeControls);
      return `${words[status].padEnd(6)}  ${name.padEnd(width)}  ${lines.join(`\n${' '.repeat(width + 10)}`)}\n`;
    })
    .join('');
}
