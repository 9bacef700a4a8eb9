import { once } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { descriptor, image } from '../support/images.ts';
import { random } from '../support/random.ts';
import { dial, exchange } from '../support/raw-http.ts';
import { startRegistry } from '../support/registry.ts';
import { basic, startTestService, userLine } from '../support/service.ts';

const mebibyte = 1024 * 1024;

test('a manifest without end is cut off soon after its limit, and costs no more memory than that', async () => {
  await using registry = await startRegistry();
  using line = await dial(registry.port);
  const type = 'application/vnd.oci.image.manifest.v1+json';
  line.socket.write(
    `PUT /v2/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, ' '), Buffer.from('\r\n')]);
  let sent = 0;
  while (!line.socket.destroyed && sent < 100 * mebibyte) {
    sent += chunk.length;
    if (!line.socket.write(chunk)) await Promise.race([once(line.socket, 'drain'), line.closed]).catch(() => undefined);
  }
  await line.closed;
  expect(String(line.received())).toMatch(/^HTTP\/1\.1 413 /);
  // The limit, what is drained so that the answer is read, and what the two kernels hold.
  expect(sent).toBeLessThan(64 * mebibyte);
});

describe('words of JavaScript’s own are words like others', () => {
  const words = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'];

  test('as tags, parts of names, parameters and artifact types', async () => {
    await using registry = await startRegistry();
    const names = ['constructor', 'valueof', 'a/constructor', 'prototype/constructor'];
    for (const name of names) {
      const { bytes } = await registry.image(name, 'v1');
      for (const tag of words) {
        await registry.image(name, tag);
        expect((await registry.call('GET', `/v2/${name}/manifests/${tag}`)).body).toEqual(bytes);
      }
      const { tags } = JSON.parse(String((await registry.call('GET', `/v2/${name}/tags/list`)).body));
      expect(tags).toEqual([...words, 'v1'].toSorted());
    }
    const { repositories } = JSON.parse(String((await registry.call('GET', '/v2/_catalog')).body));
    expect(repositories).toEqual(names.toSorted());
    for (const word of words) {
      const path = `/v2/constructor/tags/list?${word}=1&${word}=2&__proto__[n]=0`;
      expect((await registry.call('GET', path)).status).toBe(200);
      const digest = digestOf(Buffer.from(word));
      const referrers = await registry.call('GET', `/v2/constructor/referrers/${digest}?artifactType=${word}`);
      expect(JSON.parse(String(referrers.body)).manifests).toEqual([]);
    }
  });

  test('as keys of a manifest, which no object of the server takes over', async () => {
    await using registry = await startRegistry();
    const { digest, bytes } = await registry.image('app', 'v1');
    const subject = descriptor({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest,
      bytes: Buffer.from(bytes),
    });
    const { config, layers } = JSON.parse(String(bytes));
    const annotations = '{"__proto__":"a","constructor":"b","kept":"c"}';
    const more = `"subject":${JSON.stringify(subject)},"annotations":${annotations},"__proto__":{"polluted":true}`;
    const blobs = `"config":${JSON.stringify(config)},"layers":${JSON.stringify(layers)}`;
    const document = `{"schemaVersion":2,"mediaType":"${subject.mediaType}",${blobs},${more}}`;
    expect((await registry.call('PUT', '/v2/app/manifests/odd', { body: document })).status).toBe(201);
    expect(String((await registry.call('GET', '/v2/app/manifests/odd')).body)).toBe(document);
    const listed = String((await registry.call('GET', `/v2/app/referrers/${digest}`)).body);
    expect(listed).toContain('"kept":"c"');
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect('polluted' in {}).toBe(false);
  });
});

test('no answer names a host, whatever host the request names', async () => {
  await using registry = await startRegistry();
  const { digest } = await registry.image('app', 'v1');
  await registry.image('app', 'v2');
  const evil = ['Host: evil.example', 'X-Forwarded-Host: evil.example', 'Forwarded: host=evil.example'];
  const headers = [...evil, 'X-Forwarded-Proto: https', 'X-Original-URL: //evil.example', 'Connection: close'];
  for (const [method, target] of [
    ['POST', '/v2/app/blobs/uploads/'],
    ['POST', `/v2/app/blobs/uploads/?mount=${digestOf(Buffer.from('layer'))}&from=app`],
    ['GET', '/v2/app/tags/list?n=1'],
    ['GET', '/v2/app/tags/list/'],
    ['GET', '//evil.example/v2/'],
    ['GET', '/v2//evil.example'],
    ['GET', `http://evil.example/v2/app/manifests/${digest}`],
    ['GET', '/v2'],
  ]) {
    const request = `${method} ${target} HTTP/1.1\r\n${headers.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`;
    const answer = await exchange(registry.port, Buffer.from(request));
    expect([target, answer !== undefined && (answer.status < 300 || answer.status >= 400)]).toEqual([target, true]);
    const text = [...(answer?.headers ?? [])].flat().join('\n');
    expect(text).not.toContain('evil');
    expect(text).not.toMatch(/https?:/);
  }
});

test('without trusted proxies, what a request says of its sender is not believed', async () => {
  await using registry = await startRegistry();
  const headers = { 'x-forwarded-for': '10.9.9.9', forwarded: 'for=10.9.9.9', 'x-real-ip': '10.9.9.9' };
  await registry.call('GET', '/v2/', { headers });
  expect(registry.logged.map(({ peer }) => peer)).toEqual(['127.0.0.1']);
});

test('many clients that hold half a request keep nobody else from being served', async () => {
  await using registry = await startRegistry();
  const body = 'forty bytes that somebody wants to store';
  const target = `/v2/app/blobs/uploads/?digest=${digestOf(Buffer.from(body))}`;
  const request = `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const lines = await Promise.all(Array.from({ length: 400 }, () => dial(registry.port)));
  for (const [place, { socket }] of lines.entries()) {
    socket.write(request.slice(0, Math.floor((request.length * (place + 1)) / 401)));
  }
  const other = await registry.image('other', 'v1');
  expect((await registry.call('GET', '/v2/other/manifests/v1')).body).toEqual(other.bytes);
  for (const line of lines) line[Symbol.dispose]();
  await vi.waitFor(() => expect(registry.disk.opened).toEqual([]), 20_000);
});

test('a client that never reads its answer is cut off, and only so much is read for it', async () => {
  await using registry = await startRegistry({ idleTimeout: 300 });
  const size = 40 * mebibyte;
  const digest = await registry.blob('app', random(1).bytes(size));
  let read = 0;
  registry.disk.before(({ op, path, length }) => {
    if (op === 'read' && path.endsWith('/data')) read += length;
  });
  const lines = await Promise.all(Array.from({ length: 5 }, () => dial(registry.port)));
  for (const { socket } of lines) {
    socket.pause();
    socket.write(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  await vi.waitFor(() => expect(registry.logged.filter(({ aborted }) => aborted === true).length).toBe(5), 20_000);
  await vi.waitFor(() => expect(registry.disk.opened).toEqual([]), 20_000);
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan((lines.length * size) / 2);
  for (const line of lines) line[Symbol.dispose]();
});

describe('the log', () => {
  test('has no control character of a request', async () => {
    await using registry = await startRegistry();
    for (const path of ['/v2/a\x7fb/tags/list', '/v2/\x9b31mred\x9b0m/tags/list', '/v2/a\x85b/manifests/\x80']) {
      await exchange(
        registry.port,
        Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, 'latin1'),
      );
    }
    for (const path of ['/v2/a%0ab/tags/list', '/v2/a%1b[31m/tags/list?n=%0a', '/v2/app/manifests/%e2%80%ae']) {
      await registry.call('GET', path);
    }
    const paths = registry.logged.map(({ path }) => String(path));
    expect(paths.length).toBeGreaterThanOrEqual(3);
    expect(paths.filter((path) => /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e]/u.test(path))).toEqual([]);
  });

  test('has nothing of a header field, a query or a body, whatever the answer is', async () => {
    await using service = await startTestService({ users: userLine('ann', 'pw') });
    const secret = 'hunter2';
    const fields = { cookie: secret, 'x-api-key': secret, 'content-type': `text/${secret}`, range: secret };
    const headers = { ...basic('ann', 'pw'), ...fields };
    const pushed = image();
    for (const [method, path] of [
      ['GET', '/v2/'],
      ['POST', '/v2/app/blobs/uploads/'],
      ['POST', `/v2/app/blobs/uploads/?digest=${pushed.config.digest}`],
      ['PUT', '/v2/app/manifests/v1'],
      ['GET', '/v2/app/manifests/v1'],
      ['GET', '/v2/app/tags/list'],
      ['DELETE', '/v2/app/manifests/v1'],
      ['PATCH', '/v2/app/blobs/uploads/00000000-0000-0000-0000-000000000000'],
    ] as const) {
      const query = `${path.includes('?') ? '&' : '?'}token=${secret}&n=${secret}`;
      const body = method === 'GET' ? {} : { body: secret };
      await service.send(path + query, { method, headers, ...body });
      await service.send(path + query, { method, headers: { ...fields, ...basic('ann', secret) }, ...body });
    }
    expect(service.logged.length).toBeGreaterThan(10);
    const text = JSON.stringify(service.logged);
    expect(text).not.toContain(secret);
    expect(text).not.toContain(basic('ann', secret)['authorization']?.slice(6));
  });
});
