import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, isDigest } from './digest.ts';
import type { Content, Driver } from './driver.ts';

const longestDigest = 135;

/** How often, and after how many ms, a link is read again that holds no digest: registry:2 empties it, then fills it. */
const patience = [5, 20, 80];

/** What a link points to. Undefined: it is absent, or holds no digest (a power cut may have emptied it). */
export async function readLink(driver: Driver, key: string): Promise<Digest | undefined> {
  for (let tries = 0; ; tries += 1) {
    const bytes = await driver.get(key, longestDigest);
    if (bytes === undefined) return undefined;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    if (isDigest(text)) return text;
    const wait = patience[tries];
    if (wait === undefined) return undefined;
    await sleep(wait);
  }
}

/** A link to a digest: that alone, without a line break, which registry:2 would choke on. */
export function linkTo(digest: Digest, key: string): Content {
  return { key, bytes: Buffer.from(digest) };
}

export async function writeLink(driver: Driver, key: string, digest: Digest): Promise<void> {
  await driver.put(key, linkTo(digest, key).bytes);
}
