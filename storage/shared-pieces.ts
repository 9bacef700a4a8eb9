/** Bytes of a piece. */
export const sharedPieceSize = 1024 * 1024;

/** Pieces of a store, at most; they are kept once they were wanted. */
const mostPieces = 12;

/** Bytes in memory that threads share. Disposed of, it is the next one's: nobody may look at it any more. */
export interface SharedPiece extends Disposable {
  readonly bytes: Uint8Array;
}

/** Memory that threads share, in which content is gathered. Who finds none left waits for it. */
export class SharedPieces {
  readonly #spare: Uint8Array[] = [];
  readonly #waiting: ((piece: Uint8Array) => void)[] = [];
  #made = 0;

  /** Puts chunks of up to `sharedPieceSize` bytes next to each other. */
  async gather(chunks: readonly Uint8Array[]): Promise<SharedPiece> {
    const piece = await this.#take();
    let length = 0;
    for (const chunk of chunks) {
      piece.set(chunk, length);
      length += chunk.length;
    }
    return { bytes: piece.subarray(0, length), [Symbol.dispose]: () => this.#give(piece) };
  }

  async #take(): Promise<Uint8Array> {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    if (this.#made === mostPieces) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#made += 1;
    return new Uint8Array(new SharedArrayBuffer(sharedPieceSize));
  }

  #give(piece: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#spare.push(piece);
    else next(piece);
  }
}
