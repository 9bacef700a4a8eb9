import { describe } from 'vitest';
import { testAtOnce } from './support/at-once.ts';
import { testInTurn } from './support/in-turn.ts';
import { registry3 } from './support/registry3.ts';

describe('registry:3 and shiplog in turn', () => testInTurn(registry3));
describe('registry:3 and shiplog at once', () => testAtOnce(registry3, { deletesTags: true }));
