import { escapeControls } from '../escape.ts';
import { ask, type ClientOptions, clientOptions, clientUsage, serverOf } from './client.ts';
import { type Command, CommandError, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';

const usage = `Usage: shiplog dead-letters list [--limit N]
       shiplog dead-letters show ID
       shiplog dead-letters replay [ID...]
       shiplog dead-letters drop [ID...]

Shows the records that the log store rejected for good, with its reason; sends them again, once it
would take them; or deletes them. Without an ID replay and drop mean all of them.

  --limit N            the oldest N of them (100 unless given, 10000 at most)
${clientUsage}`;

/** Ids in one request, whose line is bounded. */
const idsAtOnce = 100;

/** `shiplog dead-letters` */
export const deadLetters: Command = async ({ args, env, stdout }) => {
  const { values, positionals } = parseOptions(usage, {
    args: [...args],
    allowPositionals: true,
    options: { ...clientOptions, limit: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const server = serverOf(values, env);
  const [action, ...ids] = positionals;
  const isRight = { list: ids.length === 0, show: ids.length === 1, replay: true, drop: true };
  if (!isAction(action) || !isRight[action]) throw new UsageError(`say what to do with which\n\n${usage}`);
  await print(stdout, await actions[action](server, ids, values.limit ?? '100'));
  return 0;
};

type Action = (server: ClientOptions, ids: readonly string[], limit: string) => Promise<string>;

const actions = {
  list: async (server, _ids, limit) => {
    const answer = await ask(`/api/dead-letters?${new URLSearchParams({ limit }).toString()}`, server);
    const { letters, total }: { letters: { id: string; at: string; reason: string }[]; total: number } = JSON.parse(
      await answer.text(),
    );
    const lines = letters.map(({ id, at, reason }) => `${escapeControls(`${id}  ${at}  ${reason}`)}\n`);
    const rest = total - letters.length;
    return `${lines.join('')}${rest > 0 ? `and ${rest} more\n` : ''}`;
  },
  show: async (server, [id = '']) => {
    const answer = await ask(`/api/dead-letters/${encodeURIComponent(id)}`, server, { also: [404] });
    if (answer.status === 404) throw new CommandError(`there is no dead letter ${id}`);
    return `${escapeControls(await answer.text())}\n`;
  },
  replay: async (server, ids) => {
    let [taken, kept] = [0, 0];
    for (const some of runs(ids)) {
      const answer = await ask(`/api/dead-letters/replay?ids=${some}`, server, { method: 'POST' });
      const replayed: { taken: number; kept: number } = JSON.parse(await answer.text());
      taken += replayed.taken;
      kept += replayed.kept;
    }
    return `${taken} sent, ${kept} stay\n`;
  },
  drop: async (server, ids) => {
    let dropped = 0;
    for (const some of runs(ids)) {
      const answer = await ask(`/api/dead-letters?ids=${some}`, server, { method: 'DELETE' });
      const removed: { dropped: number } = JSON.parse(await answer.text());
      dropped += removed.dropped;
    }
    return `${dropped} deleted\n`;
  },
} as const satisfies Readonly<Record<string, Action>>;

function isAction(text: string | undefined): text is keyof typeof actions {
  return text !== undefined && Object.hasOwn(actions, text);
}

/** What stands for the ids in requests: some at a time, or all. */
function runs(ids: readonly string[]): string[] {
  if (ids.length === 0) return ['*'];
  const starts = Array.from({ length: Math.ceil(ids.length / idsAtOnce) }, (_, index) => index * idsAtOnce);
  return starts.map((start) =>
    ids
      .slice(start, start + idsAtOnce)
      .map(encodeURIComponent)
      .join(','),
  );
}
