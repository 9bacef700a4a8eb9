import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { type Answer, type Registry, startRegistry } from '../support/registry.ts';
import { random } from '../support/random.ts';

let registry: Registry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry[Symbol.asyncDispose]());

async function start(): Promise<string> {
  const { headers } = await registry.call('POST', '/v2/app/blobs/uploads/');
  return headers.location ?? '';
}

/** What tells a client where a session stands. */
function session({ status, headers, body }: Answer): unknown[] {
  return [status, headers.location, headers['range'], body.length];
}

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    yield Buffer.from(part);
    await sleep(1);
  }
}

async function stored(digest: string, name = 'app'): Promise<string> {
  return String((await registry.call('GET', `/v2/${name}/blobs/${digest}`)).body);
}

test('POST opens a session below its repository, by a relative Location', async () => {
  for (const path of ['/v2/team/web/blobs/uploads/', '/v2/team/web/blobs/uploads']) {
    const { status, headers } = await registry.call('POST', path, { headers: { 'content-type': 'application/json' } });
    expect(status).toBe(202);
    expect(headers.location).toMatch(/^\/v2\/team\/web\/blobs\/uploads\/[\w-]+$/);
    expect(headers['docker-upload-uuid']).toBe(headers.location?.split('/').at(-1));
    expect([headers['range'], headers['content-length']]).toEqual(['0-0', '0']);
  }
});

test("Docker's way: a chunked PATCH without Content-Range, then an empty PUT", async () => {
  const location = await start();
  const patched = await registry.call('PATCH', location, { body: chunks('hello ', 'world') });
  expect(session(patched)).toEqual([202, location, '0-10', 0]);
  const digest = digestOf(Buffer.from('hello world'));
  const put = await registry.call('PUT', `${location}?digest=${digest}`, { headers: { 'content-length': '0' } });
  expect([put.status, put.headers.location, put.headers['docker-content-digest']]).toEqual([
    201,
    `/v2/app/blobs/${digest}`,
    digest,
  ]);
  expect(await stored(digest)).toBe('hello world');
  expect((await registry.call('GET', location)).code).toBe('BLOB_UPLOAD_UNKNOWN');
});

test("containerd's way: PUT with the whole body", async () => {
  for (const body of ['whole', chunks('who', 'le')]) {
    const digest = digestOf(Buffer.from('whole'));
    const put = await registry.call('PUT', `${await start()}?digest=${digest}`, { body });
    expect([put.status, put.headers['docker-content-digest']]).toEqual([201, digest]);
    expect(await stored(digest)).toBe('whole');
  }
});

test('the chunked way: PATCHes with Content-Range, the last chunk in the PUT', async () => {
  const location = await start();
  const patch = (range: string, body: string): Promise<Answer> =>
    registry.call('PATCH', location, { headers: { 'content-range': range }, body });
  expect(session(await patch('0-4', 'first'))).toEqual([202, location, '0-4', 0]);
  expect(session(await patch('5-5', '+'))).toEqual([202, location, '0-5', 0]);
  expect(session(await registry.call('GET', location))).toEqual([204, location, '0-5', 0]);
  const digest = digestOf(Buffer.from('first+last'));
  const put = await registry.call('PUT', `${location}?digest=${digest}`, {
    headers: { 'content-range': '6-9' },
    body: 'last',
  });
  expect(put.status).toBe(201);
  expect(await stored(digest)).toBe('first+last');
});

test('a chunk out of order is 416 by PATCH and PUT, tells where to go on, and leaves the session as it was', async () => {
  const location = await start();
  const digest = digestOf(Buffer.from('0123456789'));
  await registry.call('PATCH', location, { body: '01234' });
  for (const [method, target] of [
    ['PATCH', location],
    ['PUT', `${location}?digest=${digest}`],
  ] as const) {
    for (const range of ['0-4', '4-8', '7-11', '999999999999990-999999999999994']) {
      const answer = await registry.call(method, target, { headers: { 'content-range': range }, body: 'XXXXX' });
      expect([answer.code, ...session(answer).slice(0, 3)]).toEqual(['BLOB_UPLOAD_INVALID', 416, location, '0-4']);
    }
  }
  expect(session(await registry.call('GET', location))).toEqual([204, location, '0-4', 0]);
  await registry.call('PATCH', location, { headers: { 'content-range': '5-9' }, body: '56789' });
  expect((await registry.call('PUT', `${location}?digest=${digest}`)).status).toBe(201);
});

test('before any byte, an out of order chunk is told a Range that parses', async () => {
  const location = await start();
  const answer = await registry.call('PATCH', location, { headers: { 'content-range': '5-6' }, body: 'ab' });
  expect(session(answer).slice(0, 3)).toEqual([416, location, '0-0']);
});

const ranges: readonly [range: string, status: number, code: string][] = [
  ['bytes 0-4/5', 400, 'BLOB_UPLOAD_INVALID'],
  ['0-', 400, 'BLOB_UPLOAD_INVALID'],
  ['-5', 400, 'BLOB_UPLOAD_INVALID'],
  ['0--1', 400, 'BLOB_UPLOAD_INVALID'],
  ['0-99999999999999999999', 400, 'BLOB_UPLOAD_INVALID'],
  ['0-5', 400, 'SIZE_INVALID'],
  ['4-0', 400, 'SIZE_INVALID'],
];
test.each(ranges)('a Content-Range of %s with five bytes is %i %s', async (range, status, code) => {
  const location = await start();
  const answer = await registry.call('PATCH', location, { headers: { 'content-range': range }, body: 'abcde' });
  expect([answer.status, answer.code]).toEqual([status, code]);
  expect(session(await registry.call('GET', location))).toEqual([204, location, '0-0', 0]);
});

test('POST with digest stores the body at once', async () => {
  for (const body of ['at once', chunks('at ', 'once'), '']) {
    const bytes = body === '' ? '' : 'at once';
    const digest = digestOf(Buffer.from(bytes));
    const answer = await registry.call('POST', `/v2/app/blobs/uploads/?digest=${digest}`, { body });
    expect([answer.status, answer.headers.location, answer.headers['docker-content-digest']]).toEqual([
      201,
      `/v2/app/blobs/${digest}`,
      digest,
    ]);
    expect(await stored(digest)).toBe(bytes);
  }
});

test('sha512 is taken where it is asked for, by PUT and by POST', async () => {
  const digest = digestOf(Buffer.from('long'), 'sha512');
  const location = await start();
  await registry.call('PATCH', location, { body: 'long' });
  const put = await registry.call('PUT', `${location}?digest=${digest}`);
  expect([put.status, put.headers['docker-content-digest']]).toEqual([201, digest]);
  expect(await stored(digest)).toBe('long');
  const other = digestOf(Buffer.from('longer'), 'sha512');
  expect((await registry.call('POST', `/v2/app/blobs/uploads/?digest=${other}`, { body: 'longer' })).status).toBe(201);
  expect(await stored(other)).toBe('longer');
});

test('a digest that is not the content’s, or none, is 400, and stores nothing', async () => {
  const wrong = digestOf(Buffer.from('something else'));
  for (const digest of [wrong, 'sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e', '..%2F..', '']) {
    const put = await registry.call('PUT', `${await start()}?digest=${digest}`, { body: 'content' });
    expect([digest, put.status, put.code]).toEqual([digest, 400, 'DIGEST_INVALID']);
    const post = await registry.call('POST', `/v2/app/blobs/uploads/?digest=${digest}`, { body: 'content' });
    expect([digest, post.status, post.code]).toEqual([digest, 400, 'DIGEST_INVALID']);
  }
  const none = await registry.call('PUT', await start(), { body: 'content' });
  expect([none.status, none.code]).toEqual([400, 'DIGEST_INVALID']);
  for (const digest of [wrong, digestOf(Buffer.from('content'))]) {
    expect((await registry.call('HEAD', `/v2/app/blobs/${digest}`)).status).toBe(404);
  }
});

describe('mount', () => {
  test('from a repository that has the blob is 201', async () => {
    const digest = await registry.blob('source', 'shared');
    const answer = await registry.call('POST', `/v2/target/blobs/uploads/?mount=${digest}&from=source`);
    expect([answer.status, answer.headers.location, answer.headers['docker-content-digest']]).toEqual([
      201,
      `/v2/target/blobs/${digest}`,
      digest,
    ]);
    expect(await stored(digest, 'target')).toBe('shared');
  });

  test.each([['&from=empty'], ['']])(
    'from no repository that has it (%s) is 201 where another has it',
    async (from) => {
      const digest = await registry.blob('source', 'shared');
      const target = `target${from.length}`;
      const answer = await registry.call('POST', `/v2/${target}/blobs/uploads/?mount=${digest}${from}`);
      expect(answer.status).toBe(201);
      expect(await stored(digest, target)).toBe('shared');
    },
  );

  const present = digestOf(Buffer.from('shared'));
  test.each([
    [`mount=${digestOf(Buffer.from('nowhere'))}&from=source`],
    [`mount=${digestOf(Buffer.from('nowhere'))}`],
    [`mount=${present}&from=`],
    [`mount=${present}&from=..%2F..%2Fetc`],
    ['mount=&from=source'],
    ['mount=sha256:abc&from=source'],
  ])('that cannot be done (%s) is 202, with a session that works', async (query) => {
    await registry.blob('source', 'shared');
    const { status, headers } = await registry.call('POST', `/v2/elsewhere/blobs/uploads/?${query}`);
    expect([status, headers['range']]).toEqual([202, '0-0']);
    const digest = digestOf(Buffer.from(query));
    const put = await registry.call('PUT', `${headers.location}?digest=${digest}`, { body: query });
    expect(put.status).toBe(201);
  });
});

test('a cancelled session is gone', async () => {
  const location = await start();
  await registry.call('PATCH', location, { body: 'bytes' });
  const answer = await registry.call('DELETE', location);
  expect([answer.status, answer.body.length]).toEqual([204, 0]);
  for (const method of ['GET', 'PATCH', 'DELETE']) {
    const gone = await registry.call(method, location);
    expect([method, gone.status, gone.code]).toEqual([method, 404, 'BLOB_UPLOAD_UNKNOWN']);
  }
});

test('a session belongs to its repository, and odd ids are unknown', async () => {
  const id = (await start()).split('/').at(-1) ?? '';
  for (const path of [
    `/v2/other/blobs/uploads/${id}`,
    '/v2/app/blobs/uploads/..',
    '/v2/app/blobs/uploads/%2e%2e',
    '/v2/app/blobs/uploads/%00',
    `/v2/app/blobs/uploads/${'a'.repeat(5000)}`,
  ]) {
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const query = method === 'PUT' ? `?digest=${digestOf(Buffer.from(''))}` : '';
      const answer = await registry.call(method, path + query);
      expect([method, path, answer.status]).toEqual([method, path, 404]);
      if (method !== 'HEAD') expect(answer.code).toBe('BLOB_UPLOAD_UNKNOWN');
    }
  }
});

test('after a client broke off in the middle of a PATCH, the session goes on from what was received', async () => {
  const location = await start();
  const content = random(3).bytes(300_000);
  const socket = connect(registry.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`PATCH ${location} HTTP/1.1\r\nHost: registry\r\nTransfer-Encoding: chunked\r\n\r\n`);
  socket.write(`${(200_000).toString(16)}\r\n`);
  await new Promise((resolve) => socket.write(content.subarray(0, 200_000), resolve));
  await sleep(20);
  socket.destroy();
  let offset = 0;
  for (let wait = 0; offset === 0 && wait < 200; wait += 1) {
    await sleep(10);
    const { headers } = await registry.call('GET', location);
    const [, last] = String(headers['range']).split('-');
    offset = Number(last) === 0 ? 0 : Number(last) + 1;
  }
  expect(offset).toBeGreaterThan(0);
  expect(offset).toBeLessThanOrEqual(200_000);
  const digest = digestOf(content);
  const put = await registry.call('PUT', `${location}?digest=${digest}`, {
    headers: { 'content-range': `${offset}-${content.length - 1}` },
    body: content.subarray(offset),
  });
  expect(put.status).toBe(201);
  expect((await registry.call('GET', `/v2/app/blobs/${digest}`)).body).toEqual(content);
});

test('a refusal reaches a client that is still sending', async () => {
  const location = await start();
  const socket = connect(registry.port, '127.0.0.1');
  await once(socket, 'connect');
  let received = '';
  socket.on('data', (chunk) => (received += String(chunk)));
  const body = Buffer.alloc(2_000_000, 'x');
  socket.write(
    `PUT ${location}?digest=sha256:abc HTTP/1.1\r\nHost: registry\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  await once(socket, 'close');
  expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400']);
});
