import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer } from '../support/server.ts';
import { imageStorm, pullImage } from './support/image-storm.ts';
import { longTest } from './support/long.ts';
import { type Store, stores } from './support/stores.ts';

describe.each(stores)('in a storm of kill -9, on $store', ({ store, start }) => {
  let place: Store;
  beforeAll(async () => {
    place = await start();
  }, 600_000);
  afterAll(() => place[Symbol.asyncDispose]());

  /** 16 clients, and so many kills. */
  const weathers = async (kills: number): Promise<void> => {
    await using server = await startServer(place.settings());
    const { promised, pulled, brokenOff } = await imageStorm(server, { clients: 16, kills });
    for (const image of promised) await pullImage(server, image);
    console.log(
      `${store}: ${promised.length} images pushed, ${pulled} pulled, ${kills} kills, ${brokenOff} broken off`,
    );
    expect(Math.min(promised.length, pulled, brokenOff)).toBeGreaterThan(0);
    expect(server.output()).not.toContain('"level":50');
  };
  test('every image whose push was answered 201 is whole', () => weathers(3), 180_000);
  longTest(`16 clients push and pull while the server is killed a hundred times, on ${store}`, () => weathers(100));
});
