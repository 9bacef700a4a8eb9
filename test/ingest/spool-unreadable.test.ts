import { expect, test } from 'vitest';
import { segmentName } from '../../ingest/spool/segment.ts';
import { fault, type Hook } from '../support/faulty-fs.ts';
import { quiet } from '../support/log.ts';
import { block, disk, drain, Machine, MemorySink, shipper, source } from '../support/spool.ts';

test('a spool with a file that cannot be read waits for ever, and holds up no other; once the file is put aside the rest is delivered', async () => {
  const first = await disk();
  const machine = new Machine();
  const dead = await machine.open(first, { segmentSize: 1 });
  for (const text of ['one', 'two', 'three']) await dead.append(block(source('a'), `${text}\n`));
  const directory = `/data/spool/${dead.live.id}`;
  const unreadable = `${directory}/${segmentName(2)}`;
  const fails: Hook = ({ op, path }) => (op === 'read' && path === unreadable ? fault('EIO', op, path) : undefined);

  const fileSystem = first.kill();
  machine.processDied();
  fileSystem.before(fails);
  const told: object[] = [];
  const log = { ...quiet, error: (fields: object) => void told.push(fields) };
  const spool = await machine.open(fileSystem, { log });
  const sink = new MemorySink();
  await spool.append(block(source('b'), 'four\n'));
  for (const attempt of [1, 2]) {
    expect(await spool.adopt(new AbortController().signal)).toEqual([]);
    expect(told).toHaveLength(attempt);
  }
  expect(told[0]).toMatchObject({
    directory,
    err: { message: expect.stringContaining(`${unreadable} cannot be read: EIO`) },
  });
  expect(fileSystem.files().has(unreadable)).toBe(true);

  await fileSystem.mkdir('/data/spool/quarantine', { recursive: true });
  await fileSystem.rename(unreadable, '/data/spool/quarantine/aside');
  await drain(spool, shipper(sink));
  expect(sink.messages).toEqual(['one', 'three', 'four']);
  expect(spool.totals).toMatchObject({ committedBytes: 15, readBytes: 15, unreadBytes: 0 });
  await spool[Symbol.asyncDispose]();
});
