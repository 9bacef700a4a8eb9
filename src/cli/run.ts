import { type Command, type CommandContext, CommandError, UsageError } from './command.ts';
import { ConfigError } from '../config.ts';
import { ImageError } from '../images/errors.ts';
import { StartError } from '../start-error.ts';

const usage = `Usage: shiplog [COMMAND] [OPTIONS]

  serve           run the server (what it does without a command)
  logs            search the logs:  shiplog logs 'image:team/web error' --since 1h
  docker-options  print the options by which Docker sends its logs here
  doctor          look at each part, and say how to mend what fails
  kibana-setup    give Kibana a data view, a search and a dashboard
  rules           try the rules for logs:  shiplog rules test FILE
  htpasswd        make a user, change a password, remove a user:  shiplog htpasswd NAME
  ls              list repositories, or the tags of one:  shiplog ls team/web
  rm              remove a tag, or an image:  shiplog rm team/web:1.4
  du              what each repository takes
  export          write an image as an archive:  shiplog export team/web:1.4 > image.tar
  import          read images from an archive:  shiplog import < image.tar
  scrub           read all images, and put aside what is rotten
  check-config    print the configuration that is in force
  import-config   translate a configuration of registry:2:  shiplog import-config config.yml > shiplog.yml
  version         print the version
  help            print this

  --config FILE   the configuration file; else $SHIPLOG_CONFIG

shiplog COMMAND --help says more about a command.
`;

const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  logs: async () => (await import('./logs.ts')).logs,
  'docker-options': async () => (await import('./docker-options.ts')).dockerOptions,
  doctor: async () => (await import('./doctor.ts')).doctor,
  'kibana-setup': async () => (await import('./kibana-setup.ts')).kibanaSetup,
  'dead-letters': async () => (await import('./dead-letters.ts')).deadLetters,
  rules: async () => (await import('./rules.ts')).rules,
  htpasswd: async () => (await import('./htpasswd.ts')).htpasswd,
  ls: async () => (await import('./ls.ts')).ls,
  rm: async () => (await import('./rm.ts')).rm,
  du: async () => (await import('./du.ts')).du,
  export: async () => (await import('./export.ts')).exportImage,
  import: async () => (await import('./import.ts')).importImages,
  scrub: async () => (await import('./scrub.ts')).scrub,
  'check-config': async () => (await import('./check-config.ts')).checkConfig,
  'import-config': async () => (await import('./import-config.ts')).importConfig,
  version: async () => (await import('./version.ts')).version,
};

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
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}\n\n${usage}`);
  const command = await load();
  return command({ ...context, args: isOption ? context.args : others });
}

/** Whether a message says all: errors that were made for whoever typed the command, and the system's. */
function isPlain(error: unknown): error is Error {
  if ([UsageError, CommandError, ConfigError, StartError, ImageError].some((type) => error instanceof type))
    return true;
  return error instanceof Error && 'syscall' in error;
}
