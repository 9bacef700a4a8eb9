import { expect, test } from 'vitest';
import { createRenderer } from '../../ingest/parse/documents.ts';
import { Rules } from '../../ingest/rules/rules.ts';
import { Shipper } from '../../ingest/shipper.ts';
import { random } from '../support/random.ts';
import { block, disk, drain, Machine, MemorySink, shipLive, silent, source } from '../support/spool.ts';

const shipperTo = (sink: MemorySink): Shipper =>
  new Shipper({
    renderer: createRenderer({
      clusters: { fallback: 'default', reserved: new Set() },
      dataset: 'docker',
      namespace: 'main',
      lookup: async () => undefined,
      rules: new Rules([{ name: 'noise', match: { contains: 'drop' }, action: { kind: 'drop' } }]),
      log: silent,
    }),
    sink,
    deadLetters: sink,
    log: silent,
    backoff: [1, 2],
  });

const isNote = (message: string): boolean => message.endsWith('dropped by the rule noise');
const told = (sink: MemorySink): number =>
  sink.messages.filter(isNote).reduce((sum, message) => sum + Number.parseInt(message, 10), 0);

test('a spool that is delivered in one life tells of all that was dropped', async () => {
  const spool = await new Machine().open(await disk(), { segmentSize: 60_000 });
  const sink = new MemorySink();
  for (let n = 0; n < 100; n += 1) await spool.append(block(source('a'), '<30>x: drop\n'.repeat(50)));
  await drain(spool, shipperTo(sink));
  expect(told(sink)).toBe(5000);
  const notes = sink.messages.length;
  expect(spool.totals).toMatchObject({
    readRecords: 5000 + notes,
    droppedRecords: 5000,
    indexedRecords: notes,
    unreadBytes: 0,
  });
});

test('whatever dies: what stays arrives once, what is dropped is counted once, and is told of at most once', async () => {
  for (let seed = 0; seed < 8; seed += 1) {
    const draw = random(seed);
    const machine = new Machine();
    const sink = new MemorySink();
    let fileSystem = await disk(seed);
    const stay: string[] = [];
    let dropped = 0;
    for (let life = 0; life < 4; life += 1) {
      const spool = await machine.open(fileSystem, { segmentSize: 20_000 });
      const ship = shipperTo(sink);
      const live = shipLive(spool.live, ship);
      for (let n = 0; n < 40; n += 1) {
        const text = `${draw.chance(0.5) ? 'drop' : 'stay'} ${life} ${n}`;
        await spool.append(block(source('a'), `<30>x: ${text}\n`));
        if (text.startsWith('drop')) dropped += 1;
        else stay.push(text);
      }
      fileSystem = draw.chance(0.5) ? fileSystem.crash() : fileSystem.kill();
      machine.processDied();
      await live.stop();
    }
    const spool = await machine.open(fileSystem);
    await drain(spool, shipperTo(sink));
    const { readRecords, indexedRecords, droppedRecords, unreadBytes } = spool.totals;
    expect(sink.messages.filter((message) => !isNote(message)).toSorted(), `seed ${seed}`).toEqual(stay.toSorted());
    expect({ droppedRecords, unreadBytes }, `seed ${seed}`).toEqual({ droppedRecords: dropped, unreadBytes: 0 });
    expect(readRecords).toBe(indexedRecords + droppedRecords);
    expect(told(sink)).toBeLessThanOrEqual(dropped);
  }
});
