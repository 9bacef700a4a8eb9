/** Bytes of a piece in which large content is read. */
export const pieceSize = 512 * 1024;

const mostFree = 16;
const free: Buffer[] = [];

/** A buffer to read into; its old content may still be there. */
export function takePiece(length: number): Buffer {
  return (length === pieceSize ? free.pop() : undefined) ?? Buffer.allocUnsafe(length);
}

/**
 * Gives a piece back that nobody looks at any more; others may be dropped. Left to the engine, such memory has V8 mark the
 * whole heap each 64 MiB.
 */
export function recyclePiece(piece: Uint8Array): void {
  const { buffer, byteLength, byteOffset } = piece;
  const isWhole = byteLength === pieceSize && byteOffset === 0 && buffer.byteLength === pieceSize;
  if (isWhole && free.length < mostFree) free.push(Buffer.from(buffer, byteOffset, byteLength));
}
