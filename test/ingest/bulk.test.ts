import { Buffer } from 'node:buffer';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bulk } from '../../ingest/bulk.ts';
import { BulkBuilder } from '../../ingest/bulk-builder.ts';
import { ByteWriter } from '../../ingest/byte-writer.ts';

const place = (offset: number) => ({ segment: 1, offset });

/** Adds a document of so many bytes and a bit. */
function add(builder: BulkBuilder, id: string, length = 0, began?: number): void {
  builder.writer.text(`{"create":{"_id":"${id}"}}\n{"a":"`);
  builder.writer.copy(Buffer.alloc(length, 'x'));
  builder.writer.text('"}\n');
  builder.add(1000, began === undefined ? undefined : place(began));
}

const ids = (bulk: Bulk): string[] => Array.from(bulk, ({ id }) => id);

test('what is built, joined and picked has its documents, ids and beginnings', () => {
  const builder = new BulkBuilder();
  add(builder, 'a');
  add(builder, 'b', 5, 7);
  const first = builder.take();
  add(builder, 'c', 0, 9);
  const second = builder.take();
  expect(second.isBehind(first)).toBe(true);
  const joined = Bulk.join([first, Bulk.join([]), second, Bulk.of([{ id: 'quo"te\\', json: '{}' }], 5)]);
  expect([ids(joined), joined.records, joined.oldest]).toEqual([['a', 'b', 'c', 'quo"te\\'], 4, 5]);
  expect([...joined.began]).toEqual([
    [1, place(7)],
    [2, place(9)],
  ]);
  const picked = joined.pick([0, 2, 3]);
  expect([ids(picked), [...picked.began]]).toEqual([['a', 'c', 'quo"te\\'], [[1, place(9)]]]);
  expect(Array.from(joined, ({ json }) => json)).toEqual(['{"a":""}', '{"a":"xxxxx"}', '{"a":""}', '{}']);
});

test('bulks that follow each other in memory are sent as one piece', () => {
  const builder = new BulkBuilder();
  const bulks = ['a', 'b', 'c'].map((id) => {
    add(builder, id);
    return builder.take();
  });
  expect(Bulk.join(bulks).pieces).toHaveLength(1);
});

test('memory is freed once the last bulk in it is, and not before; what is kept is never freed', () => {
  const builder = new BulkBuilder();
  // More than a chunk, which is of its own then.
  const large = 9 * 1024 * 1024;
  const bulks = ['a', 'b', 'c', 'd'].map((id) => {
    add(builder, id, large);
    return builder.take();
  });
  const [a, b, c] = bulks.map(({ pieces }) => pieces[0]?.buffer);
  expect([a === b, b === c]).toEqual([false, false]);
  bulks[0]?.free();
  expect(a?.byteLength).toBe(0);
  expect(ids(bulks[1] ?? Bulk.join([]))).toEqual(['b']);
  bulks[1]?.keep();
  bulks[1]?.free();
  expect(ids(bulks[1] ?? Bulk.join([]))).toEqual(['b']);
  const part = bulks[2]?.pick([0]);
  part?.keep();
  bulks[2]?.free();
  expect(ids(part ?? Bulk.join([]))).toEqual(['c']);
});

test('a chunk is used again when all that was in it is freed, and no sooner', () => {
  const builder = new BulkBuilder();
  const take = (length: number): Bulk => {
    add(builder, 'a', length);
    return builder.take();
  };
  const most = 6 * 1024 * 1024;
  const [one, two, other] = [take(10), take(most), take(most)];
  const memory = one.pieces[0]?.buffer;
  expect(other.pieces[0]?.buffer).not.toBe(memory);
  one.free();
  expect(take(most).pieces[0]?.buffer).not.toBe(memory);
  two.free();
  expect(take(most).pieces[0]?.buffer).toBe(memory);
});

test('what is written is what was meant, over all chunks', () => {
  const texts = fc.array(fc.string({ unit: 'binary' }), { maxLength: 20 });
  const writer = new ByteWriter();
  fc.assert(
    fc.property(texts, fc.nat({ max: 1_000_000 }), (texts, padding) => {
      let expected = '';
      for (const text of texts) {
        const bytes = Buffer.from(text);
        writer.escaped(bytes, 0, bytes.length);
        writer.json(text);
        expected += JSON.stringify(bytes.toString()).slice(1, -1) + JSON.stringify(text);
      }
      writer.text('x'.repeat(padding));
      expect(writer.take().bytes.toString()).toBe(expected + 'x'.repeat(padding));
    }),
    { numRuns: 60 },
  );
});

test.each([0, 9, 12_345_678, 999_999_999_999_999, 1_000_000_000_000_000, 1_785_744_000_123_456])(
  'the integer %d, and its last digits to base 36',
  (value) => {
    const writer = new ByteWriter();
    writer.integer(value);
    writer.reserve(7);
    writer.digits36(value, 7);
    expect(writer.take().bytes.toString()).toBe(value + value.toString(36).padStart(7, '0').slice(-7));
  },
);
