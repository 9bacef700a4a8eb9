import * as fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import type { StoredBlock } from '../../ingest/block.ts';
import type { RendererOptions } from '../../ingest/parse/documents.ts';
import { endsOfEvents, joinEvents } from '../../ingest/parse/forward-message.ts';
import { joinDatagrams } from '../../ingest/parse/frames.ts';
import { Rules } from '../../ingest/rules/rules.ts';
import { BlockLog, sourceOf } from '../support/block-log.ts';
import { patience, runs } from '../support/effort.ts';
import { eventTime, pack } from '../support/forward.ts';
import { type TestRecord } from '../support/rendered.ts';
import { noon } from '../support/rendering.ts';

afterEach(() => void vi.useRealTimers());

const piece = 16_384;
const tag = `v1|${'ab'.repeat(32)}|web-1|registry.corp/team/web:1||node1|prod`;
const heads = ['2026-11-24T11:59:59Z', '-'].map((stamp) => `<30>1 ${stamp} node1 ${tag} 9 ${tag} - `);
const texts = ['GET / 200', '{"level":"warn","msg":"slow","token":"Bearer abcdefgh12345678"}', 'é', '\u0000', '<<<'];

/** Another time and another configuration than those that the log was read with at first. */
const later = noon / 1000 + 400 * 86_400_000;
const others: Partial<RendererOptions> = {
  clusters: { fallback: 'elsewhere', reserved: new Set(['prod']) },
  dataset: 'other',
  namespace: 'test',
  lookup: () => Promise.reject(new Error('the registry is away')),
  rules: new Rules([{ name: 'secrets', match: {}, action: { kind: 'redact', patterns: ['bearer', 'card'] } }]),
};

const arrivals = fc.nat({ max: 5_000_000 });
const text = fc.oneof(fc.constantFrom(...texts), fc.string({ unit: 'binary', maxLength: 40 }));
/** The end of a long line, or one of its pieces, or all of a short line. */
const line = fc
  .tuple(fc.constantFrom(...heads, '<13>Nov 24 12:00:00 node1 app[7]: ', ''), fc.boolean(), text)
  .map(([head, whole, text]) => `${head}${whole ? text.replaceAll('\n', ' ') : 'p'.repeat(piece)}`);
const lines = fc.array(line, { minLength: 1, maxLength: 3 });
const event = fc.tuple(fc.boolean(), fc.boolean(), text).map(([parted, last, log]) =>
  pack([
    eventTime(noon / 1000),
    {
      log,
      container_name: '/web',
      ...(parted && { partial_message: 'true', partial_id: 'p', partial_ordinal: '1', partial_last: String(last) }),
    },
  ]),
);

interface Bytes {
  readonly kind: StoredBlock['kind'];
  readonly payload: Uint8Array;
}

const payload: fc.Arbitrary<Bytes> = fc.oneof(
  lines.map((lines): Bytes => ({ kind: 'lf-stream', payload: Buffer.from(lines.map((one) => `${one}\n`).join('')) })),
  lines.map((lines): Bytes => {
    const frames = lines.map((one) => `${Buffer.byteLength(one)} ${one}`);
    return { kind: 'octet-stream', payload: Buffer.from(frames.join('')) };
  }),
  lines.map((lines): Bytes => ({ kind: 'datagrams', payload: joinDatagrams(lines.map((one) => Buffer.from(one))) })),
  fc.array(text, { maxLength: 3 }).map((all): Bytes => {
    const records = all.map((message) => `${JSON.stringify({ message, host: 'h', '@timestamp': 'yesterday' })}\n`);
    return { kind: 'json-records', payload: Buffer.from(records.join('')) };
  }),
  fc.array(event, { minLength: 1, maxLength: 3 }).map((all): Bytes => {
    const events = Buffer.concat(all);
    return { kind: 'forward', payload: joinEvents(Buffer.from(tag), [{ events, ends: endsOfEvents(events) ?? [] }]) };
  }),
  fc.array(text, { maxLength: 3 }).map((all): Bytes => {
    const frames = all.map((short_message) =>
      Buffer.from(JSON.stringify({ version: '1.1', host: 'h', short_message })),
    );
    return { kind: 'gelf', payload: joinDatagrams(frames) };
  }),
  fc.uint8Array({ maxLength: 60 }).map((payload): Bytes => ({ kind: 'lf-stream', payload })),
);

/** What is a function of the spool alone. */
const fixed = ({ id, sequence, createdAt, timestamp }: TestRecord): unknown => [id, sequence, createdAt, timestamp];

test(
  'from any earlier checkpoint, much later, otherwise configured: the same ids, and none is missing',
  async () => {
    const blocks = fc.array(fc.tuple(payload, fc.nat({ max: 2 }), arrivals), { minLength: 1, maxLength: 12 });
    vi.useFakeTimers({ toFake: ['Date'] });
    await fc.assert(
      fc.asyncProperty(blocks, async (blocks) => {
        const log = new BlockLog();
        let arrivedAt = noon;
        for (const [{ kind, payload }, connection, after] of blocks) {
          arrivedAt += after;
          log.add(payload, { kind, source: sourceOf(connection), arrivedAt });
        }
        vi.setSystemTime(noon / 1000);
        const { records, ends } = await log.read();
        expect(new Set(records.map(({ id }) => id)).size).toBe(records.length);
        const known = new Map(records.map((record) => [record.id, fixed(record)]));
        vi.setSystemTime(later);
        const whole = { resume: 0, found: 0, unfinished: [] };
        for (const { resume, found } of [whole, ...ends]) {
          const unfinished = resume === 0 ? [] : (ends[resume - 1]?.unfinished ?? []);
          const again = (await log.read(resume, unfinished, others)).records;
          for (const record of again) expect(fixed(record)).toEqual(known.get(record.id));
          const delivered = records.slice(0, found);
          expect(new Set([...delivered, ...again].map(({ id }) => id))).toEqual(new Set(known.keys()));
        }
      }),
      runs(60),
    );
  },
  patience,
);
