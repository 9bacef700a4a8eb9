import { expect, onTestFinished, test } from 'vitest';
import { openElasticsearch } from '../../ingest/sinks/elasticsearch.ts';
import { bulkOf, document, noon } from '../support/documents.ts';
import { quiet } from '../support/log.ts';
import {
  bulkIds,
  failure,
  ScriptedElasticsearch,
  type Answer,
  type SeenRequest,
} from '../support/scripted-elasticsearch.ts';

const forever = new AbortController().signal;
const hour = 3_600_000;

/** Plays a data stream: its indices, each with its documents. */
class Stream {
  readonly indices: { name: string; createdAt: number; ids: Set<string> }[] = [];
  /** What a bulk meets after it was stored. */
  trouble: Answer | undefined;
  /** Who is not allowed to do what. */
  forbidden = /^$/;

  constructor() {
    this.rollOver(noon - 24 * hour);
  }

  rollOver(createdAt: number): void {
    this.indices.push({ name: `.ds-logs-00000${this.indices.length + 1}`, createdAt, ids: new Set() });
  }

  readonly answer = (request: SeenRequest): Answer | undefined => {
    const [path = ''] = request.url.split('?');
    const json = (json: unknown): Answer => ({ status: 200, json });
    if (this.forbidden.test(path)) return failure(403, 'security_exception', 'unauthorized');
    const index = this.indices.find(({ name }) => path.startsWith(`/${name}/`));
    if (path.endsWith('/_mget')) {
      const { ids }: { ids: string[] } = JSON.parse(request.body);
      return json({ docs: ids.map((_id) => ({ _id, found: index?.ids.has(_id) ?? false })) });
    }
    if (path.includes('/_settings')) {
      const settings = this.indices.map(({ name, createdAt }) => [
        name,
        { settings: { 'index.creation_date': `${createdAt}` } },
      ]);
      return json(Object.fromEntries(settings));
    }
    if (!path.endsWith('/_bulk')) return undefined;
    if (index !== undefined) {
      const ids = request.body
        .split('\n')
        .filter(Boolean)
        .map((line): string => JSON.parse(line).delete._id);
      return json({ items: ids.map((_id) => ({ delete: { _id, status: index.ids.delete(_id) ? 200 : 404 } })) });
    }
    const last = this.indices.at(-1);
    const items = bulkIds(request).map((id) => {
      const status = last?.ids.has(id) === true ? 409 : 201;
      last?.ids.add(id);
      return { create: { _index: last?.name, status } };
    });
    return this.trouble ?? json({ items });
  };

  /** In which indices a document is. */
  places(id: string): number[] {
    return this.indices.flatMap(({ ids }, index) => (ids.has(id) ? [index + 1] : []));
  }
}

interface Scene {
  readonly stream: Stream;
  readonly server: ScriptedElasticsearch;
  readonly possible: () => number;
  /** What becomes of documents that arrived so long, in ms, after now. */
  readonly deliver: (ids: string, arrived?: number) => Promise<string[]>;
}

async function open(): Promise<Scene> {
  const server = await ScriptedElasticsearch.start();
  const stream = new Stream();
  server.answer(stream.answer);
  const sink = openElasticsearch({ nodes: [server.url], dataset: 'docker', namespace: 'default', log: quiet });
  onTestFinished(async () => {
    await sink[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const deliver = async (ids: string, arrived = 1000): Promise<string[]> => {
    const createdAt = (Date.now() + arrived) * 1000;
    const documents = Array.from(ids, (id) => ({ ...document({ id, time: noon }), createdAt }));
    return (await sink.deliver(bulkOf(documents), forever)).map(({ status }) => status);
  };
  return { stream, server, deliver, possible: () => sink.possibleDuplicates };
}

const lost: [string, Answer][] = [
  ['a cut connection', 'cut'],
  ['a proxy that gives up', { status: 504, text: '<html>', type: 'text/html' }],
  ['an answer that is no JSON', { status: 200, text: '{"it', type: 'application/json' }],
];

test.each(lost)('after %s and a rollover each record is there once, where it was first', async (_, trouble) => {
  const { stream, deliver, possible } = await open();
  await deliver('a');
  stream.trouble = trouble;
  await expect(deliver('bcd')).rejects.toMatchObject({ name: 'SinkError' });
  stream.rollOver(Date.now());
  stream.trouble = undefined;
  expect(await deliver('bcde')).toEqual(['indexed', 'indexed', 'indexed', 'indexed']);
  expect(Array.from('abcde', (id) => stream.places(id))).toEqual([[1], [1], [1], [1], [2]]);
  expect(possible()).toBe(0);
});

test('so it is if the answer after the rollover is lost too, and if the mending fails at first', async () => {
  const { stream, server, deliver } = await open();
  await deliver('a');
  stream.trouble = 'cut';
  await expect(deliver('b')).rejects.toMatchObject({ code: 'unavailable' });
  stream.rollOver(Date.now());
  await expect(deliver('b')).rejects.toMatchObject({ code: 'unavailable' });
  expect(stream.places('b')).toEqual([1, 2]);
  stream.trouble = undefined;
  server.answer((request) => (request.url.includes('/_mget') ? 'cut' : stream.answer(request)));
  await expect(deliver('b')).rejects.toMatchObject({ code: 'unavailable' });
  server.answer(stream.answer);
  await deliver('b');
  expect(stream.places('b')).toEqual([1]);
});

test('a record whose bulk was lost before anything was answered is found too', async () => {
  const { stream, deliver } = await open();
  stream.trouble = 'cut';
  await expect(deliver('b')).rejects.toMatchObject({ code: 'unavailable' });
  stream.rollOver(Date.now());
  stream.trouble = undefined;
  await deliver('b');
  expect(stream.places('b')).toEqual([1]);
});

test('what an earlier life may have sent is looked for where there was a rollover since it came', async () => {
  const { stream, server, deliver } = await open();
  stream.indices[0]?.ids.add('b');
  stream.rollOver(Date.now());
  await deliver('bc', -1000);
  expect([stream.places('b'), stream.places('c')]).toEqual([[1], [2]]);
  const asked = server.to(/_mget/).length;
  await deliver('d', 1000);
  expect(server.to(/_mget/)).toHaveLength(asked);
});

test('without a rollover since then, nothing is looked for', async () => {
  const { stream, server, deliver } = await open();
  stream.rollOver(noon);
  await deliver('a', -1000);
  stream.trouble = 'cut';
  await expect(deliver('b')).rejects.toMatchObject({ code: 'unavailable' });
  stream.trouble = undefined;
  expect(await deliver('b')).toEqual(['duplicate']);
  expect(server.to(/_mget/)).toEqual([]);
});

test.each([
  ['look at the indices', /_settings/],
  ['look for documents', /_mget/],
  ['delete', /\.ds-.*_bulk/],
])('where it may not %s, what may be there twice is counted', async (_, forbidden) => {
  const { stream, deliver, possible } = await open();
  await deliver('a');
  stream.trouble = 'cut';
  await expect(deliver('bc')).rejects.toMatchObject({ code: 'unavailable' });
  stream.rollOver(Date.now());
  stream.trouble = undefined;
  stream.forbidden = forbidden;
  expect(await deliver('bc')).toEqual(['indexed', 'indexed']);
  expect(possible()).toBe(2);
  await deliver('d');
  expect(possible()).toBe(2);
});
