#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Compiled code is kept for the next start, within the package, where that can be written to; workers use it too.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../node_modules/.cache/shiplog');
enableCompileCache();
const { run } = await import('./cli/run.ts');

const { argv, env, stdin, stdout, stderr } = process;
const code = await run({ args: argv.slice(2), env, stdin, stdout, stderr });
// Everything has ended. Left to itself, Node 24 may spin here for ever, for what it still had to write to a TLS client that has gone.
process.exit(code);
