import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestOf } from '../../storage/digest.ts';
import { random } from '../support/random.ts';
import { type Server, startServer } from '../support/server.ts';

/** Sends a PATCH whose body comes in two parts: the second one when `go` resolves. @returns the status */
async function patch(server: Server, path: string, parts: readonly Buffer[], go: Promise<void>): Promise<number> {
  const outgoing = request({ host: server.host, port: server.httpPort, path, method: 'PATCH', agent: false });
  const answered = once(outgoing, 'response');
  answered.catch(() => undefined);
  outgoing.on('error', () => undefined);
  const [first, ...rest] = parts;
  outgoing.write(first);
  await go;
  for (const part of rest) outgoing.write(part);
  outgoing.end();
  const [answer] = await answered;
  answer.resume();
  return answer.statusCode;
}

test('of two PATCHes of one upload at once, on two processes over one directory, one fails, and the blob is right', async () => {
  await using one = await startServer();
  await using other = await startServer({ SHIPLOG_STORAGE_DISK_ROOT: join(one.data, 'registry') });
  const content = random(1).bytes(3_000_000);
  const halves = [content.subarray(0, 1_500_000), content.subarray(1_500_000)];
  for (let turn = 0; turn < 5; turn += 1) {
    const begun = await fetch(`${one.url}/v2/app/blobs/uploads/`, { method: 'POST' });
    const place = begun.headers.get('location') ?? '';
    const go = Promise.withResolvers<void>();
    const both = [one, other].map((server) => patch(server, place, halves, go.promise));
    const [folder, id] = [join(one.data, 'registry/docker/registry/v2/_shiplog/uploads'), place.split('/').at(-1)];
    await expect
      .poll(async () => (await readdir(folder)).filter((name) => name.startsWith(`${id}.data.`)).length)
      .toBe(2);
    go.resolve();
    expect((await Promise.all(both)).toSorted((a, b) => a - b)).toEqual([202, 409]);

    const digest = digestOf(content);
    const put = await fetch(`${other.url}${place}?digest=${digest}`, { method: 'PUT' });
    expect(put.status).toBe(201);
    const pulled = await fetch(`${one.url}/v2/app/blobs/${digest}`);
    expect(content.equals(Buffer.from(await pulled.arrayBuffer()))).toBe(true);
  }
}, 60_000);
