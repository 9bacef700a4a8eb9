import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { loadConfig } from '../config.ts';
import { escapeControls } from '../escape.ts';
import { tryRules } from '../logs/try-rules.ts';
import { type Command, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';
import { renderTable } from './table.ts';

const usage = `Usage: shiplog rules test FILE [--config FILE]

Says of each line of a file (-: of the standard input) what ingest.rules would do with it: keep, change or drop, by which
rules, and what its message becomes; at the end, of how many lines each rule drops or changes. Lines are syslog lines
with their header, or what an application writes. The rate limit is left out.
`;

/** `shiplog rules` */
export const rules: Command = async ({ args, env, stdin, stdout }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: { config: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const [verb, file, ...more] = positionals;
  if (verb !== 'test' || file === undefined || more.length > 0) throw new UsageError(`give a file\n\n${usage}`);
  const config = loadConfig({ file: values.config, env });
  const counts = new Map(config.ingest.rules.map(({ name }): [string, number] => [name, 0]));
  for await (const { line, message, rules } of tryRules(config, linesOf(file, stdin))) {
    for (const name of rules) counts.set(name, (counts.get(name) ?? 0) + 1);
    const verdict = message === undefined ? 'drop' : rules.length > 0 ? 'change' : 'keep';
    const by = rules.length > 0 ? ` [${rules.join(', ')}]` : '';
    const text = escapeControls(message ?? line);
    if (!(await print(stdout, `${verdict}${by} ${text}\n`))) return 0;
  }
  const table = renderTable(
    ['RULE', 'LINES'],
    [...counts].map(([name, count]) => [name, String(count)]),
  );
  await print(stdout, `\n${counts.size === 0 ? 'there are no rules: ingest.rules is empty\n' : table}`);
  return 0;
};

async function* linesOf(file: string, stdin: Readable): AsyncGenerator<string> {
  await using handle = file === '-' ? undefined : await open(file);
  const lines = handle?.readLines() ?? createInterface({ input: stdin, crlfDelay: Infinity });
  for await (const line of lines) if (line !== '') yield line;
}
