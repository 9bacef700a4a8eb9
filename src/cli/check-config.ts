import { loadConfig, printConfig } from '../config.ts';
import type { Command } from './command.ts';
import { parseOptions } from './options.ts';

const usage = `Usage: shiplog check-config [--config FILE]

Prints the configuration that is in force, as a configuration file that would bring it about; secrets are masked.
Exits with 1, and says what is wrong, if it cannot be used.
`;

/** `shiplog check-config` */
export const checkConfig: Command = async ({ args, env, stdout }) => {
  const { values } = parseOptions(usage, {
    args: [...args],
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  stdout.write(values.help === true ? usage : printConfig(loadConfig({ file: values.config, env })));
  return 0;
};
