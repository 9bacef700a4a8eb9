import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { dial, parseAnswer } from '../support/raw-http.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { random } from '../support/random.ts';

const content = random(7).bytes(1000);
let registry: Registry;
let digest: string;
let path: string;
beforeAll(async () => {
  registry = await startRegistry();
  digest = await registry.blob('app', content);
  path = `/v2/app/blobs/${digest}`;
});
afterAll(() => registry[Symbol.asyncDispose]());

test('GET gives the bytes, with all that caches and resuming clients look for', async () => {
  const { status, headers, body } = await registry.call('GET', path, {
    headers: { 'accept-encoding': 'gzip, zstd, br' },
  });
  expect(status).toBe(200);
  expect(body).toEqual(content);
  expect(headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-length': '1000',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    'cache-control': 'max-age=31536000, immutable',
  });
  expect(headers['content-encoding']).toBeUndefined();
});

test('HEAD gives the same header, and does not look at Range', async () => {
  const get = await registry.call('GET', path);
  const { date: _, connection: __, ...expected } = get.headers;
  for (const headers of [{}, { range: 'bytes=1-2' }]) {
    const answer = await registry.call('HEAD', path, { headers });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject(expected);
    expect(answer.body).toHaveLength(0);
  }
});

describe('ranges', () => {
  const single: readonly [range: string, start: number, end: number][] = [
    ['bytes=0-0', 0, 0],
    ['bytes=500-599', 500, 599],
    ['bytes=500-', 500, 999],
    ['bytes=-500', 500, 999],
    ['bytes=-5000', 0, 999],
    ['bytes=900-5000', 900, 999],
    ['bytes=0-', 0, 999],
    ['bytes=1-2,5000-', 1, 2],
  ];
  test.each(single)('%s is 206 with bytes %i to %i', async (range, start, end) => {
    const { status, headers, body } = await registry.call('GET', path, { headers: { range } });
    expect(status).toBe(206);
    expect(body).toEqual(content.subarray(start, end + 1));
    expect(headers).toMatchObject({
      'content-range': `bytes ${start}-${end}/1000`,
      'content-length': String(end - start + 1),
      'content-type': 'application/octet-stream',
      'docker-content-digest': digest,
    });
  });

  test.each(['bytes=1000-', 'bytes=5000-6000', 'bytes=500-0', 'bytes=-0', 'bytes=1000-,2000-'])(
    '%s is 416, with the length',
    async (range) => {
      const { status, headers, code } = await registry.call('GET', path, { headers: { range } });
      expect([status, code, headers['content-range']]).toEqual([416, 'SIZE_INVALID', 'bytes */1000']);
      expect(headers['content-length']).not.toBe('1000');
    },
  );

  test.each(['bytes=a-b', 'lines=1-2', 'bytes=0-,0-,0-', 'bytes'])('%s is ignored', async (range) => {
    const { status, body } = await registry.call('GET', path, { headers: { range } });
    expect([status, body.length]).toEqual([200, 1000]);
  });

  test('several are multipart/byteranges', async () => {
    const { status, headers, body } = await registry.call('GET', path, {
      headers: { range: 'bytes=0-9, 500-519, -5' },
    });
    expect(status).toBe(206);
    expect(headers['content-length']).toBe(String(body.length));
    expect(headers['content-range']).toBeUndefined();
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(headers['content-type'] ?? '')?.[1];
    const [preamble, ...parts] = body.toString('latin1').split(`\r\n--${boundary}`);
    expect(preamble).toBe('');
    expect(parts.pop()).toBe('--\r\n');
    expect(parts).toEqual(
      [
        [0, 9],
        [500, 519],
        [995, 999],
      ].map(
        ([start, end = 0]) =>
          `\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${start}-${end}/1000\r\n\r\n${content
            .subarray(start, end + 1)
            .toString('latin1')}`,
      ),
    );
  });

  test('If-Range keeps the range only with the very same ETag', async () => {
    const range = 'bytes=0-9';
    const status = async (condition: string): Promise<number> =>
      (await registry.call('GET', path, { headers: { range, 'if-range': condition } })).status;
    expect(await status(`"${digest}"`)).toBe(206);
    expect(await status(`W/"${digest}"`)).toBe(200);
    expect(await status('"other"')).toBe(200);
    expect(await status('Tue, 24 Nov 2026 08:00:00 GMT')).toBe(200);
  });
});

test('If-None-Match is 304 without a body, also for a range', async () => {
  for (const tag of [`"${digest}"`, `W/"${digest}"`, `"other", "${digest}"`, '*']) {
    for (const headers of [{ 'if-none-match': tag }, { 'if-none-match': tag, range: 'bytes=0-9' }]) {
      const answer = await registry.call('GET', path, { headers });
      expect([tag, answer.status, answer.body.length, answer.headers.etag]).toEqual([tag, 304, 0, `"${digest}"`]);
    }
  }
  expect((await registry.call('GET', path, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
});

test('a client that takes a large blob slowly gets all of it, and Node warns of nothing', async () => {
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', onWarning);
  onTestFinished(() => void process.off('warning', onWarning));
  const large = random(8).bytes(16 * 1024 * 1024);
  using line = await dial(registry.port);
  line.socket.pause();
  line.socket.write(
    `GET /v2/app/blobs/${await registry.blob('app', large)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  );
  // Longer than the two kernels' buffers take to fill.
  await sleep(300);
  line.socket.resume();
  await line.closed;
  expect(parseAnswer(line.received())?.body.equals(large)).toBe(true);
  expect(warnings).toEqual([]);
});

test('an empty blob is a blob, of which no range can be had', async () => {
  const empty = await registry.blob('app', '');
  const answer = await registry.call('GET', `/v2/app/blobs/${empty}`);
  expect([answer.status, answer.headers['content-length'], answer.body.length]).toEqual([200, '0', 0]);
  const ranged = await registry.call('GET', `/v2/app/blobs/${empty}`, { headers: { range: 'bytes=0-' } });
  expect([ranged.status, ranged.headers['content-range']]).toEqual([416, 'bytes */0']);
});

test('a blob of another repository is unknown in this one, until it is mounted', async () => {
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    expect((await registry.call(method, `/v2/other/blobs/${digest}`)).status).toBe(404);
  }
  expect((await registry.call('GET', `/v2/other/blobs/${digest}`)).code).toBe('BLOB_UNKNOWN');
  await registry.call('POST', `/v2/other/blobs/uploads/?mount=${digest}&from=app`);
  expect((await registry.call('GET', `/v2/other/blobs/${digest}`)).body).toEqual(content);
});

test('DELETE takes a blob from one repository only', async () => {
  const digest = await registry.blob('left', 'shared');
  await registry.blob('right', 'shared');
  const answer = await registry.call('DELETE', `/v2/left/blobs/${digest}`);
  expect([answer.status, answer.body.length]).toEqual([202, 0]);
  expect((await registry.call('HEAD', `/v2/left/blobs/${digest}`)).status).toBe(404);
  expect((await registry.call('DELETE', `/v2/left/blobs/${digest}`)).code).toBe('BLOB_UNKNOWN');
  expect((await registry.call('HEAD', `/v2/right/blobs/${digest}`)).status).toBe(200);
});

test('a read that fails on the way cuts the connection: the answer cannot pass for whole', async () => {
  await using registry = await startRegistry();
  const digest = await registry.blob('app', random(1).bytes(3_000_000));
  let reads = 0;
  registry.disk.before(({ op }) =>
    op === 'read' && (reads += 1) > 2 ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined,
  );
  await expect(registry.call('GET', `/v2/app/blobs/${digest}`)).rejects.toThrow(/aborted|hang up/);
});
