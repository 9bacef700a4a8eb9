import { loadConfig } from '../config.ts';
import { escapeControls } from '../escape.ts';
import { openDriver } from '../open-driver.ts';
import { isName } from '../../storage/names.ts';
import { measureUsage, type RepositoryUsage, type Usage } from '../../storage/usage.ts';
import { type Command, CommandError, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';
import { renderJson } from './render.ts';
import { renderTable, Size } from './table.ts';

const usage = `Usage: shiplog du [REPO] [OPTIONS]

Prints what each repository takes: bytes that it alone has, and those that it shares with others; then what all take
together. It reads the storage that the configuration names, not the server, which may run meanwhile.

  --json         a JSON object a line, sizes in bytes
  --config FILE  the configuration file
`;

/** `shiplog du` */
export const du: Command = async ({ args, env, stdout }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: { config: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const [name, ...more] = positionals;
  if (more.length > 0 || (name !== undefined && !isName(name))) {
    throw new UsageError(`expected one repository at most, such as team/web\n\n${usage}`);
  }
  const config = loadConfig({ file: values.config, env });
  await using driver = await openDriver(config);
  const measured = await measureUsage(driver);
  const repositories = measured.repositories.filter((repository) => name === undefined || repository.name === name);
  if (name !== undefined && repositories.length === 0) throw new CommandError(`there is no repository ${name}`);
  const totals = name === undefined ? measured : undefined;
  await print(stdout, values.json === true ? asJson(repositories, totals) : asText(repositories, totals));
  return 0;
};

function asJson(repositories: readonly RepositoryUsage[], totals: Usage | undefined): string {
  const lines: object[] = repositories.map(({ name, own, shared }) => ({ repository: name, own, shared }));
  if (totals !== undefined) {
    const { blobs, unreferenced, uploads, other } = totals;
    lines.push({ blobs, unreferenced, uploads, other });
  }
  return lines.map((line) => `${renderJson(line)}\n`).join('');
}

function asText(repositories: readonly RepositoryUsage[], totals: Usage | undefined): string {
  const rows = repositories.map(({ name, own, shared }) => [
    new Size(own),
    new Size(shared),
    new Size(own + shared),
    escapeControls(name),
  ]);
  const table = renderTable(['OWN', 'SHARED', 'TOGETHER', 'REPOSITORY'], rows);
  if (totals === undefined) return table;
  const { blobs, unreferenced, uploads, other } = totals;
  const [all, nobodys, unfinished, rest] = [blobs, unreferenced, uploads, other].map((bytes) =>
    String(new Size(bytes)),
  );
  return (
    `${table}\n${all} in blobs, each counted once, of which ${nobodys} belong to no repository; ` +
    `${unfinished} in unfinished uploads; ${rest} in links and the like\n`
  );
}
