import { expect, test } from 'vitest';
import { StorageError } from '../../storage/errors.ts';
import type { Store } from '../../storage/store.ts';
import { fault, FaultyFileSystem } from '../support/faulty-fs.ts';
import { body, image, pushBlob, type TestImage } from '../support/images.ts';
import { random, type Random } from '../support/random.ts';
import { changing, faults, type Promises, storeOn } from './power-cut.ts';

const repositories = ['a', 'a/b', 'c'];
const tags = ['v1', 'v2', 'v3'];
const images = [1, 2, 3].map((seed) => image({ seed, layerSizes: seed === 3 ? [] : [600 * seed] }));

/** A client on one repository; what it was promised stands in `promises`. */
class Client {
  readonly #store: Store;
  readonly #name: string;
  readonly #promises: Promises;
  readonly #random: Random;

  constructor(store: Store, name: string, promises: Promises, random: Random) {
    this.#store = store;
    this.#name = name;
    this.#promises = promises;
    this.#random = random;
  }

  /** One thing that clients do. */
  async act(): Promise<void> {
    const chance = this.#random.int(10);
    if (chance < 5) await this.#push(this.#random.pick(images), this.#random.pick(tags));
    else if (chance < 6) await this.#cancel();
    else if (chance < 8) await this.#deleteTag(this.#random.pick(tags));
    else await this.#deleteManifest(this.#random.pick(images));
  }

  async #push(pushed: TestImage, tag: string): Promise<void> {
    const name = this.#name;
    for (const blob of [pushed.config, ...pushed.layers]) {
      const way = this.#random.int(3);
      const source = { from: this.#random.pick(repositories), mayRead: () => true };
      if (way === 0 && (await this.#store.blobs.mount(name, blob.digest, source))) continue;
      if (way === 1) {
        const { id } = await this.#store.uploads.create(name);
        const cut = this.#random.int(blob.bytes.length);
        await this.#store.uploads.append(name, id, body(blob.bytes.subarray(0, cut), 100));
        await this.#store.uploads.commit(name, id, blob.digest, body(blob.bytes.subarray(cut)), cut);
      } else await pushBlob(this.#store, name, blob);
    }
    const { digest, bytes } = pushed.manifest;
    const places = [`${name} ${digest}`, `${name} ${tag}`];
    await changing(this.#promises, places, pushed, () => this.#store.manifests.put(name, tag, bytes));
  }

  async #cancel(): Promise<void> {
    const { id } = await this.#store.uploads.create(this.#name);
    await this.#store.uploads.append(this.#name, id, body(this.#random.bytes(900)));
    await this.#store.uploads.cancel(this.#name, id);
  }

  async #deleteTag(tag: string): Promise<void> {
    const place = `${this.#name} ${tag}`;
    await this.#unlessAbsent(place, () =>
      changing(this.#promises, [place], undefined, () => this.#store.tags.delete(this.#name, tag)),
    );
  }

  async #deleteManifest({ manifest: { digest } }: TestImage): Promise<void> {
    const points = (image: TestImage | undefined): boolean => image?.manifest.digest === digest;
    const places = [...this.#promises].filter(([place]) => place.startsWith(`${this.#name} `));
    const tagged = places.filter(([, allowed]) => allowed.some(points));
    const deleted = await this.#unlessAbsent(`${this.#name} ${digest}`, async () => {
      for (const [place, allowed] of tagged) this.#promises.set(place, [...allowed, undefined]);
      await this.#store.manifests.delete(this.#name, digest);
    });
    if (!deleted) return;
    // Of a place that may have been another one, or absent, nothing more is known than before.
    for (const [place, allowed] of tagged) if (allowed.length === 1) this.#promises.set(place, [undefined]);
  }

  /** What is absent cannot be deleted; that it is, is no promise. False: it may be absent, and is. */
  async #unlessAbsent(place: string, deletion: () => Promise<void>): Promise<boolean> {
    const mayBeAbsent = (this.#promises.get(place) ?? [undefined]).includes(undefined);
    try {
      await deletion();
      return true;
    } catch (error) {
      if (mayBeAbsent && error instanceof StorageError && error.code === 'MANIFEST_UNKNOWN') return false;
      throw error;
    }
  }
}

/** Lives of a server, each ended by a power cut, a kill or an orderly end, while clients work and calls fail. */
async function lives(seed: number): Promise<void> {
  const numbers = random(seed);
  const promises: Promises = new Map();
  let files = new FaultyFileSystem({ seed });
  for (let life = 1; life <= 4; life += 1) {
    const store = await storeOn(files);
    const lived = files;
    const end = files.calls + 200 + numbers.int(2500);
    const failing = numbers.chance(0.3) ? 0.01 : 0;
    const ended: { next?: FaultyFileSystem } = {};
    files.before(({ number, op, path }) => {
      if (number === end)
        ended.next = numbers.chance(0.3) ? lived.kill() : lived.crash({ loseAll: numbers.chance(0.3) });
      if (numbers.chance(failing)) return fault(numbers.pick(['EIO', 'ENOSPC']), op, path);
      return numbers.chance(0.05) && op === 'writev' ? { short: 1 + numbers.int(50) } : undefined;
    });
    await Promise.all(
      repositories.map(async (name) => {
        for (let act = 0; act < 8 && ended.next === undefined; act += 1) {
          try {
            await new Client(store, name, promises, numbers).act();
          } catch (error) {
            const injected =
              error instanceof Error && 'code' in error && /^(?:EIO|ENOSPC|NO_SPACE)$/.test(String(error.code));
            if (ended.next === undefined && !injected) throw error;
          }
        }
      }),
    );
    files.before(undefined);
    files = ended.next ?? files.crash({ loseAll: numbers.chance(0.5) });
    expect(await faults(files, promises), `seed ${seed}, life ${life}`).toEqual([]);
  }
}

test('whatever clients do at once, whatever fails and ends, what was promised is there and whole', async () => {
  for (let seed = 1; seed <= 8; seed += 1) await lives(seed);
});
