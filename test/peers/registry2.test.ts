import { describe } from 'vitest';
import { testAtOnce } from './support/at-once.ts';
import { testInTurn } from './support/in-turn.ts';
import { registry2 } from './support/registry2.ts';

describe('registry:2 and shiplog in turn', () => testInTurn(registry2));
describe('registry:2 and shiplog at once', () => testAtOnce(registry2, { deletesTags: false }));
