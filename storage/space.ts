import type { Driver } from './driver.ts';
import { StorageError } from './errors.ts';

/** How long an answer of the driver counts, in ms. */
const maxAge = 1000;

const mebibyte = 1024 * 1024;

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / mebibyte)} MiB`;
}

/** What a piece of work may write. Disposing it gives back what was announced and not written. */
export interface Claim extends Disposable {
  /**
   * Counts bytes that are about to be written; those beyond what was announced must still fit.
   * @throws {StorageError} NO_SPACE where the reserve is touched.
   */
  count(bytes: number): Promise<void>;
}

/**
 * Keeps a reserve of free space. It is touched where less than that is free, without what running work has announced and
 * not written yet. Where the driver cannot tell what is free, there is always room.
 */
export class Space {
  readonly #driver: Driver;
  readonly #reserve: number;
  #announced = 0;
  /** Bytes that were counted since the driver was asked. */
  #written = 0;
  #free: Promise<number | undefined> | undefined;
  #refused = false;
  /** When the driver was asked: a monotonic time in ms. */
  #askedAt = 0;

  /** `reserve` in bytes. */
  constructor(driver: Driver, reserve: number) {
    this.#driver = driver;
    this.#reserve = reserve;
  }

  /** @throws {StorageError} NO_SPACE where the reserve is touched. */
  async check(): Promise<void> {
    this.#admit(await this.#ask(), 0);
  }

  /**
   * Announces bytes that are to be written.
   * @throws {StorageError} NO_SPACE where they touch the reserve.
   */
  async claim(announced = 0): Promise<Claim> {
    if (announced > 0) {
      const free = await this.#ask();
      // Who announces more than there is room for at all does not want for what others hold.
      this.#admit(free, announced, { wanting: this.#isTouched(free) });
    }
    this.#announced += announced;
    let left = announced;
    const settle = (bytes: number): void => {
      this.#announced -= bytes;
      left -= bytes;
    };
    return {
      count: async (bytes) => {
        const free = await this.#ask();
        const expected = Math.min(bytes, left);
        this.#admit(free, bytes - expected);
        settle(expected);
        this.#written += bytes;
      },
      [Symbol.dispose]: () => settle(left),
    };
  }

  /** Whether something was refused since this was asked the last time. */
  hasRefused(): boolean {
    const refused = this.#refused;
    this.#refused = false;
    return refused;
  }

  #isTouched(free: number | undefined, bytes = 0): boolean {
    return free !== undefined && free - this.#written - this.#announced - bytes < this.#reserve;
  }

  #admit(free: number | undefined, bytes: number, { wanting } = { wanting: true }): void {
    if (free === undefined || !this.#isTouched(free, bytes)) return;
    this.#refused ||= wanting;
    const coming = this.#written + this.#announced;
    const others = coming < mebibyte ? '' : `, and ${mebibytes(coming)} are for what is being written`;
    throw new StorageError(
      'NO_SPACE',
      `no space left on device: ${mebibytes(free)} are free, of which ${mebibytes(this.#reserve)} are kept in reserve${others}`,
    );
  }

  #ask(): Promise<number | undefined> {
    const now = performance.now();
    if (this.#free === undefined || now - this.#askedAt >= maxAge) {
      this.#askedAt = now;
      this.#written = 0;
      const free = this.#driver.free();
      this.#free = free;
      free.catch(() => {
        if (this.#free === free) this.#free = undefined;
      });
    }
    return this.#free;
  }
}
