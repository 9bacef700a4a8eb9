import { type Command, type CommandContext, CommandError, UsageError } from './command.ts';
import { ConfigError } from '../config/error.ts';
import { ImageError } from '../images/errors.ts';
import { StartError } from '../start-error.ts';

/** Commands, with what the help says of them. */
const commands: Readonly<Record<string, { readonly about: string; readonly load: () => Promise<Command> }>> = {
  serve: {
    about: 'run the server (what it does without a command)',
    load: async () => (await import('./serve.ts')).serve,
  },
  logs: {
    about: "search the logs:  shiplog logs 'image:team/web error' --since 1h",
    load: async () => (await import('./logs.ts')).logs,
  },
  'docker-options': {
    about: 'print the options by which Docker sends its logs here',
    load: async () => (await import('./docker-options.ts')).dockerOptions,
  },
  doctor: {
    about: 'look at each part, and say how to mend what fails',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  health: {
    about: 'whether the server answers, as an exit code',
    load: async () => (await import('./health.ts')).health,
  },
  'kibana-setup': {
    about: 'give Kibana a data view, a search and a dashboard',
    load: async () => (await import('./kibana-setup.ts')).kibanaSetup,
  },
  'dead-letters': {
    about: 'what the log store rejected:  shiplog dead-letters list|show|replay|drop',
    load: async () => (await import('./dead-letters.ts')).deadLetters,
  },
  rules: {
    about: 'try the rules for logs:  shiplog rules test FILE',
    load: async () => (await import('./rules.ts')).rules,
  },
  htpasswd: {
    about: 'make a user, change a password, remove a user:  shiplog htpasswd NAME',
    load: async () => (await import('./htpasswd.ts')).htpasswd,
  },
  ls: {
    about: 'list repositories, or the tags of one:  shiplog ls team/web',
    load: async () => (await import('./ls.ts')).ls,
  },
  rm: { about: 'remove a tag, or an image:  shiplog rm team/web:1.4', load: async () => (await import('./rm.ts')).rm },
  du: { about: 'what each repository takes', load: async () => (await import('./du.ts')).du },
  export: {
    about: 'write an image as an archive:  shiplog export team/web:1.4 > image.tar',
    load: async () => (await import('./export.ts')).exportImage,
  },
  import: {
    about: 'read images from an archive:  shiplog import < image.tar',
    load: async () => (await import('./import.ts')).importImages,
  },
  scrub: {
    about: 'read all images, and put aside what is rotten',
    load: async () => (await import('./scrub.ts')).scrub,
  },
  'check-config': {
    about: 'print the configuration that is in force',
    load: async () => (await import('./check-config.ts')).checkConfig,
  },
  'import-config': {
    about: 'translate a configuration of registry:2:  shiplog import-config config.yml > shiplog.yml',
    load: async () => (await import('./import-config.ts')).importConfig,
  },
  version: { about: 'print the version', load: async () => (await import('./version.ts')).version },
};

const rows = [...Object.entries(commands).map(([name, { about }]) => [name, about] as const), ['help', 'print this']];

const usage = `Usage: shiplog [COMMAND] [OPTIONS]

${rows.map(([name = '', about]) => `  ${name.padEnd(15)} ${about}\n`).join('')}
  --config FILE   the configuration file; else $SHIPLOG_CONFIG

shiplog COMMAND --help says more about a command.
`;

/** Runs the command that the first argument names; answers the exit code. What fails is told on stderr. */
export async function run(context: CommandContext): Promise<number> {
  try {
    return await dispatch(context);
  } catch (error) {
    const text = isPlain(error) ? error.message : error instanceof Error ? error.stack : String(error);
    context.stderr.write(`shiplog: ${text}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function dispatch(context: CommandContext): Promise<number> {
  const [topic] = context.args[0] === 'help' ? context.args.slice(1) : [];
  const [first = 'serve', ...others] = topic === undefined ? context.args : [topic, '--help'];
  if (['help', '--help', '-h'].includes(first)) {
    context.stdout.write(usage);
    return 0;
  }
  // Options alone are those of `serve`.
  const isOption = first.startsWith('-') && first !== '--version';
  const name = isOption ? 'serve' : first.replace(/^--/, '');
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (found === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}\n\n${usage}`);
  const command = await found.load();
  return command({ ...context, args: isOption ? context.args : others });
}

/** Whether a message says all: errors that were made for whoever typed the command, and the system's. */
function isPlain(error: unknown): error is Error {
  if ([UsageError, CommandError, ConfigError, StartError, ImageError].some((type) => error instanceof type))
    return true;
  return error instanceof Error && 'syscall' in error;
}
