/** A stream of numbers that a seed decides. */
export interface Random {
  /** A whole number from 0 to below `bound`. */
  int(bound: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** One of them. */
  pick<T>(items: readonly T[]): T;
  bytes(length: number): Buffer<ArrayBuffer>;
}

/** The generator mulberry32: small, even, and the same on every machine. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const int = (bound: number): number => Math.floor(next() * bound);
  return {
    int,
    chance: (probability) => next() < probability,
    pick: (items) => {
      const item = items[int(items.length)];
      if (item === undefined) throw new Error('nothing to pick from');
      return item;
    },
    bytes: (length) => {
      const buffer = Buffer.alloc(length);
      for (let at = 0; at < length; at += 4) {
        const word = int(4294967296);
        for (let byte = 0; byte < 4 && at + byte < length; byte += 1) buffer[at + byte] = (word >>> (8 * byte)) & 255;
      }
      return buffer;
    },
  };
}
