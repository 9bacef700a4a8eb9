import { backends } from './backends.ts';
import { mountsSuite } from './suites/mounts.ts';

for (const [kind, open] of Object.entries(backends)) mountsSuite(kind, open);
