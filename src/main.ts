#!/usr/bin/env node
import { run } from './cli/run.ts';

const { argv, env, stdin, stdout, stderr } = process;
const code = await run({ args: argv.slice(2), env, stdin, stdout, stderr });
// Everything has ended. Left to itself, Node 24 may spin here for ever, for what it still had to write to a TLS client that has gone.
process.exit(code);
