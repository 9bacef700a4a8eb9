import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Source } from '../../ingest/block.ts';
import { joinDatagrams } from '../../ingest/parse/frames.ts';
import { markAt } from '../../ingest/spool/mark.ts';
import { BlockLog, rendererOf, sourceOf } from '../support/block-log.ts';
import { noon } from '../support/rendering.ts';

const piece = 16_384;
const forever = new AbortController().signal;

const header = (container: string, severity = 6): string =>
  `<${24 + severity}>1 2026-11-24T12:00:00Z node ${container} 912 ${container} - `;

/** A line as Docker's driver sends it: in pieces, which it cuts without looking at characters. */
function pieces(container: string, line: string | Buffer, severity = 6): Buffer[] {
  const bytes = Buffer.from(line);
  const all: Buffer[] = [];
  for (let at = 0; at < bytes.length || at === 0; at += piece) {
    all.push(
      Buffer.concat([Buffer.from(header(container, severity)), bytes.subarray(at, at + piece), Buffer.from('\n')]),
    );
  }
  return all;
}

test('a long line is one record: that of its first piece, with the characters that the cuts went through', async () => {
  const line = `${'a'.repeat(piece - 1)}é${'b'.repeat(piece)}€ and the rest`;
  const log = new BlockLog();
  for (const one of pieces('web', line)) log.add(one);
  const { records } = await log.read();
  expect(records).toHaveLength(1);
  expect(records[0]).toMatchObject({ message: line, sequence: noon + 164, createdAt: noon });
  expect(records[0]).not.toHaveProperty('tags');
});

test.each([
  ['all in one block', (all: Buffer[], log: BlockLog) => log.add(Buffer.concat(all))],
  [
    'in counted frames',
    (all: Buffer[], log: BlockLog) =>
      log.add(Buffer.concat(all.map((one) => Buffer.concat([Buffer.from(`${one.length} `), one]))), {
        kind: 'octet-stream',
      }),
  ],
  [
    'in datagrams',
    (all: Buffer[], log: BlockLog) =>
      log.add(joinDatagrams(all.map((one) => one.subarray(0, -1))), { kind: 'datagrams' }),
  ],
])('pieces are joined that come %s', async (_, add) => {
  const log = new BlockLog();
  const line = 'x'.repeat(3 * piece + 5);
  add([...pieces('web', line), ...pieces('web', 'short')], log);
  expect(await log.messages()).toEqual([line, 'short']);
});

test('the lines of other containers, streams and connections between the pieces stay whole', async () => {
  const log = new BlockLog();
  const [out, err, other] = [
    pieces('web', 'o'.repeat(40_000)),
    pieces('web', 'e'.repeat(40_000), 3),
    pieces('db', 'd'.repeat(40_000)),
  ];
  for (const [n, one] of out.entries()) {
    log.add(one);
    log.add(err[n] ?? '');
    log.add(Buffer.concat([other[n] ?? Buffer.alloc(0), ...pieces('cron', 'tick')]));
    log.add(one, { source: sourceOf(2) });
  }
  expect((await log.messages()).toSorted()).toEqual(
    ['d', 'e', 'o', 'o']
      .map((letter) => letter.repeat(40_000))
      .concat('tick', 'tick', 'tick')
      .toSorted(),
  );
});

test('a line of just one piece ends when its connection goes on much later, and not before', async () => {
  const log = new BlockLog();
  const [first = Buffer.alloc(0)] = pieces('web', 'a'.repeat(piece));
  log.add(first);
  log.add(pieces('web', 'b').join(''), { arrivedAt: noon + 2_000_000 });
  expect(await log.messages()).toEqual([`${'a'.repeat(piece)}b`]);
  const late = new BlockLog();
  late.add(first);
  late.add(pieces('db', 'c').join(''), { arrivedAt: noon + 9_000_000, source: sourceOf(2) });
  late.add(pieces('web', 'b').join(''), { arrivedAt: noon + 2_000_001 });
  expect(await late.messages()).toEqual(['c', 'a'.repeat(piece), 'b']);
});

test('a mark ends the lines before the place that it names, and no others', async () => {
  const log = new BlockLog();
  log.add(pieces('a', 'a'.repeat(piece)).join(''));
  log.add(pieces('b', 'b'.repeat(piece)).join(''));
  const place = log.blocks[1]?.at ?? { segment: 0, offset: 0 };
  log.add(markAt(place).payload, { kind: 'mark' });
  log.add([...pieces('a', '1'), ...pieces('b', '2')].join(''));
  expect(await log.messages()).toEqual(['a'.repeat(piece), '1', `${'b'.repeat(piece)}2`]);
});

test('a mark that is none changes nothing', async () => {
  const log = new BlockLog();
  log.add(pieces('a', 'a'.repeat(piece)).join(''));
  for (const payload of ['', 'x', '1', '1 2 3', '-1 5', `${'9'.repeat(40)} 1`]) log.add(payload, { kind: 'mark' });
  log.add(pieces('a', '!').join(''));
  expect(await log.messages()).toEqual([`${'a'.repeat(piece)}!`]);
});

test('a line ends at 1 MiB, and says that it was cut; what follows is the next', async () => {
  const log = new BlockLog();
  const line = 'z'.repeat(1024 * 1024 + 2 * piece + 1);
  for (const one of pieces('web', line)) log.add(one);
  const { records } = await log.read();
  expect(records.map(({ message, tags }) => [message.length, tags])).toEqual([
    [1024 * 1024, ['truncated']],
    [2 * piece + 1, undefined],
  ]);
});

test('of very many lines that have no rest the oldest come first, so that their number is bounded', async () => {
  const log = new BlockLog();
  const lines = Array.from({ length: 600 }, (_, n) => `${String(n).padStart(8, '0')}${'.'.repeat(piece - 8)}`);
  for (const [n, line] of lines.entries()) log.add(pieces(`c${n}`, line).join(''));
  const rendering = rendererOf().open([]);
  let early = 0;
  for (const { block, at } of log.blocks) {
    for await (const some of rendering.documents(block, at, forever)) early += some.records;
  }
  expect(early).toBe(600 - 512);
  expect(rendering.end().records).toBe(512);
  expect(await log.messages()).toEqual(lines);
});

test("a terminal's CR at the end of a long line is none of it, and bytes that are no UTF-8 are told", async () => {
  const log = new BlockLog();
  const bytes = Buffer.concat([Buffer.alloc(piece, 0xff), Buffer.from('end\r')]);
  for (const one of pieces('web', bytes)) log.add(one);
  const { records } = await log.read();
  expect(records.map(({ message, tags }) => [message.endsWith('end'), tags])).toEqual([[true, ['invalid_utf8']]]);
});

test('whatever the lines, their order, their blocks and their times: each long line is one record', async () => {
  const line = fc.tuple(
    fc.constantFrom('web', 'db'),
    fc.constantFrom(6, 3),
    fc.constantFrom(1, 2),
    fc.nat({ max: 70_000 }).filter((length) => length % piece !== 0),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 8 }), fc.infiniteStream(fc.nat({ max: 7 })), async (lines, choice) => {
      const queues = new Map<string, { source: Source; pieces: Buffer[] }>();
      const expected: string[] = [];
      for (const [n, [container, severity, connection, length]] of lines.entries()) {
        const text = `${n} `.padEnd(length, 'é');
        const kept = Buffer.from(text).subarray(0, Math.max(length, 2)).toString();
        const cut = Buffer.from(kept);
        if (cut.length % piece === 0) continue;
        expected.push(kept);
        const key = `${container} ${severity} ${connection}`;
        const queue = queues.get(key) ?? { source: sourceOf(connection), pieces: [] };
        queue.pieces.push(...pieces(container, cut, severity));
        queues.set(key, queue);
      }
      const log = new BlockLog();
      let waiting = [...queues.values()];
      while (waiting.length > 0) {
        const queue = waiting[(choice.next().value ?? 0) % waiting.length];
        const count = 1 + ((choice.next().value ?? 0) % 3);
        if (queue !== undefined) log.add(Buffer.concat(queue.pieces.splice(0, count)), { source: queue.source });
        waiting = waiting.filter(({ pieces }) => pieces.length > 0);
      }
      const { records, ends } = await log.read();
      expect(records.map(({ message }) => message).toSorted()).toEqual(expected.toSorted());
      // Wherever the reading is taken up: no record is another, and none is missing that was not whole by then.
      for (const { resume, found } of ends) {
        const unfinished = resume === 0 ? [] : (ends[resume - 1]?.unfinished ?? []);
        const again = (await log.read(resume, unfinished)).records;
        const ids = new Map(records.map((record) => [record.id, record.message]));
        for (const { id, message } of again) expect(ids.get(id)).toBe(message);
        const before = records.slice(0, found);
        expect(new Set([...before, ...again].map(({ id }) => id))).toEqual(new Set(ids.keys()));
      }
    }),
    { numRuns: 30 },
  );
});
