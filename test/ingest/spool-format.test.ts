import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openPastLedger, emptyLedger } from '../../ingest/spool/ledger.ts';
import { takeSqliteLock } from '../../ingest/spool/lock.ts';
import {
  checksumSeed,
  decodeBlockHeader,
  decodeHeader,
  encodeBlock,
  encodeHeader,
  encodeSource,
} from '../../ingest/spool/segment.ts';
import { openSpool } from '../../ingest/spool/spool.ts';
import { SegmentWriter } from '../../ingest/spool/writer.ts';
import { decodeSpool } from '../support/spool-decoder.ts';
import { block, disk, drain, MemorySink, shipper, silent, source } from '../support/spool.ts';

async function folder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'shiplog-spool-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test('the format is what these bytes are', () => {
  const id = '000102030405060708090a0b0c0d0e0f';
  const predecessor = { number: 6, id: 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', length: 4096 };
  const header = { id, base: 1_790_000_000_000_000, predecessor };
  const bytes = encodeHeader(header);
  expect(bytes.toString('hex')).toBe(
    '534849504c4f4731000102030405060708090a0b0c0d0e0f00e025dafe5b0600' +
      'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff001000000000000006000000a0857212',
  );
  expect(decodeHeader(bytes)).toEqual(header);

  const from = source('c0');
  const one = {
    ...block(from, '<30>hello\n'),
    arrivedAt: 1_790_000_000_000_001,
    flags: { unterminated: true },
  } as const;
  const seed = checksumSeed(id);
  const laidOut = Buffer.concat(encodeBlock(one, encodeSource(from), seed));
  expect(laidOut.toString('hex', 0, 32)).toBe('424c4b31010155000a0000000000000001e025dafe5b0600876b17f263cdf068');
  expect(laidOut.toString('utf8', 32)).toBe(
    '{"listener":"syslog-tcp","connection":"c0","peer":{"address":"10.0.0.1","port":1024}}<30>hello\n',
  );
  expect(decodeBlockHeader(laidOut, 0, seed)).toMatchObject({ kind: 'lf-stream', flags: { unterminated: true } });
});

test('each kind of block has its number', () => {
  const numbers = ['lf-stream', 'octet-stream', 'datagrams', 'json-records', 'mark', 'forward', 'gelf'] as const;
  for (const [index, kind] of numbers.entries()) {
    const [head] = encodeBlock({ ...block(source('c'), 'x'), kind }, encodeSource(source('c')), 1);
    expect([kind, head[4]]).toEqual([kind, index + 1]);
    expect(decodeBlockHeader(head, 0, 1)).toMatchObject({ kind });
  }
});

test('a decoder that knows the documented format alone finds what was appended, in order', async () => {
  await using data = await folder();
  const spool = await openSpool({ directory: `${data.path}/spool`, maxSize: 1 << 30, segmentSize: 4096, log: silent });
  const sources = [source('a'), source('b')];
  const all: Promise<void>[] = [];
  for (let n = 0; n < 500; n += 1) all.push(spool.append(block(sources[n % 2] ?? source('c'), `line ${n}\n`)));
  await Promise.all(all);
  const found = await decodeSpool(`${data.path}/spool`);
  const wanted = (odd: number): string => Array.from({ length: 250 }, (_, n) => `line ${2 * n + odd}\n`).join('');
  expect([found.get('a')?.toString(), found.get('b')?.toString()]).toEqual([wanted(0), wanted(1)]);
  const sink = new MemorySink();
  await drain(spool, shipper(sink));
  expect(sink.messages).toHaveLength(500);
  await spool[Symbol.asyncDispose]();
  expect(await readdir(`${data.path}/spool`)).toEqual(['ledger.db']);
});

test('the size is that of the files, as they come, grow and go', async () => {
  await using data = await folder();
  const spool = await openSpool({ directory: `${data.path}/spool`, maxSize: 1 << 30, segmentSize: 4096, log: silent });
  const { directory } = spool.live;
  const onDisk = async (): Promise<number> => {
    const names = (await readdir(directory)).filter((name) => name.endsWith('.segment'));
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  for (let n = 0; n < 50; n += 1) {
    await spool.append(block(source('a'), `${'x'.repeat(10 * n)}\n`));
    expect(spool.size).toBe(await onDisk());
  }
  await drain(spool, shipper(new MemorySink()));
  expect([spool.size, await onDisk()]).toEqual([0, 0]);
  await spool[Symbol.asyncDispose]();
});

test('sequences go on where the segment before ended, though the clock went back', async () => {
  const fileSystem = await disk();
  await fileSystem.mkdir('/data/spool', { recursive: true });
  let clock = 1_000_000;
  const writer = new SegmentWriter({
    directory: '/data/spool',
    fileSystem,
    segmentSize: 1,
    log: silent,
    now: () => (clock -= 1000),
  });
  for (const text of ['one\n', 'two\n', 'three\n']) await writer.append(block(source('a'), text));
  const segments = writer.segments.map(({ identity: { base }, length }) => ({ base, end: base + length }));
  expect(segments).toHaveLength(3);
  expect(segments.slice(1).map(({ base }) => base)).toEqual(segments.slice(0, -1).map(({ end }) => end));
  await writer.close();
});

test('a lock has one holder among processes, and is free once its holder was killed', async () => {
  await using data = await folder();
  const file = join(data.path, 'lock');
  const module = JSON.stringify(new URL('../../ingest/spool/lock.ts', import.meta.url).href);
  const script = `const { takeSqliteLock } = await import(${module});
    globalThis.held = takeSqliteLock(${JSON.stringify(file)}); console.log(held !== undefined); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(child.stdout, 'data');
  expect(String(said).trim()).toBe('true');
  expect(takeSqliteLock(file)).toBeUndefined();
  child.kill('SIGKILL');
  await once(child, 'exit');
  using lock = takeSqliteLock(file);
  expect(lock).toBeDefined();
  expect(takeSqliteLock(file)).toBeUndefined();
});

test('the ledger of a directory is added once, whoever adds it again', async () => {
  await using data = await folder();
  const file = join(data.path, 'ledger.db');
  {
    using past = openPastLedger(file);
    past.add('one', { ...emptyLedger(), readRecords: 5 });
    past.add('one', { ...emptyLedger(), readRecords: 5 });
  }
  using past = openPastLedger(file);
  past.add('one', { ...emptyLedger(), readRecords: 5 });
  past.add('two', { ...emptyLedger(), readRecords: 1 });
  expect(past.total).toMatchObject({ readRecords: 6, indexedRecords: 0 });
});

test('a full spool takes nothing, says so, and takes again once something was delivered', async () => {
  await using data = await folder();
  const spool = await openSpool({ directory: `${data.path}/spool`, maxSize: 4000, log: silent });
  const from = source('a');
  let taken = 0;
  const error = await (async () => {
    for (;;) {
      await spool.append(block(from, `${'x'.repeat(400)}\n`));
      taken += 1;
    }
  })().catch((error: unknown) => error);
  expect(error).toMatchObject({ name: 'SpoolError', code: 'full' });
  expect(taken).toBeGreaterThan(4);
  const { signal } = new AbortController();
  const sink = new MemorySink();
  const shipping = shipper(sink).ship(spool.live, signal);
  while (sink.found.size < taken) await new Promise((resolve) => setTimeout(resolve, 5));
  await spool.untilWritable(signal);
  while (spool.size > 3000) await new Promise((resolve) => setTimeout(resolve, 5));
  await spool.append(block(from, 'again\n'));
  await spool.close();
  await shipping;
  expect(sink.messages.at(-1)).toBe('again');
  await spool[Symbol.asyncDispose]();
});
