import { expect, test } from 'vitest';
import { Bulk } from '../../ingest/bulk.ts';
import { Chunk } from '../../ingest/byte-writer.ts';
import { Deliverer } from '../../ingest/deliverer.ts';
import { Deliveries } from '../../ingest/deliveries.ts';
import { largestDelivery, type Rendered, RenderQueue } from '../../ingest/render-queue.ts';
import { type Outcome, SinkError } from '../../ingest/sinks/sink.ts';
import { noon } from '../support/documents.ts';
import { silent } from '../support/spool.ts';

const text = 'x'.repeat(largestDelivery);

/** A whole delivery of one document. */
function whole(number: number, json = text): Rendered {
  const bulk = Bulk.of([{ id: `${number}`, json }], noon * 1000 + number);
  const place = { segment: 1, offset: number };
  return { bulk, counts: {}, end: { after: place, resume: place, unfinished: [] } };
}

/** Deliveries to a sink whose answers a test gives. */
class Scene implements AsyncDisposable {
  readonly queue = new RenderQueue();
  readonly ended = new AbortController();
  /** Calls of the sink that are not answered, by the document's id. */
  readonly asked = new Map<string, (outcome: Outcome | SinkError) => void>();
  readonly noted: number[] = [];
  readonly deliverer = new Deliverer({
    sink: { mostDeliveries: 4, deliver: (bulk) => this.#deliver(bulk) },
    deadLetters: { add: async () => undefined },
    log: silent,
    backoff: [0, 0],
  });
  readonly deliveries = new Deliveries(
    { advance: ({ offset }) => void this.noted.push(offset) },
    this.queue,
    this.deliverer,
    this.ended.signal,
  );
  #number = 0;

  async #deliver([document]: Bulk): Promise<Outcome[]> {
    const answer = Promise.withResolvers<Outcome | SinkError>();
    this.asked.set(document?.id ?? '', answer.resolve);
    const outcome = await answer.promise;
    if (outcome instanceof SinkError) throw outcome;
    return [outcome];
  }

  add(json?: string): void {
    void this.queue.put(whole((this.#number += 1), json));
  }

  /** Lets it do what it would do by now. */
  async step(): Promise<string[]> {
    for (let n = 0; n < 10; n += 1) {
      this.deliveries.begin();
      await new Promise(setImmediate);
    }
    return [...this.asked.keys()];
  }

  answer(id: string, outcome: Outcome | SinkError = { status: 'indexed' }): void {
    this.asked.get(id)?.(outcome);
    this.asked.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ended.abort();
    for (const id of this.asked.keys()) this.answer(id);
    await this.deliveries[Symbol.asyncDispose]();
  }
}

test('the first goes alone; as long as they are taken quickly, more go at once', async () => {
  await using scene = new Scene();
  for (let n = 0; n < 8; n += 1) scene.add();
  expect(await scene.step()).toEqual(['1']);
  scene.answer('1');
  expect(await scene.step()).toEqual(['2', '3']);
  expect(scene.deliveries.records).toBe(7);
  expect(scene.deliveries.oldest).toBe(noon * 1000 + 2);
});

test('the checkpoint waits for the oldest delivery, and those behind it go on', async () => {
  await using scene = new Scene();
  for (let n = 0; n < 6; n += 1) scene.add();
  await scene.step();
  scene.answer('1');
  await scene.step();
  scene.answer('3');
  expect(await scene.step()).toContain('4');
  scene.answer('4');
  expect(await scene.step()).toContain('2');
  expect(scene.noted).toEqual([1]);
  scene.answer('2');
  await scene.step();
  expect(scene.noted).toEqual([1, 4]);
});

test('beside another delivery only a whole one goes; when none is under way, anything', async () => {
  await using scene = new Scene();
  for (let n = 0; n < 2; n += 1) scene.add();
  await scene.step();
  scene.answer('1');
  scene.add('{}');
  expect(await scene.step()).toEqual(['2']);
  scene.answer('2');
  expect(await scene.step()).toEqual(['3']);
});

test('what is too little for a delivery goes beside one that lasts', async () => {
  await using scene = new Scene();
  for (let n = 0; n < 2; n += 1) scene.add();
  await scene.step();
  scene.answer('1');
  scene.add('{}');
  expect(await scene.step()).toEqual(['2']);
  // Only the clock of the deliveries itself wakes this.
  await scene.queue.change();
  expect(await scene.step()).toEqual(['2', '3']);
});

test.each<[string, Outcome | SinkError]>([
  ['429 for an item', { status: 'retry', reason: '429', overloaded: true }],
  ['an answer for none', new SinkError('unavailable', 'away')],
])('after %s fewer go at once', async (_, outcome) => {
  await using scene = new Scene();
  for (let n = 0; n < 4; n += 1) scene.add();
  await scene.step();
  scene.answer('1');
  await scene.step();
  expect(scene.deliverer.window.size).toBe(2);
  scene.answer('2', outcome);
  scene.answer('3', outcome);
  await scene.step();
  expect(scene.deliverer.window.size).toBe(1);
  expect(scene.asked.has('4')).toBe(false);
});

test('a record that is never taken does not hold up others, nor does it count as trouble of the sink', async () => {
  await using scene = new Scene();
  for (let n = 0; n < 3; n += 1) scene.add();
  await scene.step();
  scene.answer('1');
  await scene.step();
  scene.answer('2', { status: 'retry', reason: 'a red shard' });
  scene.answer('3');
  await scene.step();
  expect(scene.deliverer.trouble?.reason).toBeUndefined();
  for (let n = 0; n < 5; n += 1) {
    scene.add();
    // What is tried again comes by a timer.
    await expect.poll(async () => (await scene.step()).toSorted(), { timeout: 20_000 }).toEqual(['2', `${4 + n}`]);
    scene.answer(`${4 + n}`);
    scene.answer('2', { status: 'retry', reason: 'a red shard' });
    await scene.step();
    expect(scene.deliverer.trouble).toBeUndefined();
  }
  await expect.poll(() => scene.step(), { timeout: 20_000 }).toEqual(['2']);
  expect(scene.deliverer.counts).toMatchObject({ retriedRecords: 6, taken: 7 });
});

test('beyond a bound nothing more is begun before the oldest has ended', async () => {
  await using scene = new Scene();
  scene.add();
  await scene.step();
  scene.answer('1');
  for (let n = 2; n < 100; n += 1) {
    scene.add();
    await scene.step();
    if (n > 2) scene.answer(`${n}`);
  }
  await scene.step();
  const before = scene.deliveries.records;
  expect(before).toBeGreaterThan(30);
  scene.answer('2');
  await scene.step();
  expect(scene.noted.at(-1)).toBe(65);
});

test.each<[what: string, answers: (Outcome | SinkError)[], freed: boolean]>([
  ['that is taken is freed', [{ status: 'indexed' }], true],
  ['that is taken later is freed then', [{ status: 'retry', reason: '429' }, { status: 'indexed' }], true],
  [
    'that may still be on its way from a failed attempt is not',
    [new SinkError('unavailable', 'away'), { status: 'indexed' }],
    false,
  ],
])('the memory of a bulk %s', async (_, answers, freed) => {
  const chunk = new Chunk(64);
  const bytes = chunk.bytes.subarray(0, chunk.bytes.write('{"create":{"_id":"a"}}\n{}\n'));
  const bulk = new Bulk([bytes], 1, noon * 1000, undefined, [chunk]);
  const deliverer = new Deliverer({
    sink: {
      mostDeliveries: 1,
      async deliver([document]) {
        expect(document).toEqual({ id: 'a', json: '{}' });
        const answer = answers.shift();
        if (answer instanceof SinkError || answer === undefined) throw answer;
        return [answer];
      },
    },
    deadLetters: { add: async () => undefined },
    log: silent,
    backoff: [0, 0],
  });
  await deliverer.deliver(bulk, { settle: () => undefined }, new AbortController().signal);
  expect(answers).toEqual([]);
  expect(chunk.bytes.byteLength === 0).toBe(freed);
});
