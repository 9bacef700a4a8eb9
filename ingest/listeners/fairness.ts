import type { Spool } from '../spool/spool.ts';

/** Half of what a connection brought is forgotten after so many ms. */
const halfLife = 10_000;
/** How often it is found out anew who must wait, in ms. */
const interval = 100;
/** From this share of the spool on connections wait. */
const half = 0.5;

/**
 * Who is not read while the spool fills up. Above half of its size the heaviest connections wait: at three quarters those
 * that bring half of the bytes, and so on; but never all of them. Before a spool that drops the oldest nobody
 * waits: it makes room by itself, for senders that must never stand still.
 */
export class Fairness {
  readonly #spool: Pick<Spool, 'level' | 'dropsOldest'>;
  readonly #loads = new Set<Load>();
  readonly #waiting = new Map<Load, () => void>();
  #heaviest: ReadonlySet<Load> = new Set();
  #foundAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(spool: Pick<Spool, 'level' | 'dropsOldest'>) {
    this.#spool = spool;
  }

  add(): Load {
    const load = new Load();
    this.#loads.add(load);
    return load;
  }

  remove(load: Load): void {
    this.#loads.delete(load);
    this.#waiting.delete(load);
  }

  /** Whether a connection must not be read at the moment. */
  mustWait(load: Load): boolean {
    if (this.#spool.dropsOldest || this.#spool.level <= half) return false;
    const now = performance.now();
    if (now >= this.#foundAt + interval) {
      this.#heaviest = this.#find(now);
      this.#foundAt = now;
    }
    return this.#heaviest.has(load);
  }

  /** Calls `resume` once, when the connection need not wait any more. */
  wait(load: Load, resume: () => void): void {
    this.#waiting.set(load, resume);
    this.#timer ??= setInterval(() => this.#look(), interval).unref();
  }

  #look(): void {
    for (const [load, resume] of this.#waiting) {
      if (this.mustWait(load)) continue;
      this.#waiting.delete(load);
      resume();
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #find(now: number): Set<Load> {
    const weighed = Array.from(this.#loads, (load) => ({ load, weight: load.weight(now) }));
    const loads = weighed.filter(({ weight }) => weight >= 1).sort((a, b) => b.weight - a.weight);
    const total = loads.reduce((sum, { weight }) => sum + weight, 0);
    const found = new Set<Load>();
    let left = ((this.#spool.level - half) / (1 - half)) * total;
    for (const { load, weight } of loads.slice(0, -1)) {
      found.add(load);
      left -= weight;
      if (left <= 0) break;
    }
    return found;
  }
}

/** How much a connection brought of late. */
export class Load {
  #weight = 0;
  #at = performance.now();

  /** Bytes, those of long ago counting less. `now` in ms. */
  weight(now: number): number {
    return this.#weight * 2 ** ((this.#at - now) / halfLife);
  }

  add(bytes: number): void {
    const now = performance.now();
    this.#weight = this.weight(now) + bytes;
    this.#at = now;
  }
}
