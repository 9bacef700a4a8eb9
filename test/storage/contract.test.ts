import { backends } from './backends.ts';
import { storeSuite } from './suites/contract.ts';

for (const [kind, open] of Object.entries(backends)) storeSuite(kind, open);
