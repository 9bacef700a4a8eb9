import { describe } from 'vitest';
import { testAtOnce } from './support/at-once.ts';
import { onDisk } from './support/ground.ts';
import { testAlike, testInTurn } from './support/in-turn.ts';
import { registry3 } from './support/registry3.ts';

describe('registry:3 and shiplog', () => {
  testInTurn(registry3);
  testAlike(registry3, onDisk);
  testAtOnce(registry3, { open: onDisk, deletesTags: true });
});
