import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: NodeJS.GCFunction = runInNewContext('gc');
setFlagsFromString('--no-expose-gc');

const each = 16 * 1024 * 1024;
let passed = 0;

/**
 * Counts bytes of content that pass through in buffers of their own, and frees those that are no longer used, now and
 * then. Left to itself, V8 marks the whole heap after each 64 MiB that lies outside of it; buffers that lived briefly are
 * found for a tenth of that.
 */
export function countPassed(bytes: number): void {
  passed += bytes;
  if (passed < each) return;
  passed = 0;
  collect({ type: 'minor' });
}
