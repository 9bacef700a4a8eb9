import { isIPv6 } from 'node:net';

/** How many failed log-ins are taken at once, and how often one more. */
interface Allowance {
  readonly burst: number;
  /** ms */
  readonly every: number;
}

/** The last moments of failures: a bucket that leaks one each `every` ms. */
interface Bucket {
  level: number;
  at: number;
}

const perPair: Allowance = { burst: 5, every: 10_000 };
const perAddress: Allowance = { burst: 20, every: 2_000 };
const mostBuckets = 20_000;

/**
 * Slows failed log-ins: for a user from one address, and for one address over all users; never for a user alone, for
 * then anyone could lock them out.
 */
export class Throttle {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;
  readonly #perPair: Allowance;
  readonly #perAddress: Allowance;

  /**
   * @param now A clock in ms that never goes back.
   * @param workers Those among which tries are spread; each allows its part of them.
   */
  constructor(now: () => number = () => performance.now(), workers = 1) {
    this.#now = now;
    this.#perPair = partOf(perPair, workers);
    this.#perAddress = partOf(perAddress, workers);
  }

  /**
   * Takes a try. Undefined: it may go on; it is to be given back if it succeeds. Else: how many ms to wait until then.
   */
  take(user: string, address: string): number | undefined {
    const { pair, network } = keysOf(user, address);
    const wait = this.#wait(pair, this.#perPair) ?? this.#wait(network, this.#perAddress);
    if (wait !== undefined) return wait;
    this.#add(pair, this.#perPair, 1);
    this.#add(network, this.#perAddress, 1);
    return undefined;
  }

  /** Gives a try back, because the log-in succeeded or could not be judged. */
  giveBack(user: string, address: string): void {
    const { pair, network } = keysOf(user, address);
    this.#add(pair, this.#perPair, -1);
    this.#add(network, this.#perAddress, -1);
  }

  #wait(key: string, { burst, every }: Allowance): number | undefined {
    const excess = this.#level(key, every) + 1 - burst;
    return excess <= 0 ? undefined : excess * every;
  }

  #level(key: string, every: number): number {
    const bucket = this.#buckets.get(key);
    return bucket === undefined ? 0 : Math.max(0, bucket.level - (this.#now() - bucket.at) / every);
  }

  #add(key: string, { every }: Allowance, change: number): void {
    const level = Math.max(0, this.#level(key, every) + change);
    this.#buckets.delete(key);
    if (level === 0) return;
    this.#buckets.set(key, { level, at: this.#now() });
    if (this.#buckets.size <= mostBuckets) return;
    // The one that was touched longest ago is the most likely to have run dry.
    for (const oldest of this.#buckets.keys()) {
      this.#buckets.delete(oldest);
      break;
    }
  }
}

function partOf({ burst, every }: Allowance, workers: number): Allowance {
  return { burst: Math.ceil(burst / workers), every: every * workers };
}

/** Of an IPv6 address the /64 counts: whoever has one address of it has them all. */
function keysOf(user: string, address: string): { pair: string; network: string } {
  const network = isIPv6(address) ? groups(address).slice(0, 4).join(':') : address;
  return { pair: `${network} ${user}`, network };
}

function groups(address: string): string[] {
  const [head = '', tail] = address.split('::');
  const [before, after] = [head, tail ?? ''].map((part) => part.split(':').filter((group) => group !== ''));
  const missing = tail === undefined ? 0 : 8 - (before?.length ?? 0) - (after?.length ?? 0);
  return [...(before ?? []), ...Array.from({ length: missing }, () => '0'), ...(after ?? [])];
}
