#!/usr/bin/env node
import { type Command, CommandError, UsageError } from './cli/command.ts';
import { ConfigError } from './config.ts';

const usage = `Usage: shiplog [COMMAND] [OPTIONS]

  serve         run the server (what it does without a command)
  logs          search the logs:  shiplog logs 'image:team/web error' --since 1h
  htpasswd      make a user, change a password, remove a user:  shiplog htpasswd NAME
  check-config  print the configuration that is in force
  version       print the version
  help          print this

  --config FILE  the configuration file (serve, logs, htpasswd, check-config); else $SHIPLOG_CONFIG

shiplog COMMAND --help says more about a command.
`;

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./cli/serve.ts')).serve,
  logs: async () => (await import('./cli/logs.ts')).logs,
  htpasswd: async () => (await import('./cli/htpasswd.ts')).htpasswd,
  'check-config': async () => (await import('./cli/check-config.ts')).checkConfig,
  version: async () => (await import('./cli/version.ts')).version,
};

/** Runs the command that the arguments name; answers the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const [first = 'serve', ...others] = args;
  if (['help', '--help', '-h'].includes(first)) {
    process.stdout.write(usage);
    return 0;
  }
  const name = first === '--version' ? 'version' : first.startsWith('-') ? 'serve' : first;
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    process.stderr.write(`shiplog: there is no command ${JSON.stringify(name)}\n\n${usage}`);
    return 2;
  }
  const command = await load();
  return command({ args: first.startsWith('-') && first !== '--version' ? args : others, env: process.env });
}

/** Whether a message says all: errors that were made for whoever typed the command, and the system's. */
function isPlain(error: unknown): error is Error {
  if (error instanceof UsageError || error instanceof CommandError || error instanceof ConfigError) return true;
  return error instanceof Error && 'syscall' in error;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const text = isPlain(error) ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`shiplog: ${text}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
