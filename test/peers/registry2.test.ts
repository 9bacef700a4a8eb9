import { describe } from 'vitest';
import { testAtOnce } from './support/at-once.ts';
import { onDisk } from './support/ground.ts';
import { testAlike, testInTurn } from './support/in-turn.ts';
import { registry2 } from './support/registry2.ts';

describe('registry:2 and shiplog', () => {
  testInTurn(registry2);
  testAlike(registry2, onDisk);
  testAtOnce(registry2, { open: onDisk, deletesTags: false });
});
