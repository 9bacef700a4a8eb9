import { readFile } from 'node:fs/promises';
import { RegistrySettings, SettingsError } from '../registry2/settings.ts';
import { translate } from '../registry2/translate.ts';
import { type Command, CommandError, UsageError } from './command.ts';
import { parseOptions } from './options.ts';

const usage = `Usage: shiplog import-config [config.yml] > shiplog.yml

Translates a configuration of registry:2 or distribution v3, and its REGISTRY_… variables in the environment, which win.
Without a file it starts from the one in registry:2's image. What has no counterpart is listed in comments, with why;
what matters of it is told on stderr too.
`;

/** What matters of the file in registry:2's image. */
const imageDefaults = `version: 0.1
storage: { filesystem: { rootdirectory: /var/lib/registry } }
http: { addr: ':5000' }
`;

/** `shiplog import-config` */
export const importConfig: Command = async ({ args, env, stdout, stderr }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const [file, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`give one file at most\n\n${usage}`);
  try {
    const translation = translate(new RegistrySettings(await read(file), env));
    stdout.write(translation.text);
    for (const advice of translation.advice) stderr.write(`${advice}\n`);
    return 0;
  } catch (error) {
    if (error instanceof SettingsError)
      throw new CommandError(`${file ?? 'REGISTRY_…'}: ${error.message}`, { cause: error });
    throw error;
  }
};

async function read(file: string | undefined): Promise<string> {
  if (file === undefined) return imageDefaults;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CommandError(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
