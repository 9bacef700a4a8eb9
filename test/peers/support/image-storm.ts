import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { image, type TestBlob, type TestImage } from '../../support/images.ts';
import { type Random, random } from '../../support/random.ts';
import type { Server } from '../../support/server.ts';
import { Api } from './api.ts';

const repositories = ['a', 'a/b', 'c'];

/** An image whose manifest was answered 201: it is there for good. */
interface Promised {
  readonly name: string;
  readonly tag: string;
  readonly image: TestImage;
}

/** What a storm came to. */
export interface Outcome {
  readonly promised: readonly Promised[];
  readonly pulled: number;
  readonly kills: number;
  /** Pushes and pulls that a kill broke off. */
  readonly brokenOff: number;
}

/**
 * Clients push and pull random images, while the server is killed with SIGKILL and started again, so many times: each time
 * after some dozens of images more.
 * @throws where an answer is wrong: one that did not come is not.
 */
export async function imageStorm(server: Server, options: { clients: number; kills: number }): Promise<Outcome> {
  const over = new AbortController();
  const promised: Promised[] = [];
  const counts = { pulled: 0, kills: 0, brokenOff: 0 };
  let away: Promise<void> = Promise.resolve();

  async function client(number: number): Promise<void> {
    const dice = random(number);
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      await away;
      const { kills } = counts;
      try {
        const pull = promised.length > 0 && dice.chance(0.5);
        if (pull) {
          await pullImage(server, dice.pick(promised));
          counts.pulled += 1;
        } else promised.push(await pushImage(server, dice, `t${number}-${turn}`));
      } catch (error) {
        // Of a request that the kill broke off fetch says only that.
        if (!(error instanceof TypeError) || kills === counts.kills) throw error;
        counts.brokenOff += 1;
      }
    }
  }

  async function killer(): Promise<void> {
    const dice = random(1000);
    const done = (): number => promised.length + counts.pulled;
    while (counts.kills < options.kills) {
      const next = done() + 20 + dice.int(20);
      while (done() < next && !over.signal.aborted) await sleep(5);
      if (over.signal.aborted) return;
      const back = Promise.withResolvers<void>();
      away = back.promise;
      counts.kills += 1;
      await server.kill();
      await server.start();
      back.resolve();
    }
  }

  const clients = Array.from({ length: options.clients }, (_, number) => client(number + 1));
  try {
    await Promise.race([killer(), Promise.all(clients)]);
  } finally {
    over.abort();
  }
  await Promise.all(clients);
  return { promised, ...counts };
}

/** Expects an image to be whole: its manifest by tag and by digest, and each of its blobs. */
export async function pullImage(server: Server, { name, tag, image }: Promised): Promise<void> {
  const api = new Api(server);
  for (const reference of [tag, image.manifest.digest]) {
    const { status, body } = await api.call('GET', `/v2/${name}/manifests/${reference}`);
    expect([name, reference, status, String(body)]).toEqual([name, reference, 200, String(image.manifest.bytes)]);
  }
  for (const { digest, bytes } of [image.config, ...image.layers]) {
    const { status, body } = await api.call('GET', `/v2/${name}/blobs/${digest}`);
    expect([name, digest, status, body.equals(bytes)]).toEqual([name, digest, 200, true]);
  }
}

async function pushImage(server: Server, dice: Random, tag: string): Promise<Promised> {
  const name = dice.pick(repositories);
  // Few seeds: clients push the same content at the same time.
  const layerSizes = Array.from({ length: 1 + dice.int(3) }, () => 1 + dice.int(60_000));
  const pushed = image({ seed: 1 + dice.int(40), layerSizes });
  for (const blob of [pushed.config, ...pushed.layers]) await pushBlob(server, name, blob, dice);
  await new Api(server).manifest(name, pushed.manifest, tag);
  return { name, tag, image: pushed };
}

/** By one PUT, by pieces, or by a mount where that can be done. */
async function pushBlob(server: Server, name: string, blob: TestBlob, dice: Random): Promise<void> {
  const api = new Api(server);
  if (dice.chance(0.3)) return api.blob(name, blob);
  const mount = dice.chance(0.5) ? `?mount=${blob.digest}&from=${dice.pick(repositories)}` : '';
  const begun = await api.call('POST', `/v2/${name}/blobs/uploads/${mount}`);
  if (begun.status === 201) return;
  expect(begun.status).toBe(202);
  const cut = dice.int(blob.bytes.length);
  const patched = await api.call('PATCH', begun.headers.get('location') ?? '', blob.bytes.subarray(0, cut));
  expect(patched.status).toBe(202);
  const place = `${patched.headers.get('location')}?digest=${blob.digest}`;
  const { status, body } = await api.call('PUT', place, blob.bytes.subarray(cut));
  expect([status, String(body)]).toEqual([201, '']);
}
