import { expect, test, vi } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { dial } from '../support/raw-http.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { leftoversOf } from '../storage/backends.ts';

const content = Buffer.from('forty bytes that somebody wants to store');
const digest = digestOf(content);

/** A request as it stands on the wire. */
function wire(method: string, path: string, body: Uint8Array, headers: Record<string, string> = {}): Buffer {
  const fields = Object.entries({ Host: 'localhost', 'Content-Length': String(body.length), ...headers });
  const head = `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Sends the first bytes of a request, and goes away. */
async function sendAndGo(registry: Registry, bytes: Uint8Array): Promise<void> {
  const { socket, closed } = await dial(registry.port);
  await new Promise((resolve) => socket.write(bytes, resolve));
  socket.destroy();
  await closed;
}

/** Once the server has come to the end of all requests. */
async function settled(registry: Registry, check: () => Promise<void> | void): Promise<void> {
  await vi.waitFor(check, { timeout: 20_000, interval: 5 });
  // Another request is answered, so nothing holds the server up.
  expect((await registry.call('GET', '/v2/')).status).toBe(200);
}

test('a client that goes at any byte of a push in one request leaves nothing, or a whole blob', async () => {
  await using registry = await startRegistry();
  const request = wire('POST', `/v2/app/blobs/uploads/?digest=${digest}`, content);
  for (let end = 0; end < request.length; end += 1) await sendAndGo(registry, request.subarray(0, end));
  await settled(registry, () => expect(leftoversOf(registry.disk)).toEqual([]));
  expect((await registry.call('HEAD', `/v2/app/blobs/${digest}`)).status).toBe(404);
  await sendAndGo(registry, request);
  await settled(registry, async () => {
    expect((await registry.call('GET', `/v2/app/blobs/${digest}`)).body).toEqual(content);
  });
  expect(leftoversOf(registry.disk)).toEqual([]);
});

test.each(['PATCH', 'PUT'])('a client that goes at any byte of a %s can go on where the session is', async (method) => {
  await using registry = await startRegistry();
  for (let kept = 0; kept < content.length; kept += 1) {
    const { headers } = await registry.call('POST', '/v2/app/blobs/uploads/');
    const session = headers.location ?? '';
    const id = session.slice(session.lastIndexOf('/') + 1);
    const path = method === 'PUT' ? `${session}?digest=${digest}` : session;
    const request = wire(method, path, content);
    await sendAndGo(registry, request.subarray(0, request.length - content.length + kept));
    const offset = async (): Promise<number> => (await registry.store.uploads.status('app', id)).offset;
    await settled(registry, async () => expect(await offset()).toBe(kept));
    const put = await registry.call('PUT', `${session}?digest=${digest}`, {
      headers: { 'content-range': `${kept}-${content.length - 1}` },
      body: content.subarray(kept),
    });
    expect([kept, put.status]).toEqual([kept, 201]);
  }
  await settled(registry, () => expect(leftoversOf(registry.disk)).toEqual([]));
});

test('a client that goes at any byte of a manifest’s PUT leaves no tag', async () => {
  await using registry = await startRegistry();
  const { bytes } = await registry.image('app', 'whole');
  const request = wire('PUT', '/v2/app/manifests/cut', bytes, {
    'Content-Type': 'application/vnd.oci.image.manifest.v1+json',
  });
  const before = registry.disk.files();
  for (let end = 0; end < request.length; end += 1) await sendAndGo(registry, request.subarray(0, end));
  await settled(registry, () => expect(registry.disk.files()).toEqual(before));
  expect(JSON.parse(String((await registry.call('GET', '/v2/app/tags/list')).body)).tags).toEqual(['whole']);
});

test('many clients that hold half a request keep nobody else from being served', async () => {
  await using registry = await startRegistry();
  const request = wire('POST', `/v2/app/blobs/uploads/?digest=${digest}`, content);
  const lines = await Promise.all(Array.from({ length: 400 }, () => dial(registry.port)));
  for (const [place, { socket }] of lines.entries()) {
    socket.write(request.subarray(0, Math.floor((request.length * (place + 1)) / 401)));
  }
  const other = await registry.image('other', 'v1');
  expect((await registry.call('GET', '/v2/other/manifests/v1')).body).toEqual(other.bytes);
  for (const { socket } of lines) socket.destroy();
  await settled(registry, () => expect(leftoversOf(registry.disk)).toEqual([]));
});
