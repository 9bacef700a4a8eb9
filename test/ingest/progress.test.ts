import { expect, test } from 'vitest';
import { Bulk } from '../../ingest/bulk.ts';
import { Progress } from '../../ingest/progress.ts';
import type { Rendered } from '../../ingest/render-queue.ts';
import { addTo, emptyLedger } from '../../ingest/spool/ledger.ts';
import type { Position } from '../../ingest/spool/reader.ts';
import { random } from '../support/random.ts';

const place = (offset: number): Position => ({ segment: 1, offset });

/** What was rendered up to a place, read again from another one. */
function upTo(after: number, resume = after): Rendered {
  const end = { after: place(after), resume: place(resume), unfinished: [] };
  return { bulk: Bulk.join([]), counts: { readBytes: 10 }, end };
}

function noted(): { progress: Progress; at: () => number; ledger: ReturnType<typeof emptyLedger> } {
  let offset = 0;
  const ledger = emptyLedger();
  const progress = new Progress({
    advance(position, _, counts) {
      expect(position.offset).toBeGreaterThan(offset);
      ({ offset } = position);
      addTo(ledger, counts);
    },
  });
  return { progress, at: () => offset, ledger };
}

test('deliveries that end out of order are noted up to the first that is not done', () => {
  const { progress, at, ledger } = noted();
  const [first, second, third] = [10, 20, 30].map((offset) => progress.begin([upTo(offset)]));
  third?.settle('indexedRecords');
  third?.done();
  expect([at(), progress.behind]).toEqual([0, 3]);
  first?.done();
  expect([at(), progress.behind]).toEqual([10, 2]);
  expect(ledger).toMatchObject({ readBytes: 10, indexedRecords: 0 });
  second?.done();
  expect([at(), progress.behind]).toEqual([30, 0]);
  expect(ledger).toMatchObject({ readBytes: 30, indexedRecords: 1 });
});

test('what lies behind the first piece of a line is noted once the line is delivered, which counts where it began', () => {
  const { progress, at, ledger } = noted();
  const [first, second, third] = [upTo(10), upTo(20, 10), upTo(30)].map((part) => progress.begin([part]));
  second?.done();
  first?.done();
  expect(at()).toBe(10);
  third?.settle('deadLetteredRecords', place(10));
  expect(ledger.deadLetteredRecords).toBe(0);
  third?.done();
  expect(at()).toBe(30);
  expect(ledger).toMatchObject({ readBytes: 30, readRecords: 1, deadLetteredRecords: 1 });
});

test('a part of a block is noted with the block’s end', () => {
  const { progress, at, ledger } = noted();
  const [first, second] = [{ bulk: Bulk.join([]), counts: {} }, upTo(10)].map((part) => progress.begin([part]));
  first?.settle('indexedRecords');
  first?.done();
  expect([at(), ledger.indexedRecords]).toEqual([0, 0]);
  second?.done();
  expect([at(), ledger.indexedRecords]).toEqual([10, 1]);
});

test('in whatever order they end, at each moment the ledger has what lies before the place, and nothing else', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const draw = random(seed);
    const { progress, at, ledger } = noted();
    const running: { offset: number; end: () => void }[] = [];
    const ended = new Set<number>();
    const records = new Map<number, number>();
    for (let offset = 10; offset <= 200 || running.length > 0;) {
      if (offset <= 200 && draw.chance(0.5)) {
        const delivery = progress.begin([upTo(offset)]);
        const count = draw.int(4);
        records.set(offset, count);
        const end = (): void => {
          for (let n = 0; n < count; n += 1) delivery.settle('indexedRecords');
          delivery.done();
        };
        running.push({ offset, end });
        offset += 10;
      } else {
        const [one] = running.splice(draw.int(running.length), 1);
        one?.end();
        if (one !== undefined) ended.add(one.offset);
      }
      let expected = 0;
      while (ended.has(expected + 10)) expected += 10;
      expect(at(), `seed ${seed}`).toBe(expected);
      const before = [...records].filter(([offset]) => offset <= expected);
      expect(ledger.indexedRecords).toBe(before.reduce((sum, [, count]) => sum + count, 0));
    }
  }
});
