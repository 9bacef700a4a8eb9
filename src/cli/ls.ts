import { escapeControls } from '../escape.ts';
import { describe, type Description } from '../images/describe.ts';
import { faultOfCase, parseReference } from '../images/reference.ts';
import { manifestLimit } from '../../storage/manifest.ts';
import { isTag } from '../../storage/names.ts';
import { parallel } from '../../storage/parallel.ts';
import { clientOptions, clientUsage, serverOf } from './client.ts';
import { type Command, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';
import { listRepositories, readWhole, Repository } from './registry-client.ts';
import { renderJson } from './render.ts';
import { renderTable, Size } from './table.ts';

const usage = `Usage: shiplog ls [REPO] [OPTIONS]

Prints the repositories, or the tags of one: digest, size (of config and layers), type, platforms.

  --json               a JSON object a line
${clientUsage}`;

/** Requests at once. */
const width = 8;

/** What is told of a tag. */
interface TagRow extends Description {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly mediaType: string;
}

/** `shiplog ls` */
export const ls: Command = async ({ args, env, stdout }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: { ...clientOptions, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  if (positionals.length > 1) throw new UsageError(`give one repository at most\n\n${usage}`);
  const [name] = positionals;
  const target = name === undefined ? undefined : parseReference(name);
  if (name !== undefined && (target === undefined || target.reference !== undefined)) {
    throw new UsageError(`${faultOfCase(name)}expected a repository such as team/web, not ${name}\n\n${usage}`);
  }
  const server = serverOf(values, env);
  if (target === undefined) {
    const repositories = await Array.fromAsync(listRepositories(server));
    const line = (repository: string): string =>
      values.json === true ? renderJson({ repository }) : escapeControls(repository);
    await print(stdout, repositories.map((repository) => `${line(repository)}\n`).join(''));
    return 0;
  }
  const rows = await describeTags(new Repository(target.repository, server));
  await print(stdout, values.json === true ? rows.map((row) => `${renderJson(row)}\n`).join('') : renderRows(rows));
  return 0;
};

async function describeTags(repository: Repository): Promise<TagRow[]> {
  const tags = (await Array.fromAsync(repository.tags())).filter(isTag);
  const rows = await parallel(tags, width, async (tag): Promise<TagRow[]> => {
    const found = await repository.manifest(tag);
    // It went meanwhile.
    if (found === undefined) return [];
    const { digest, mediaType, bytes } = found;
    const description = await describe(bytes, {
      manifest: (digest) => repository.manifest(digest),
      async config(digest) {
        const body = await repository.blob(digest);
        return body && (await readWhole({ body }, manifestLimit));
      },
    });
    return [{ repository: repository.name, tag, digest, mediaType, ...description }];
  });
  return rows.flat();
}

function renderRows(rows: readonly TagRow[]): string {
  return renderTable(
    ['TAG', 'DIGEST', 'SIZE', 'TYPE', 'PLATFORMS'],
    rows.map(({ tag, digest, size, type, platforms }) => [
      tag,
      digest,
      new Size(size),
      escapeControls(type),
      escapeControls(platforms.join(', ')),
    ]),
  );
}
