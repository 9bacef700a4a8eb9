import { ask, clientOptions, clientUsage, serverOf } from './client.ts';
import type { Command } from './command.ts';
import { parseOptions } from './options.ts';

const usage = `Usage: shiplog health [OPTIONS]

Exits with 0 if the server answers (/health/live), else with 1 and the reason: for a container's health check.

${clientUsage}`;

/** `shiplog health` */
export const health: Command = async ({ args, env, stdout }) => {
  const { values } = parseOptions(usage, {
    args: [...args],
    options: { ...clientOptions, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const answer = await ask('/health/live', serverOf(values, env));
  stdout.write(`${await answer.text()}\n`);
  return 0;
};
