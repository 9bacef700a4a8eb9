import { type DamagedRepository, findDamage } from '../../storage/damage.ts';
import { type Digest, splitDigest } from '../../storage/digest.ts';
import { lostBlobs, scrub as scrubStore, type ScrubCount, type ScrubResult } from '../../storage/scrub.ts';
import { loadConfig } from '../config.ts';
import { parseSize } from '../config/values.ts';
import { escapeControls } from '../escape.ts';
import { openDriver } from '../open-driver.ts';
import { type Command, UsageError } from './command.ts';
import { parseOptions } from './options.ts';
import { print } from './print.ts';
import { catchEndSignals } from './signals.ts';
import { Size } from './table.ts';

const usage = `Usage: shiplog scrub [OPTIONS]

Reads every blob in the storage that the configuration names, which a server may use meanwhile. One whose content is not
what its digest says is put aside: then the next push of its image sends it again. Says which tags need such blobs, and
exits with 1 if there are any. Broken off (by SIGTERM or Ctrl-C), it goes on from there the next time. With
storage.read_only it reads and tells the same, all from the start, and changes nothing.

  --rate SIZE    read so much a second at most (50MiB)
  --restart      start again, though it was broken off
  --config FILE  the configuration file
`;

/** How often progress is shown, in ms. */
const shownEvery = 500;

/** `shiplog scrub` */
export const scrub: Command = async ({ args, env, stdout, stderr }) => {
  const { values } = parseOptions(usage, {
    args: [...args],
    options: {
      rate: { type: 'string', default: '50MiB' },
      restart: { type: 'boolean', default: false },
      config: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const rate = parseSize(values.rate) ?? 0;
  if (rate === 0) throw new UsageError(`--rate: expected a size such as 50MiB, not ${values.rate}\n\n${usage}`);
  const config = loadConfig({ file: values.config, env });
  const readOnly = config.storage.read_only;

  using ending = catchEndSignals();
  await using driver = await openDriver(config);
  const progress = stderr.isTTY === true ? new Progress((text) => void stderr.write(text)) : undefined;
  const result = await scrubStore(driver, {
    rate,
    restart: values.restart,
    readOnly,
    signal: ending.signal,
    onBlob: (digest, read) => progress?.show(digest, read),
  });
  progress?.clear();
  const lost = await lostBlobs(driver);
  const damage = await findDamage(driver, readOnly ? lost.union(new Set(result.rotten)) : lost);
  await print(stdout, report(result, { lost, damage, readOnly }));
  return lost.size > 0 || result.rotten.length > 0 ? 1 : 0;
};

/** One line that is written over and over. */
class Progress {
  readonly #write: (text: string) => void;
  #shownAt = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  show(digest: Digest, read: ScrubCount): void {
    if (performance.now() - this.#shownAt < shownEvery) return;
    this.#shownAt = performance.now();
    const { algorithm, hex } = splitDigest(digest);
    // Digests are even: how far this one is among all says how far the work is.
    const percent = Math.floor((Number.parseInt(hex.slice(0, 4), 16) / 0x10000) * 100);
    this.#write(`\r\u001b[K${algorithm} ${percent} %, ${countOf(read)}`);
  }

  clear(): void {
    this.#write('\r\u001b[K');
  }
}

function countOf({ blobs, bytes }: ScrubCount): string {
  return `${blobs} blobs, ${String(new Size(bytes))}`;
}

/** How the store is after a scrub. */
interface State {
  readonly lost: ReadonlySet<Digest>;
  readonly damage: readonly DamagedRepository[];
  readonly readOnly: boolean;
}

function report(result: ScrubResult, { lost, damage, readOnly }: State): string {
  const next = readOnly ? 'begins anew' : 'goes on from here';
  const end = result.finished ? 'finished' : `broken off; the next scrub ${next}`;
  const lines = [`${end}: ${countOf(result.read)} read, ${result.rotten.length} rotten`];
  if (readOnly) lines.push('nothing is put aside or put back: storage.read_only is true');
  for (const digest of result.restored) lines.push(`whole, and back in its place: ${digest}`);
  for (const key of result.odd) lines.push(`no blob by its name, and left alone: ${escapeControls(key)}`);
  for (const digest of result.rotten) {
    if (readOnly) lines.push(`rotten, and left where it is: ${digest}`);
    else if (!lost.has(digest)) lines.push(`rotten, and healed by a push: ${digest}`);
  }
  for (const digest of lost) lines.push(`rotten, and put aside until it is pushed again: ${digest}`);
  for (const { name, tags, untagged } of damage) {
    for (const tag of tags) lines.push(`hurt, and to be pushed again: ${name}:${tag}`);
    for (const digest of untagged) lines.push(`hurt, and to be pushed again: ${name}@${digest}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}
