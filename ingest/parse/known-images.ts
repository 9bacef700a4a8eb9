import type { ImageFacts, ImageLookup, ImageReference } from '../images.ts';
import type { Log } from '../log.ts';
import { BoundedMap } from './bounded-map.ts';

/** How long a line waits for the first lookup of an image, in ms. */
const patience = 2000;
/** After so many ms an image that was not found is asked for again, and a slow registry is waited for again. */
const askAgainAfter = 10_000;
/** How long lines wait in all, within as many ms as that: else who names ever other images holds up the lines of all. */
const patienceInAll = 5000;
const mostImages = 10_000;
/** Lookups at once; what is asked beyond them is asked with a later line. */
const mostAsked = 64;

interface Entry {
  facts?: ImageFacts;
  askedAt: number;
  asking?: Promise<void>;
}

/**
 * What the registry said of images. What is found is kept. A miss is asked again after a while, without waiting; so is a
 * lookup that failed. Where the registry is slow, one line waits for it and no others, until some time has passed.
 * All lines together wait half of the time at most.
 */
export class KnownImages {
  readonly #lookup: ImageLookup;
  readonly #log: Log;
  readonly #entries = new BoundedMap<string, Entry>(mostImages);
  #impatientUntil = Number.NEGATIVE_INFINITY;
  /** How long lines waited since then, in ms. */
  #waits = { since: Number.NEGATIVE_INFINITY, waited: 0 };
  #asked = 0;
  /** Lookups that failed, or took too long for the line that waited. */
  failures = 0;

  constructor(lookup: ImageLookup, log: Log) {
    this.#lookup = lookup;
    this.#log = log;
  }

  /** What is known at this moment. A promise: it is the first time, and worth to wait for. */
  find(image: ImageReference, signal: AbortSignal): ImageFacts | undefined | Promise<ImageFacts | undefined> {
    const key = `${image.repository}@${image.digest}`;
    const known = this.#entries.get(key);
    const now = performance.now();
    if (known?.facts !== undefined) return known.facts;
    if (this.#asked >= mostAsked) return undefined;
    if (known === undefined) {
      const entry: Entry = { askedAt: now };
      this.#entries.set(key, entry);
      const asking = this.#ask(entry, image, signal);
      return now < this.#impatientUntil ? undefined : this.#wait(entry, asking, signal);
    }
    if (known.asking === undefined && now - known.askedAt >= askAgainAfter) void this.#ask(known, image, signal);
    return undefined;
  }

  #ask(entry: Entry, image: ImageReference, signal: AbortSignal): Promise<void> {
    const asking = this.#fetch(entry, image, signal);
    entry.asking = asking;
    return asking;
  }

  async #fetch(entry: Entry, image: ImageReference, signal: AbortSignal): Promise<void> {
    this.#asked += 1;
    try {
      const facts = await this.#lookup(image, signal);
      if (facts !== undefined) entry.facts = facts;
    } catch (error) {
      if (signal.aborted) return;
      this.failures += 1;
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn(
        { ...image, reason },
        'an image could not be looked up; its lines go without its digest and labels',
      );
    } finally {
      this.#asked -= 1;
      entry.askedAt = performance.now();
      delete entry.asking;
    }
  }

  async #wait(entry: Entry, asking: Promise<void>, signal: AbortSignal): Promise<ImageFacts | undefined> {
    const { promise, resolve } = Promise.withResolvers<'late'>();
    const stop = (): void => resolve('late');
    const began = performance.now();
    if (began >= this.#waits.since + askAgainAfter) this.#waits = { since: began, waited: 0 };
    const timer = setTimeout(stop, Math.min(patience, patienceInAll - this.#waits.waited));
    signal.addEventListener('abort', stop);
    try {
      if ((await Promise.race([asking, promise])) === 'late' && !signal.aborted) {
        this.failures += 1;
        this.#impatientUntil = performance.now() + askAgainAfter;
      }
      return entry.facts;
    } finally {
      this.#waits.waited += performance.now() - began;
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }
}
