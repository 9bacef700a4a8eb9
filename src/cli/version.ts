import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../config.ts';
import type { Command } from './command.ts';
import { parseOptions } from './options.ts';

const usage = `Usage: shiplog version

Prints the version of shiplog, and of the Node that runs it.
`;

/** `shiplog version` */
export const version: Command = async ({ args, stdout }) => {
  const { values } = parseOptions(usage, { args: [...args], options: { help: { type: 'boolean', short: 'h' } } });
  stdout.write(values.help === true ? usage : `shiplog ${await packageVersion()}, Node ${process.versions.node}\n`);
  return 0;
};

/** The version of this package. */
async function packageVersion(): Promise<string> {
  const { version }: { version: string } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8'));
  return version;
}
