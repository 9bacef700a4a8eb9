import { backends } from './backends.ts';
import { upkeepSuite } from './suites/upkeep.ts';

for (const [kind, open] of Object.entries(backends)) upkeepSuite(kind, open);
