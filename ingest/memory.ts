import { isMarkedAsUntransferable } from 'node:worker_threads';

/**
 * Frees the memory that some bytes lie in, and whatever else lies in it; nothing of it can be read any more. Left to the
 * garbage collector, it counts until that finds it, and has it run ever again: at a hundred megabytes a second that takes
 * more time than all the rest. The pool that Node cuts small buffers from is left as it is.
 */
export function freeMemory({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && !isMarkedAsUntransferable(buffer)) buffer.transfer(0);
}
