import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, isDigest } from './digest.ts';
import type { Driver } from './driver.ts';

const longestDigest = 135;

/** How often, and after how many ms, a link is read again that holds no digest: registry:2 empties it, then fills it. */
const patience = [5, 20, 80];

/** What a link points to. Undefined: it is absent, or holds no digest (a power cut may have emptied it). */
export async function readLink(driver: Driver, key: string): Promise<Digest | undefined> {
  for (const wait of [...patience, undefined]) {
    const bytes = await driver.get(key, longestDigest);
    const text = bytes && Buffer.from(bytes).toString('latin1');
    if (text === undefined) return undefined;
    if (isDigest(text)) return text;
    if (wait !== undefined) await sleep(wait);
  }
  return undefined;
}

/** Makes a link point to a digest: that alone, without a line break, which registry:2 would choke on. */
export async function writeLink(driver: Driver, key: string, digest: Digest): Promise<void> {
  await driver.put(key, Buffer.from(digest));
}
