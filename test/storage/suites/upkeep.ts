import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findDamage } from '../../../storage/damage.ts';
import { parseDigest } from '../../../storage/digest.ts';
import type { Driver } from '../../../storage/driver.ts';
import { blobKey } from '../../../storage/layout.ts';
import { lostBlobs, scrub, type ScrubResult } from '../../../storage/scrub.ts';
import { openStore, type Store } from '../../../storage/store.ts';
import { body, collect, image, pushImage, sha256 } from '../../support/images.ts';
import type { Backend } from '../backends.ts';

/** What is done with all keys, and with uploads that are left lying: walks, moves, expiry, the scrub. */
export function upkeepSuite(kind: string, open: () => Promise<Backend>): void {
  describe(kind, () => {
    let backend: Backend;
    let driver: Driver;
    let store: Store;
    beforeEach(async () => {
      backend = await open();
      driver = backend.driver;
      store = await openStore({ driver, indexMaxAge: 60_000 });
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    });

    const walked = async (folder: string, after?: string): Promise<string[]> => {
      const keys: string[] = [];
      for await (const { key, size } of driver.walk(folder, after)) keys.push(`${key} ${size}`);
      return keys;
    };

    test('a walk gives all keys below a folder in byte order, from any place on', async () => {
      const keys = ['w/a', 'w/a-b/c', 'w/a.d/e', 'w/ab/c/d', 'w/ab/c/e', 'w/b'];
      for (const [place, key] of [...keys, 'w-x/y', 'wa'].entries()) await driver.put(key, Buffer.alloc(place));
      const all = keys.map((key, place) => `${key} ${place}`);
      expect(await walked('w')).toEqual(all);
      for (const [place, key] of keys.entries()) expect(await walked('w', key)).toEqual(all.slice(place + 1));
      expect(await walked('w', 'w/ab/c/dd')).toEqual(all.slice(4));
      expect(await walked('none')).toEqual([]);
    });

    test('a move gives content another key, in place of what was there', async () => {
      await driver.put('m/from/one', Buffer.from('one'));
      await driver.put('m/to', Buffer.from('other'));
      expect(await driver.move('m/from/one', 'm/to')).toBe(true);
      expect(await driver.get('m/to', 10)).toEqual(Buffer.from('one'));
      expect(await driver.stat('m/from/one')).toBeUndefined();
      expect(await driver.move('m/to', 'm/deep/er/key')).toBe(true);
      expect(await driver.get('m/deep/er/key', 10)).toEqual(Buffer.from('one'));
      expect(await driver.move('m/to', 'm/deep')).toBe(false);
    });

    test('uploads are listed until they end, and expire', async () => {
      const ids = [];
      for (let number = 0; number < 3; number += 1) ids.push((await store.uploads.create('a', { owner: 'ci' })).id);
      const [one = '', two = ''] = ids;
      await store.uploads.append('a', one, body(Buffer.from('some bytes')));
      const listed: string[] = [];
      for await (const { id, idle, note } of driver.uploads.list()) {
        expect(idle).toBeGreaterThanOrEqual(0);
        expect(idle).toBeLessThan(3_600_000);
        expect(JSON.parse(note)).toMatchObject({ name: 'a', owner: 'ci' });
        listed.push(id);
      }
      expect(listed.toSorted()).toEqual(ids.toSorted());
      await store.uploads.cancel('a', two);
      await store.uploads.expire(3_600_000);
      expect((await store.uploads.status('a', one)).offset).toBe(10);
      await store.uploads.expire(0);
      for (const id of ids) {
        await expect(store.uploads.status('a', id)).rejects.toMatchObject({ code: 'UPLOAD_UNKNOWN' });
      }
      expect(await backend.leftovers()).toEqual([]);
    });

    test('a sweep leaves whole content and uploads that can go on', async () => {
      const pushed = image({ seed: 6 });
      await pushImage(store, 'a', pushed, 'v1');
      const { id } = await store.uploads.create('a');
      await store.uploads.append('a', id, body(Buffer.from('half')));
      await driver.sweep(0);
      expect(await store.uploads.status('a', id)).toEqual({ id, offset: 4 });
      expect((await store.manifests.get('a', 'v1')).bytes).toEqual(pushed.manifest.bytes);
      await store.uploads.cancel('a', id);
    });

    test('a scrub puts aside what is rotten, large or small, and a push heals it', async () => {
      const pushed = image({ seed: 7, layerSizes: [6_000_000, 500] });
      await pushImage(store, 'team/web', pushed, 'v1');
      const run = (): Promise<ScrubResult> => scrub(driver, { rate: 1e12, signal: new AbortController().signal });
      expect(await run()).toMatchObject({ finished: true, rotten: [], read: { blobs: 4 } });
      for (const { digest, bytes } of [...pushed.layers, pushed.config, pushed.manifest]) {
        const rotten = Buffer.from(bytes).fill(0, 20, 40);
        await driver.put(blobKey(parseDigest(digest)), rotten);
        expect(await run()).toMatchObject({ finished: true, rotten: [digest], restored: [] });
        expect(await findDamage(driver, await lostBlobs(driver))).toEqual([
          { name: 'team/web', tags: ['v1'], untagged: [] },
        ]);
        await pushImage(store, 'team/web', pushed, 'v1');
        expect(await lostBlobs(driver)).toEqual(new Set());
        const { body: healed } = await store.blobs.open('team/web', pushed.layers[0]?.digest ?? '');
        expect(sha256(await collect(healed))).toBe(pushed.layers[0]?.digest);
      }
    });
  });
}
