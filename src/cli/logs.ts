import { ask, clientOptions, clientUsage, serverOf } from './client.ts';
import { type Command, CommandError, UsageError } from './command.ts';
import { follow } from './follow.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';
import { renderJson, renderRecord } from './render.ts';

const usage = `Usage: shiplog logs [QUERY] [OPTIONS]

Prints records that match, oldest first: time, cluster/host, container or service,
image:tag@digest, level, message.

  QUERY                words and "phrases" of the message, field:value with *, and in capitals AND OR NOT ( );
                       fields: host cluster image tag digest container level stream, and those of --json by name;
                       a value is the whole value: image:team/web, image:*web
  --since, --until T   a time such as 2026-08-03T10:00:00Z (UTC without a zone), or a while ago such as 5m
  --limit N            the newest N of them (100 unless given, 50000 at most)
  --image, --host, --cluster, --container X
                       only what has this; * stands for anything
  --follow, -f         then goes on with what comes, until it is interrupted
  --json               whole records, a JSON object a line
${clientUsage}`;

const filters = ['image', 'host', 'cluster', 'container'] as const;

/** `shiplog logs` */
export const logs: Command = async ({ args, env, stdout, stderr }) => {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: {
      since: text,
      until: text,
      limit: text,
      image: text,
      host: text,
      cluster: text,
      container: text,
      ...clientOptions,
      follow: { type: 'boolean', short: 'f' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  if (values.follow === true && values.until !== undefined) {
    throw new UsageError('what is followed has no end: give --follow or --until, not both');
  }
  const query = positionals.join(' ').trim();
  const terms = filters.flatMap((name) => (values[name] === undefined ? [] : [`${name}:${escapeValue(values[name])}`]));
  const q = terms.length === 0 ? query : [...(query === '' ? [] : [`(${query})`]), ...terms].join(' ');
  const limit = values.limit ?? '100';
  const server = serverOf(values, env);
  // It begins before the search, so that nothing falls between the two.
  const followed = values.follow === true ? await follow(q, server, stderr) : undefined;
  const records: unknown[] = [];
  // A search that takes long answers with what it found so far, and where to go on.
  for (let left = limit, before: string | undefined; ;) {
    const parameters = new URLSearchParams({ limit: left });
    for (const [name, value] of Object.entries({ q, since: values.since, until: values.until, before })) {
      if (value !== undefined && value !== '') parameters.set(name, value);
    }
    const page = await readPage(await ask(`/api/logs?${parameters.toString()}`, server));
    records.push(...page.records);
    if (page.next === undefined || records.length >= Number(limit)) break;
    left = String(Number(limit) - records.length);
    before = page.next;
  }
  const colour = stdout.isTTY === true && (env['NO_COLOR'] ?? '') === '';
  const render = (record: unknown): string =>
    values.json === true ? renderJson(record) : renderRecord(record, { colour });
  const lines = records.toReversed().map((record) => `${render(record)}\n`);
  await print(stdout, lines.join(''));
  if (followed === undefined) return 0;
  const shown = new Set(records.map((record) => JSON.stringify(record)));
  for await (const record of followed.records()) {
    if (shown.delete(JSON.stringify(record))) continue;
    if (!(await print(stdout, `${render(record)}\n`))) break;
  }
  return 0;
};

/** A value of the query language, whose separators are escaped; `*` keeps its meaning. */
function escapeValue(value: string): string {
  return value.replace(/[\s()"\\]/g, '\\$&');
}

async function readPage(answer: Response): Promise<{ records: readonly unknown[]; next: string | undefined }> {
  const page: unknown = await answer.json().catch(() => undefined);
  if (typeof page === 'object' && page !== null && 'records' in page && Array.isArray(page.records)) {
    const next = 'next' in page && typeof page.next === 'string' ? page.next : undefined;
    return { records: page.records, next };
  }
  throw new CommandError(`the server answers something that is no page of records; is that a shiplog?`);
}
