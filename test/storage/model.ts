import { ManifestBlobUnknownError, StorageError } from '../../storage/errors.ts';
import type { Store } from '../../storage/store.ts';
import { body, descriptor, image, index, pushBlob, sha512, type TestBlob, type TestImage } from '../support/images.ts';
import type { Random } from '../support/random.ts';
import { changing, placeFaults, type Promises, unlessUnknown } from './power-cut.ts';

export const repositories = ['a', 'a/b', 'c'];
const tags = ['v1', 'v2', 'v3'];

/** An image or an index of such; of an index, `config` and `layers` are all blobs of its images. */
interface Thing extends TestImage {
  readonly children?: readonly Thing[];
  readonly subject?: string;
}

function things(): Thing[] {
  const one = image({ seed: 1, layerSizes: [600] });
  const two = image({ seed: 2, layerSizes: [1200, 600], kind: 'docker' });
  const three = image({ seed: 3, layerSizes: [] });
  const long = { ...three, manifest: { ...three.manifest, digest: sha512(three.manifest.bytes) } };
  const layers = [...one.layers, two.config, ...two.layers];
  const both = { manifest: index([one, two]), config: one.config, layers, children: [one, two] };
  const signatures = [one, both].map(({ manifest }, place): Thing => {
    const signature = image({ seed: 4 + place, layerSizes: [], manifest: { subject: descriptor(manifest) } });
    return { ...signature, subject: manifest.digest };
  });
  return [one, two, three, long, both, ...signatures];
}

const all = things();
const blobs = [
  ...new Map(all.flatMap(({ config, layers }) => [config, ...layers]).map((one) => [one.digest, one])).values(),
];

/** An upload that is not finished. `sent`: what it holds; undefined: it may hold anything, or be gone. */
interface Session {
  readonly id: string;
  readonly blob: TestBlob;
  sent: number | undefined;
}

/** What all clients were told, and so what must be there. */
export class Model {
  readonly promises: Promises = new Map();
  readonly sessions = new Map<string, Session[]>(repositories.map((name) => [name, []]));
  /** How often sessions were ended, whoever used them, and how often that goes on now. */
  readonly expiries = { done: 0, running: 0 };

  /** Nothing is known of any session any more. */
  doubtSessions(): void {
    for (const session of [...this.sessions.values()].flat()) session.sent = undefined;
  }

  /** What a place may be. */
  allowed(place: string): readonly (TestImage | undefined)[] {
    return this.promises.get(place) ?? [undefined];
  }

  /** What is wrong with the lists of a repository. */
  async listFaults(store: Store, name: string): Promise<string[]> {
    const listed = (await unlessUnknown(store.tags.list(name)))?.tags ?? [];
    const wrong = tags.filter((tag) => !this.#fits(`${name} ${tag}`, listed.includes(tag))).map((tag) => `tag ${tag}`);
    for (const subject of new Set(all.flatMap(({ subject }) => subject ?? []))) {
      const { referrers } = await store.referrers.list(name, subject, { limit: 100 });
      const found = referrers.map(({ digest }): string => digest);
      const referring = all.filter((one) => one.subject === subject).map(({ manifest }) => manifest.digest);
      const missed = referring.filter((digest) => !this.#fits(`${name} ${digest}`, found.includes(digest)));
      wrong.push(...missed.map((digest) => `referrer ${digest}`));
    }
    const images = [...this.promises].filter(([place]) => place.startsWith(`${name} `)).map(([, allowed]) => allowed);
    const { repositories } = await store.catalog.list();
    if (!repositories.includes(name) && images.some((allowed) => !allowed.includes(undefined))) wrong.push('catalog');
    return wrong.map((what) => `${name}: ${what} is listed, or not, in error`);
  }

  #fits(place: string, listed: boolean): boolean {
    return this.allowed(place).some((image) => (image !== undefined) === listed);
  }
}

/** A client that has a repository for itself. */
export class Client {
  readonly #store: Store;
  readonly #name: string;
  readonly #model: Model;
  readonly #random: Random;

  constructor(store: Store, name: string, model: Model, random: Random) {
    this.#store = store;
    this.#name = name;
    this.#model = model;
    this.#random = random;
  }

  /** One thing that clients do. */
  async act(): Promise<void> {
    const pick = <T>(items: readonly T[]): T => this.#random.pick(items);
    const acts: [share: number, act: () => Promise<void>][] = [
      [8, () => this.#push(pick(all), { tags: tags.filter(() => this.#random.chance(0.4)) })],
      [6, () => this.#pull()],
      [2, () => this.#list()],
      [3, () => this.#deleteTag(pick(tags))],
      [3, () => this.#deleteManifest(pick(all))],
      [2, () => this.#deleteBlob(pick(blobs))],
      [3, () => this.#begin(pick(blobs))],
      [4, () => this.#goOn()],
      [1, () => this.#expire()],
    ];
    return pick(acts.flatMap(([share, act]) => Array.from({ length: share }, () => act)))();
  }

  async #push(pushed: Thing, { tags }: { tags: readonly string[] }): Promise<void> {
    for (const child of pushed.children ?? []) await this.#push(child, { tags: [] });
    for (const blob of [pushed.config, ...pushed.layers]) await this.#giveBlob(blob);
    const name = this.#name;
    const { digest, bytes } = pushed.manifest;
    const [tag, ...others] = tags;
    const byTag = tag !== undefined && digest.startsWith('sha256') && this.#random.chance(0.5);
    const places = [digest, ...tags].map((reference) => `${name} ${reference}`);
    const put = (): Promise<unknown> =>
      this.#store.manifests.put(name, byTag ? tag : digest, bytes, {
        tags: byTag ? others : tags,
        mayRead: () => true,
      });
    await changing(this.#model.promises, places, pushed, async () => {
      try {
        await put();
      } catch (error) {
        // What no other repository could give has to be sent after all.
        if (!(error instanceof ManifestBlobUnknownError)) throw error;
        for (const blob of [pushed.config, ...pushed.layers]) await pushBlob(this.#store, name, blob);
        await put();
      }
    });
  }

  /** Gives the repository a blob in one of the ways that there are, or leaves it to the manifest's PUT. */
  async #giveBlob(blob: TestBlob): Promise<void> {
    const way = this.#random.int(5);
    if (way === 0) return;
    if (way < 3) {
      const from = way === 1 ? this.#random.pick(repositories) : undefined;
      if (await this.#store.blobs.mount(this.#name, blob.digest, { from, mayRead: () => true })) return;
    }
    if (way === 3) {
      await this.#begin(blob);
      await this.#goOn();
    } else await pushBlob(this.#store, this.#name, blob);
  }

  async #pull(): Promise<void> {
    const own = [...this.#model.promises].filter(([place]) => place.startsWith(`${this.#name} `));
    if (own.length === 0) return;
    const [place, allowed] = this.#random.pick(own);
    assertNone(await placeFaults(this.#store, place, allowed));
  }

  async #list(): Promise<void> {
    assertNone(await this.#model.listFaults(this.#store, this.#name));
  }

  async #deleteTag(tag: string): Promise<void> {
    const place = `${this.#name} ${tag}`;
    await this.#unlessAbsent(place, () =>
      changing(this.#model.promises, [place], undefined, () => this.#store.tags.delete(this.#name, tag)),
    );
  }

  async #deleteManifest({ manifest: { digest } }: TestImage): Promise<void> {
    const { promises } = this.#model;
    const points = (image: TestImage | undefined): boolean => image?.manifest.digest === digest;
    const places = [...promises].filter(([place]) => place.startsWith(`${this.#name} `));
    const tagged = places.filter(([, allowed]) => allowed.some(points));
    const deleted = await this.#unlessAbsent(`${this.#name} ${digest}`, async () => {
      for (const [place, allowed] of tagged) promises.set(place, [...allowed, undefined]);
      await this.#store.manifests.delete(this.#name, digest);
    });
    if (!deleted) return;
    // Of a place that may have been another one, or absent, nothing more is known than before.
    for (const [place, allowed] of tagged) if (allowed.length === 1) promises.set(place, [undefined]);
  }

  /** Deletes a blob that no image needs. */
  async #deleteBlob({ digest }: TestBlob): Promise<void> {
    const images = [...this.#model.promises].flatMap(([place, images]) =>
      place.startsWith(`${this.#name} `) ? images.flatMap((image) => image ?? []) : [],
    );
    const needed = images.some(({ config, layers }) => [config, ...layers].some((blob) => blob.digest === digest));
    if (needed) return;
    await unlessUnknown(this.#store.blobs.delete(this.#name, digest));
    assertNone((await unlessUnknown(this.#store.blobs.stat(this.#name, digest))) && [`${digest} was deleted`]);
  }

  async #begin(blob: TestBlob): Promise<void> {
    const { id } = await this.#store.uploads.create(this.#name);
    const session: Session = { id, blob, sent: 0 };
    this.#sessions.push(session);
    await this.#send(session);
  }

  /** Goes on with a session of before: finishes it, cancels it, or sends some more. */
  async #goOn(): Promise<void> {
    if (this.#sessions.length === 0) return;
    const [session, uploads] = [this.#random.pick(this.#sessions), this.#store.uploads];
    const { id, blob } = session;
    const status = await unlessUnknown(uploads.status(this.#name, id));
    const right = session.sent === undefined || session.sent === status?.offset || this.#model.expiries.running > 0;
    assertNone(right ? [] : [`the session ${id} is at ${status?.offset}, not at ${session.sent}`]);
    if (status === undefined) return this.#forget(session);
    if (this.#random.chance(0.3)) return this.#send(session, status.offset);
    const rest = body(blob.bytes.subarray(status.offset));
    if (this.#random.chance(0.2)) await this.#changing(session, uploads.cancel(this.#name, id));
    else await this.#changing(session, uploads.commit(this.#name, id, blob.digest, rest, status.offset));
    this.#forget(session);
  }

  async #send(session: Session, offset = 0): Promise<void> {
    const { id, blob } = session;
    const piece = blob.bytes.subarray(offset, offset + this.#random.int(blob.bytes.length - offset + 1));
    const work = this.#store.uploads.append(this.#name, id, body(piece, 100), offset);
    const status = await this.#changing(session, work);
    session.sent = status?.offset;
  }

  /** Does something to a session. Undefined: it is not as it was, or is gone, and may be. */
  async #changing<T>(session: Session, work: Promise<T>): Promise<T | undefined> {
    const certain = session.sent !== undefined;
    session.sent = undefined;
    try {
      return await work;
    } catch (error) {
      const lost = error instanceof StorageError && /^UPLOAD_(?:UNKNOWN|OUT_OF_ORDER)$/.test(error.code);
      if (certain || !lost) throw error;
      return undefined;
    }
  }

  async #expire(): Promise<void> {
    const { expiries } = this.#model;
    expiries.running += 1;
    try {
      await this.#store.uploads.expire(0);
    } finally {
      this.#model.doubtSessions();
      expiries.running -= 1;
      expiries.done += 1;
    }
  }

  get #sessions(): Session[] {
    return this.#model.sessions.get(this.#name) ?? [];
  }

  #forget(session: Session): void {
    this.#sessions.splice(this.#sessions.indexOf(session), 1);
  }

  /** What is absent cannot be deleted; that it is, is no promise. False: it may be absent, and is. */
  async #unlessAbsent(place: string, deletion: () => Promise<void>): Promise<boolean> {
    const mayBeAbsent = this.#model.allowed(place).includes(undefined);
    try {
      await deletion();
      return true;
    } catch (error) {
      if (mayBeAbsent && error instanceof StorageError && error.code === 'MANIFEST_UNKNOWN') return false;
      throw error;
    }
  }
}

/** @throws {Error} that names what is wrong */
function assertNone(wrong: readonly string[] | undefined): void {
  if (wrong !== undefined && wrong.length > 0) throw new Error(wrong.join('\n'));
}
