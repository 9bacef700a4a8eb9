import { backends } from './backends.ts';
import { referrersSuite } from './suites/referrers.ts';

for (const [kind, open] of Object.entries(backends)) referrersSuite(kind, open);
