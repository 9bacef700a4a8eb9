import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf, generate, send, told } from './support/generated.ts';
import { longTest } from './support/long.ts';
import { type Shiplog, startShiplog } from './support/shiplog.ts';
import { type Store, stores } from './support/stores.ts';

const GiB = 1024 ** 3;

/** Pushes a layer as Docker does (PATCH, then an empty PUT) and as containerd does (one PUT), and pulls it back. */
async function roundTrip(shiplog: Shiplog, size: number): Promise<void> {
  const registry = `http://${shiplog.host}`;
  for (const way of ['patched', 'put']) {
    const { digest, bytes } = await generate(size, way.length);
    const started = performance.now();
    const { location } = await told(`${registry}/v2/large/${way}/blobs/uploads/`, 'POST');
    const [session, finish] = [new URL(location, registry), new URL(location, registry)];
    if (way === 'patched') {
      const patched = await told(session.href, 'PATCH', {}, bytes());
      expect(patched.status).toBe(202);
      finish.href = new URL(patched.location, registry).href;
    }
    finish.searchParams.set('digest', digest);
    const whole = { 'content-length': way === 'put' ? size : 0 };
    expect(await told(finish.href, 'PUT', whole, way === 'put' ? bytes() : undefined)).toMatchObject({ status: 201 });
    const pushed = performance.now();

    const blob = `${registry}/v2/large/${way}/blobs/${digest}`;
    const answer = await send(blob, 'GET');
    expect(answer.headers['content-length']).toBe(String(size));
    expect(await digestOf(answer)).toBe(digest);
    const pulled = performance.now();
    const rest = await send(blob, 'GET', { range: `bytes=${size - 70_000}-` });
    expect(rest.headers['content-range']).toBe(`bytes ${size - 70_000}-${size - 1}/${size}`);
    expect(await digestOf(rest)).toBe(await digestOf(bytes(size - 70_000)));

    const rate = (ms: number): string => `${Math.round(size / 1024 / 1024 / (ms / 1000))} MiB/s`;
    console.log(`${way}: pushed at ${rate(pushed - started)}, pulled at ${rate(pulled - pushed)}`);
  }
}

describe.each(stores)('on $store', ({ store, start }) => {
  let place: Store;
  beforeAll(async () => {
    place = await start();
  }, 600_000);
  afterAll(() => place[Symbol.asyncDispose]());

  const holds = async (size: number): Promise<void> => {
    await using shiplog = await startShiplog('open', place.settings());
    await roundTrip(shiplog, size);
  };
  test('a layer of 64 MiB goes in and comes back', () => holds(GiB / 16));
  longTest(`a layer of 5.1 GiB goes in and comes back, on ${store}`, () => holds(Math.round(5.1 * GiB)));
});
