import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bulk } from '../../ingest/bulk.ts';
import { parseQuery } from '../../ingest/query/parse.ts';
import { rowsOf } from '../../ingest/sinks/embedded-row.ts';
import { factsOf } from '../../ingest/sinks/embedded-schema.ts';
import { openEmbedded } from '../../ingest/sinks/embedded.ts';
import { noon } from '../support/documents.ts';
import { quiet } from '../support/log.ts';

const forever = new AbortController().signal;

interface Sketch {
  readonly message?: unknown;
  readonly sequence?: number;
  readonly port?: number;
  readonly shiplog?: object;
  readonly more?: object;
}

/** A document as the renderer writes it. */
function rendered({ message = 'a line', sequence = 1, port = 1, shiplog, more }: Sketch): string {
  const created = new Date(noon).toISOString();
  return JSON.stringify({
    '@timestamp': new Date(noon + sequence).toISOString(),
    message,
    event: { created, ingested: created, sequence, dataset: 'docker' },
    host: { name: 'node' },
    container: { name: 'web' },
    source: { ip: '127.0.0.1', port },
    ...(shiplog && { shiplog }),
    ...more,
  });
}

function rowOf(json: string): ReturnType<typeof rowsOf>[number] {
  return rowsOf(Buffer.from(`{"create":{"_id":"id"}}\n${json}\n`))[0];
}

const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.constantFrom('"', '\\', ',', ':', '{', '}', 'event', 'created', '","event":{"created":"', '\u0001', '×'))
    .map((parts) => parts.join('')),
);

test('what is read of a document is the same as if it were parsed', () => {
  const stamps = fc.record({ stream: fc.constantFrom('stdout', 'stderr'), time_original: texts }, { requiredKeys: [] });
  const fields = fc.record({ tags: fc.array(texts), fields: fc.dictionary(texts, texts) }, { requiredKeys: [] });
  fc.assert(
    fc.property(texts, fc.nat(), fc.option(stamps), fields, (message, sequence, shiplog, more) => {
      const json = rendered({ message, sequence, ...(shiplog && { shiplog }), more });
      const row = rowOf(json);
      expect(row).toMatchObject({
        json,
        message,
        sequence,
        timestamp: (noon + sequence) * 1000,
        createdAt: noon * 1000,
        facts: factsOf(JSON.parse(json)),
      });
      const { start, text } = row?.common ?? { start: 0, text: '' };
      expect(json.startsWith(text, start)).toBe(true);
    }),
  );
});

test.each([
  ['members come twice', rendered({}).replace(/\}$/, ',"message":"the last"}'), 'the last'],
  ['the message is no text', rendered({ message: 17 }), '17'],
  ['the order is another', '{"message":"first","@timestamp":"2026-11-24T12:00:00.000Z"}', 'first'],
])('a document is parsed where %s', (_, json, message) => {
  expect(rowOf(json)?.message).toBe(message);
  expect(rowOf(json)?.common).toBeUndefined();
});

test.each(['{', rendered({}).slice(0, -1), rendered({}).replace(',"host"', ';"host"')])('%s is no document', (json) => {
  expect(rowOf(json)).toBeUndefined();
});

test('what documents have in common is kept once, and they are found as they came', async () => {
  const data = await mkdtemp(join(tmpdir(), 'shiplog-embedded-'));
  const directory = join(data, 'logs');
  const sent = Array.from({ length: 600 }, (_, index) =>
    rendered({
      message: `line ${index} \u0001 "quoted"`,
      sequence: index,
      port: 1 + (index % 2),
      ...(index % 3 > 0 && { shiplog: { stream: 'stdout', time_original: `Nov 24 12:00:${index}` } }),
      more: index % 5 === 0 ? { tags: [`tag ${index}`] } : {},
    }),
  );
  try {
    // Of the first bulk a file of the version before is made.
    for (const [first, last] of [
      [0, 1],
      [1, 300],
      [300, 600],
    ] as const) {
      await using sink = await openEmbedded({ directory, log: quiet });
      const bulk = Bulk.of(
        sent.slice(first, last).map((json, index) => ({ id: `id ${first + index}`, json })),
        noon * 1000,
      );
      const outcomes = await sink.deliver(bulk, forever);
      expect(outcomes.filter(({ status }) => status === 'indexed')).toHaveLength(last - first);
      await sink[Symbol.asyncDispose]();
      using database = new DatabaseSync(join(directory, '2026-11-24.db'));
      if (first === 0) database.exec('DROP TABLE common; PRAGMA user_version = 2');
      else expect(database.prepare('SELECT count(*) AS count FROM common').get()?.['count']).toBeLessThan(10);
    }
    await using sink = await openEmbedded({ directory, log: quiet });
    const { records } = await sink.search({ limit: 1000 }, forever);
    expect(records).toEqual(sent.toReversed());
    const arrived = await sink.arrivals({ since: 0, limit: 1000 }, forever);
    expect(arrived.records.map(({ json }) => json)).toEqual(sent);
    const query = parseQuery('source.port:2') ?? expect.unreachable();
    const found = await sink.search({ limit: 1000, query }, forever);
    expect(found.records).toEqual(sent.filter((_, index) => index % 2 === 1).toReversed());
  } finally {
    await rm(data, { recursive: true });
  }
});
